//! Asking a scheduler who it is and whom it knows.

use std::time::Duration;

use cluster_proto::pb::cluster_service_client::ClusterServiceClient;
use cluster_proto::{NodeId, pb};
use cluster_tls::NodeAddress;
use cluster_tls::tonic::NodeChannel;
use thiserror::Error;
use tokio::time::timeout;
use tonic::Status;

use super::table::SCHEDULERS_MAX;
use crate::boot::causes;

/// What a scheduler said about itself and the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduced {
    /// The address that it advertises; nothing where it does not say, as other implementations.
    pub(super) itself: Option<NodeAddress>,
    /// What tells this start of its process from others; empty where it does not say.
    pub(super) instance: String,
    /// The live members, itself included.
    pub(super) members: Vec<NodeAddress>,
}

/// A scheduler did not introduce itself.
#[derive(Debug, Error)]
pub(super) enum IntroductionError {
    #[error("{0}")]
    Unanswered(String),
    #[error("it does not answer within {} s", ASK_LIMIT.as_secs())]
    Silent,
    #[error("its answer is refused whole: it names {0}")]
    Unbelievable(Unbelievable),
}

/// What no scheduler of ours would say.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum Unbelievable {
    #[error("no scheduler, not even itself")]
    Nobody,
    #[error("{0} schedulers, more than {SCHEDULERS_MAX}")]
    TooMany(usize),
    #[error("a scheduler at something that is no host:port")]
    NoAddress,
}

/// Asks the scheduler behind `channel`.
pub(super) async fn introduce(channel: NodeChannel) -> Result<Introduced, IntroductionError> {
    let mut client =
        ClusterServiceClient::new(channel).max_decoding_message_size(ANSWER_LIMIT_BYTES);
    let asked = timeout(
        ASK_LIMIT,
        client.get_schedulers(pb::GetSchedulersRequest {}),
    );
    let answer = asked.await.map_err(|_| IntroductionError::Silent)?;
    let answer = answer.map_err(|status| unanswered(&status))?;
    believed(&answer.into_inner()).map_err(IntroductionError::Unbelievable)
}

fn unanswered(status: &Status) -> IntroductionError {
    IntroductionError::Unanswered(causes(status))
}

/// An answer is taken as a whole or not at all: one that holds nonsense is no answer of ours.
fn believed(answer: &pb::GetSchedulersResponse) -> Result<Introduced, Unbelievable> {
    let named = &answer.schedulers;
    if named.is_empty() {
        return Err(Unbelievable::Nobody);
    }
    if named.len() > SCHEDULERS_MAX {
        return Err(Unbelievable::TooMany(named.len()));
    }
    let members = named
        .iter()
        .map(|scheduler| dialled(&scheduler.advertise_address));
    let itself = match answer.answered_by.as_str() {
        "" => None,
        text => Some(dialled(text)?),
    };
    Ok(Introduced {
        itself,
        instance: answer.instance_id.clone(),
        members: members.collect::<Result<_, _>>()?,
    })
}

fn dialled(text: &str) -> Result<NodeAddress, Unbelievable> {
    let id: NodeId = text.parse().map_err(|_| Unbelievable::NoAddress)?;
    NodeAddress::new(id.host(), id.port()).map_err(|_| Unbelievable::NoAddress)
}

/// Members answer from memory within milliseconds.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Sixty-four addresses with their labels.
const ANSWER_LIMIT_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn answer(members: &[&str], itself: &str) -> pb::GetSchedulersResponse {
        let scheduler = |address: &&str| pb::Scheduler {
            advertise_address: (*address).to_owned(),
            labels: HashMap::new(),
        };
        pb::GetSchedulersResponse {
            schedulers: members.iter().map(scheduler).collect(),
            answered_by: itself.to_owned(),
            instance_id: "a".to_owned(),
        }
    }

    #[test]
    fn an_answer_of_addresses_is_believed() {
        let believed = believed(&answer(&["S1.local:50052", "[::1]:1"], "s1.local:50052"));
        let introduced = believed.unwrap();
        assert_eq!(introduced.itself, Some("s1.local:50052".parse().unwrap()));
        let expected = ["s1.local:50052", "[::1]:1"].map(|text| text.parse().unwrap());
        assert_eq!(introduced.members, expected);
    }

    #[test]
    fn an_answer_that_does_not_say_who_answers_is_one_of_another_implementation() {
        let introduced = believed(&answer(&["s1:1"], "")).unwrap();
        assert_eq!(introduced.itself, None);
    }

    #[test]
    fn an_answer_with_any_nonsense_is_refused_whole() {
        let crowd: Vec<String> = (1..=65).map(|port| format!("s1:{port}")).collect();
        let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
        for (members, itself, why) in [
            (&[][..], "s1:1", Unbelievable::Nobody),
            (&crowd, "s1:1", Unbelievable::TooMany(65)),
            (&["s1:1", ""], "s1:1", Unbelievable::NoAddress),
            (&["s1:1", "http://s2:1/"], "s1:1", Unbelievable::NoAddress),
            (&["s1:1", "s2:0"], "s1:1", Unbelievable::NoAddress),
            (&["s1:1", "s 2:1"], "s1:1", Unbelievable::NoAddress),
            (&["s1:1", "*.local:1"], "s1:1", Unbelievable::NoAddress),
            (&["s1:1"], "s1", Unbelievable::NoAddress),
        ] {
            assert_eq!(believed(&answer(members, itself)), Err(why), "{members:?}");
        }
        assert!(believed(&answer(&crowd[..64], "s1:1")).is_ok());
    }
}
