use std::time::Duration;

use pb::scheduler_control_message::Message;

use super::*;
use crate::events::{CommandEnd, CommandKind, ExecutorDeparture, SecretAnswer};
use crate::peers::Missing;

/// Nobody is told of anything.
struct Silent;

impl SchedulerEvents for Silent {
    fn executor_connected(&self, _: &NodeId, _: usize) {}
    fn executor_disconnected(&self, _: &NodeId, _: usize, _: &str) {}
    fn executor_left(&self, _: &NodeId, _: ExecutorDeparture<'_>) {}
    fn executor_ready(&self, _: &NodeId, _: &str, _: usize) {}
    fn command_ended(&self, _: &NodeId, _: CommandKind, _: CommandEnd) {}
    fn command_failed(&self, _: &NodeId, _: CommandKind, _: &str) {}
    fn acknowledgement_ignored(&self, _: &NodeId) {}
    fn secret_answered(&self, _: &SecretAnswer<'_>) {}
    fn history_missing(&self, _: &NodeId, _: &Missing) {}
}

pub(crate) fn streams() -> ControlStreams {
    ControlStreams::new(Arc::new(Silent), "first")
}

fn run(mark: &str) -> ExecutorRun {
    format!("executor1:50052#{mark}").parse().unwrap()
}

async fn next(outbox: &mut Outbox) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(5), outbox.next());
    next.await.unwrap().message.unwrap()
}

/// The digest and the request id of an app change.
async fn app_change(outbox: &mut Outbox) -> (String, String) {
    match next(outbox).await {
        Message::AppChanged(app) => (app.digest, app.request_id),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn hints_merge_and_commands_go_before_them() {
    let streams = streams();
    let mut outbox = streams.open(&run("a"));
    for _ in 0..100 {
        streams.poll_now();
    }
    assert_eq!(app_change(&mut outbox).await.0, "first");
    assert!(matches!(next(&mut outbox).await, Message::PollNow(_)));
    streams.cancel_tasks(&run("a"), vec![]);
    assert!(matches!(next(&mut outbox).await, Message::CancelTasks(_)));
}

#[tokio::test]
async fn a_newer_stream_takes_over_and_the_older_ones_end_changes_nothing() {
    let streams = streams();
    let (older, newer) = (streams.open(&run("a")), streams.open(&run("a")));
    assert!(older.superseded.is_cancelled());
    assert_eq!(streams.close(&run("a"), older.generation), Closed::Replaced);
    assert!(streams.is_open(run("a").node()));
    assert_eq!(streams.close(&run("a"), newer.generation), Closed::Last);
    assert!(!streams.is_open(run("a").node()));
}

#[tokio::test]
async fn the_same_run_is_told_again_and_a_restarted_one_only_of_the_definition() {
    let streams = streams();
    let mut outbox = streams.open(&run("a"));
    streams.cancel_tasks(&run("a"), vec![]);
    let first = app_change(&mut outbox).await;
    assert!(matches!(next(&mut outbox).await, Message::CancelTasks(_)));
    let mut again = streams.open(&run("a"));
    assert_eq!(app_change(&mut again).await, first, "under the same id");
    streams.app_changed("second");

    let mut again = streams.open(&run("a"));
    assert!(matches!(next(&mut again).await, Message::CancelTasks(_)));
    assert_eq!(app_change(&mut again).await.0, "second");

    let mut restarted = streams.open(&run("b"));
    assert!(again.superseded.is_cancelled());
    assert_eq!(app_change(&mut restarted).await.0, "second");
    streams.poll_now();
    assert!(matches!(next(&mut restarted).await, Message::PollNow(_)));
    assert_eq!(streams.close(&run("a"), again.generation), Closed::Replaced);
    streams.cancel_tasks(&run("a"), vec![]);
    streams.poll_now();
    let next = next(&mut restarted).await;
    assert!(matches!(next, Message::PollNow(_)), "{next:?}");
}

#[tokio::test]
async fn an_acknowledgement_counts_for_the_executor_that_was_asked() {
    let streams = streams();
    let mut outbox = streams.open(&run("a"));
    let other: ExecutorRun = "executor2:50052#a".parse().unwrap();
    let _other = streams.open(&other);
    let (_, request) = app_change(&mut outbox).await;
    let stranger = streams.acknowledge(other.node(), &request, Ok(()));
    assert_eq!(stranger, Acknowledged::Nothing);
    let node = run("a").node().clone();
    let acknowledged = streams.acknowledge(&node, &request, Ok(()));
    assert_eq!(acknowledged, Acknowledged::App("first".to_owned()));
    let twice = streams.acknowledge(&node, &request, Ok(()));
    assert_eq!(twice, Acknowledged::Nothing);
}

#[tokio::test]
async fn a_definition_that_was_opened_is_not_offered_again_and_one_that_failed_is() {
    let streams = streams();
    let node = run("a").node().clone();
    let mut outbox = streams.open(&run("a"));
    let (_, request) = app_change(&mut outbox).await;
    streams.acknowledge(&node, &request, Err("no such file"));
    let mut again = streams.open(&run("a"));
    let (digest, second) = app_change(&mut again).await;
    assert_eq!(digest, "first");
    assert_ne!(second, request);
    streams.acknowledge(&node, &second, Ok(()));
    let mut quiet = streams.open(&run("a"));
    streams.poll_now();
    assert!(matches!(next(&mut quiet).await, Message::PollNow(_)));
}

#[tokio::test]
async fn a_run_that_left_is_forgotten_and_one_that_returned_is_not() {
    let streams = streams();
    let outbox = streams.open(&run("a"));
    streams.forget(&run("a"));
    assert!(streams.is_open(run("a").node()), "it is there");
    streams.close(&run("a"), outbox.generation);
    streams.forget(&run("a"));
    assert!(streams.lock().mailboxes.is_empty());
}
