//! What a node tells of denied calls: all of them in the metrics, and in the log no more than an
//! operator can read.

use anyhow::{Result, ensure};
use cluster_test::{Leaf, Listener, LogLine, Metrics, Node};
use cluster_tls::Role;

use super::calls::{Caller, ensure_denied};
use super::{Scene, call_denied, holder_of};

#[tokio::test]
async fn a_member_that_insists_gets_one_line_a_method_and_every_call_is_counted() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&holder_of(Role::Executor))?;
    for _ in 0..INSISTED {
        insist(&caller, CANCEL).await?;
    }
    // Another method and another member are told of at once.
    insist(&caller, SUBMIT).await?;
    call_denied(&scene.scheduler, SUBMIT, Role::Executor, "role").await?;
    let other = Leaf::new("other").with_role(Role::Executor);
    insist(&scene.to_scheduler(&other)?, CANCEL).await?;
    let is_other = |line: &LogLine| denied(line, CANCEL) && is_from(line, "other");
    scene
        .scheduler
        .log()
        .wait_for(is_other, super::PATIENCE)
        .await?;

    ensure!(lines(&scene.scheduler, CANCEL, "caller") == 1);
    ensure!(lines(&scene.scheduler, CANCEL, "other") == 1);
    ensure!(lines(&scene.scheduler, SUBMIT, "caller") == 1);
    let metrics = Metrics::scrape(scene.scheduler.address(Listener::Metrics)?).await?;
    for (method, calls) in [(CANCEL, INSISTED + 1), (SUBMIT, 1)] {
        let counted = metrics.sum_where("spiced_authorization_denied_total", method);
        ensure!(counted == Some(f64::from(calls)), "{method}: {counted:?}");
    }
    Ok(())
}

async fn insist(caller: &Caller, method: &str) -> Result<()> {
    ensure_denied(&caller.call(method, "").await?, method)
}

fn denied(line: &LogLine, method: &str) -> bool {
    line.message() == "call denied" && line.field("method") == Some(method)
}

fn is_from(line: &LogLine, name: &str) -> bool {
    line.field("peer").is_some_and(|peer| peer.contains(name))
}

fn lines(node: &Node, method: &str, name: &str) -> usize {
    let lines = node.log().lines();
    let of = lines
        .iter()
        .filter(|line| denied(line, method) && is_from(line, name));
    of.count()
}

const CANCEL: &str = "/ballista.protobuf.SchedulerGrpc/CancelJob";
const SUBMIT: &str = "/ballista.protobuf.SchedulerGrpc/ExecuteQuery";

const INSISTED: u32 = 50;
