//! Who is denied is denied at the headers: the node reads nothing of what they send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use cluster_test::{Listener, Metrics, Node};
use cluster_tls::Role;
use futures::future::try_join_all;
use futures::{StreamExt, stream};

use super::calls::{Caller, ensure_denied, ensure_not_denied};
use super::rows::{self, FLIGHT, Row};
use super::{Scene, holder_of};

#[tokio::test]
async fn a_denied_call_is_answered_although_its_messages_never_end() -> Result<()> {
    let scene = Scene::start().await?;
    let to_scheduler = scene.to_scheduler(&holder_of(Role::Client))?;
    denies_unfinished(&to_scheduler, &rows::scheduler()).await?;
    let to_executor = scene.to_executor(&holder_of(Role::Client))?;
    denies_unfinished(&to_executor, &FLIGHT).await?;
    scene.still_answers().await
}

/// Nobody could tell the end of such a call: a handler would wait for it for ever.
async fn denies_unfinished(caller: &Caller, rows: &[Row]) -> Result<()> {
    for (path, ..) in rows {
        let messages = stream::iter([Bytes::new()]).chain(stream::pending());
        ensure_denied(&caller.call_with(path, messages).await?, path)?;
    }
    Ok(())
}

#[tokio::test]
async fn denied_calls_cost_a_node_no_memory_and_take_nothing_from_those_that_are_not() -> Result<()>
{
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&holder_of(Role::Executor))?;
    let before = largest_kib(&scene.scheduler)?;
    let calls = (0..CALLS).map(|_| denied_with_everything(&caller));
    try_join_all(calls).await?;
    // The same connection goes on, with as much room as ever.
    let report = Bytes::from(vec![0; MESSAGES * MESSAGE_BYTES]);
    let status = caller.call(POLL_WORK, report).await?;
    ensure_not_denied(&status, POLL_WORK)?;
    let grown = largest_kib(&scene.scheduler)?.saturating_sub(before);
    // One message of those calls and half as much again; all of them are two gigabytes.
    ensure!(grown < 96 * 1024, "grown by {grown} KiB");
    let metrics = Metrics::scrape(scene.scheduler.address(Listener::Metrics)?).await?;
    let counted = metrics.sum_where("spiced_authorization_denied_total", SUBMIT);
    ensure!(counted == Some(CALLS as f64), "{counted:?} were counted");
    scene.still_answers().await
}

/// One call that would send [`MESSAGES`]: denied, with no more taken than may be under way unread.
async fn denied_with_everything(caller: &Caller) -> Result<()> {
    let taken = Arc::<AtomicUsize>::default();
    let counted = taken.clone();
    let messages = stream::repeat_with(move || {
        counted.fetch_add(MESSAGE_BYTES, Ordering::SeqCst);
        Bytes::from(vec![0; MESSAGE_BYTES])
    });
    let status = caller.call_with(SUBMIT, messages.take(MESSAGES)).await?;
    ensure_denied(&status, SUBMIT)?;
    let taken = taken.load(Ordering::SeqCst);
    ensure!(
        taken <= WINDOW_BYTES + SLACK_BYTES,
        "{taken} bytes were taken"
    );
    Ok(())
}

/// The most memory that a process has had, in KiB.
fn largest_kib(node: &Node) -> Result<u64> {
    let id = node.process_id().context("the node has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmHWM")?.parse()?)
}

const POLL_WORK: &str = "/ballista.protobuf.SchedulerGrpc/PollWork";
const SUBMIT: &str = "/ballista.protobuf.SchedulerGrpc/ExecuteQuery";

const CALLS: usize = 200;
const MESSAGES: usize = 640;
const MESSAGE_BYTES: usize = 16 * 1024;

/// What HTTP/2 lets a client send of one call before the server has read any of it.
const WINDOW_BYTES: usize = 1024 * 1024;

/// tonic encodes a few messages ahead.
const SLACK_BYTES: usize = 4 * MESSAGE_BYTES;
