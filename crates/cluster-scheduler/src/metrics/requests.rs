//! Asking executors for their metrics, over their control streams.
//!
//! An executor has one question at a time. One that answers late answers the next one who asks, and
//! an answer that nobody asked for is refused.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cluster_proto::{NodeId, pb};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use crate::control::ControlStreams;
use crate::peers::{Missing, NODE_TIMEOUT, Reason};

/// The questions that wait for an answer, at most one for each executor.
#[derive(Debug, Default)]
pub(crate) struct MetricsRequests {
    asked: Mutex<HashMap<NodeId, Asked>>,
}

#[derive(Debug)]
struct Asked {
    /// The stream that it went out on; with that, it is gone.
    generation: u64,
    request_id: String,
    waiting: oneshot::Sender<Vec<u8>>,
}

impl MetricsRequests {
    /// The metrics of one executor.
    pub(crate) async fn ask(
        &self,
        streams: &ControlStreams,
        id: &NodeId,
    ) -> Result<Vec<u8>, Missing> {
        let answer = self.request(streams, id)?;
        match timeout(NODE_TIMEOUT, answer).await {
            Ok(Ok(otlp)) if otlp.is_empty() => {
                let text = "it has more metrics than a message holds";
                Err(Missing::new(Reason::TooLarge, text))
            }
            Ok(Ok(otlp)) => Ok(otlp),
            Ok(Err(_)) => Err(Missing::new(
                Reason::Unreachable,
                "its control stream ended",
            )),
            Err(_) => Err(Missing::late()),
        }
    }

    fn request(
        &self,
        streams: &ControlStreams,
        id: &NodeId,
    ) -> Result<oneshot::Receiver<Vec<u8>>, Missing> {
        let (waiting, answer) = oneshot::channel();
        let mut asked = self.lock();
        let open = streams.generation(id);
        if let Some(earlier) = asked.get_mut(id)
            && open == Some(earlier.generation)
        {
            earlier.waiting = waiting;
            return Ok(answer);
        }
        let request_id = Uuid::new_v4().to_string();
        let sent = streams.request_metrics(id, &request_id);
        let generation =
            sent.ok_or_else(|| Missing::new(Reason::Unreachable, "it takes no commands"))?;
        let question = Asked {
            generation,
            request_id,
            waiting,
        };
        asked.insert(id.clone(), question);
        Ok(answer)
    }

    /// Takes an answer of `id`, if it was asked for.
    pub(crate) fn answered(&self, id: &NodeId, answer: pb::ExecutorMetrics) -> Answered {
        let mut asked = self.lock();
        let is_wanted = asked
            .get(id)
            .is_some_and(|asked| asked.request_id == answer.request_id);
        match asked.remove(id).filter(|_| is_wanted) {
            Some(asked) => {
                // Whoever asked may have gone; the answer was still asked for.
                let _ = asked.waiting.send(answer.otlp_metrics);
                Answered::Asked
            }
            None => Answered::Unasked,
        }
    }

    /// Forgets what was asked over a stream that has ended.
    pub(crate) fn stream_ended(&self, id: &NodeId, generation: u64) {
        let mut asked = self.lock();
        if asked
            .get(id)
            .is_some_and(|asked| asked.generation == generation)
        {
            asked.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody asked for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Asked,
    Unasked,
}

#[cfg(test)]
mod tests {
    use cluster_proto::ExecutorRun;
    use pb::scheduler_control_message::Message;

    use super::*;
    use crate::control::Outbox;
    use crate::control::tests::streams;

    fn run(name: &str) -> ExecutorRun {
        format!("{name}:50052#a").parse().unwrap()
    }

    fn answer(request_id: &str, otlp: &[u8]) -> pb::ExecutorMetrics {
        pb::ExecutorMetrics {
            request_id: request_id.to_owned(),
            otlp_metrics: otlp.to_vec(),
        }
    }

    /// The question that is sent, after the commands that every stream begins with.
    async fn question(outbox: &mut Outbox) -> String {
        let asked = async {
            loop {
                match outbox.next().await.message.unwrap() {
                    Message::RequestMetrics(request) => return request.request_id,
                    Message::AppChanged(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        timeout(NODE_TIMEOUT, asked).await.unwrap()
    }

    #[tokio::test]
    async fn the_answer_of_the_executor_that_was_asked_counts_and_counts_once() {
        let (streams, requests) = (streams(), MetricsRequests::default());
        let (one, other) = (run("executor1"), run("executor2"));
        let mut outbox = streams.open(&one);
        let waiting = requests.request(&streams, one.node()).unwrap();
        let request_id = question(&mut outbox).await;
        let foreign = requests.answered(other.node(), answer(&request_id, b"x"));
        assert_eq!(foreign, Answered::Unasked);
        let own = requests.answered(one.node(), answer(&request_id, b"m"));
        assert_eq!(own, Answered::Asked);
        assert_eq!(waiting.await.unwrap(), b"m");
        let again = requests.answered(one.node(), answer(&request_id, b"m"));
        assert_eq!(again, Answered::Unasked);
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_none() {
        let (streams, requests) = (streams(), MetricsRequests::default());
        let one = run("executor1");
        let _outbox = streams.open(&one);
        let waiting = requests.request(&streams, one.node()).unwrap();
        let other = requests.answered(one.node(), answer("other", b"x"));
        assert_eq!(other, Answered::Unasked);
        assert!(waiting.await.is_err());
    }

    #[tokio::test]
    async fn a_late_answer_is_for_the_next_who_asks_and_nothing_is_asked_twice() {
        let (streams, requests) = (streams(), MetricsRequests::default());
        let one = run("executor1");
        let mut outbox = streams.open(&one);
        drop(requests.request(&streams, one.node()).unwrap());
        let next = requests.request(&streams, one.node()).unwrap();
        let request_id = question(&mut outbox).await;
        streams.poll_now();
        let more = outbox.next().await.message;
        assert!(matches!(more, Some(Message::PollNow(_))), "{more:?}");
        requests.answered(one.node(), answer(&request_id, b"late"));
        assert_eq!(next.await.unwrap(), b"late");
    }

    #[tokio::test]
    async fn a_question_ends_with_its_stream_and_the_next_stream_is_asked_anew() {
        let (streams, requests) = (streams(), MetricsRequests::default());
        let one = run("executor1");
        let older = streams.open(&one);
        let lost = requests.request(&streams, one.node()).unwrap();
        let mut newer = streams.open(&one);
        let waiting = requests.request(&streams, one.node()).unwrap();
        assert!(lost.await.is_err());
        requests.stream_ended(one.node(), older.generation);
        let request_id = question(&mut newer).await;
        requests.answered(one.node(), answer(&request_id, b"new"));
        assert_eq!(waiting.await.unwrap(), b"new");
        let nobody = run("nobody");
        assert!(requests.request(&streams, nobody.node()).is_err());
    }
}
