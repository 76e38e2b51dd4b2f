//! A call that may be made, by a peer that never ends its message: given up within a bound.

use anyhow::{Result, ensure};
use bytes::Bytes;
use cluster_test::Leaf;
use cluster_tls::Role;
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use tonic::Code;

use super::calls::Caller;
use super::rows::{self, FLIGHT, Row};
use super::{Scene, call_denied};

#[tokio::test]
async fn a_node_gives_up_every_call_whose_message_does_not_end() -> Result<()> {
    let scene = Scene::start().await?;
    let rows = rows::scheduler();
    let to_scheduler = rows.iter().enumerate().map(|(number, row)| {
        let caller = scene.to_scheduler(&slow_peer(number));
        async move { is_given_up(caller?, row).await }
    });
    let served = FLIGHT.iter().filter(|row| row.1.include(Role::Node));
    let to_executor = served.enumerate().map(|(number, row)| {
        let caller = scene.to_executor(&slow_peer(number));
        async move { is_given_up(caller?, row).await }
    });
    let (scheduler, executor) =
        futures::join!(try_join_all(to_scheduler), try_join_all(to_executor));
    scheduler.and(executor)?;
    let poll = "/ballista.protobuf.SchedulerGrpc/PollWork";
    call_denied(&scene.scheduler, poll, Role::Node, "not_in_time").await?;
    scene.still_answers().await
}

/// Each with a key of its own: of one key only so many calls are under way.
fn slow_peer(number: usize) -> Leaf {
    Leaf::new(&format!("slow{number}")).with_role(Role::Node)
}

async fn is_given_up(caller: Caller, (path, ..): &Row) -> Result<()> {
    let unfinished = stream::iter([Bytes::new()]).chain(stream::pending());
    let status = caller.call_with(path, unfinished).await?;
    // A control stream needs nothing but its first message, and this one names nobody.
    let expected = if path.ends_with("/ControlStream") {
        Code::InvalidArgument
    } else {
        Code::DeadlineExceeded
    };
    ensure!(status.code() == expected, "{path}: {status:?}");
    Ok(())
}
