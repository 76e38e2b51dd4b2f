//! What a scheduler tells its executors: again and again, until it is acknowledged.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster_proto::pb;
use cluster_test::{Listener, LogLine, Metrics, Node, http_get};
use pb::executor_control_message::Message as Report;
use serde_json::json;
use tonic::Code;

use super::peer::{ID, Peer, caller, digest_of, loaded};
use super::shown::document;
use crate::fixture::{Fixture, PATIENCE};

const VIEW: &str = "views:\n  - {name: doubled, sql: SELECT n * 2 AS n FROM numbers}\n";

async fn counted(node: &Node, outcome: &str) -> Result<f64> {
    let metrics = Metrics::scrape(node.address(Listener::Metrics)?).await?;
    let label = format!("outcome=\"{outcome}\"");
    let counted = metrics.sum_where("scheduler_control_commands_total", &label);
    Ok(counted.unwrap_or_default())
}

async fn ignored(node: &Node) -> Result<f64> {
    let metrics = Metrics::scrape(node.address(Listener::Metrics)?).await?;
    let name = "scheduler_control_acknowledgements_ignored_total";
    Ok(metrics.sum(name).unwrap_or_default())
}

/// Whether the scheduler says that so many executors can take tasks.
async fn has_ready(node: &Node, executors: usize) -> Result<bool> {
    let path = format!("/v1/ready?min_ready_executors={executors}");
    let reply = http_get(node.address(Listener::Http)?, &path).await?;
    ensure!([200, 503].contains(&reply.status), "{reply:?}");
    Ok(reply.status == 200)
}

/// Everything that was said on the stream so far has been heard: what comes after it was.
pub(super) async fn heard(scheduler: &Node, peer: &Peer) -> Result<()> {
    let before = ignored(scheduler).await?;
    peer.acknowledge("a mark of the test", "").await?;
    let ask = || ignored(scheduler);
    crate::definition::until(ask, |now| *now > before).await?;
    Ok(())
}

#[tokio::test]
async fn a_command_is_sent_again_after_a_reconnect_until_it_is_acknowledged() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let mut first = Peer::open(&caller, ID, "run1").await?;
    let told = first.app_changed().await?;
    ensure!(told.digest == digest_of(&scheduler).await?, "{told:?}");
    ensure!(!told.request_id.is_empty());
    // Two more streams of the same run, one in the place of an open one.
    let mut second = Peer::open(&caller, ID, "run1").await?;
    ensure!(second.app_changed().await? == told);
    drop((first, second));
    let mut third = Peer::open(&caller, ID, "run1").await?;
    ensure!(third.app_changed().await? == told);
    third.acknowledge(&told.request_id, "").await?;
    heard(&scheduler, &third).await?;
    ensure!(counted(&scheduler, "acknowledged").await? == 1.0);

    // From here on the next thing this run is told is something new.
    let mut fourth = Peer::open(&caller, ID, "run1").await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + VIEW)?;
    let news = fourth.app_changed().await?;
    ensure!(news.digest != told.digest && news.request_id != told.request_id);
    Ok(())
}

#[tokio::test]
async fn a_restarted_executor_is_told_of_the_current_definition_only() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let mut first = Peer::open(&caller, ID, "run1").await?;
    let told = first.app_changed().await?;
    let mut second = Peer::open(&caller, ID, "run2").await?;
    let end = first.end().await?;
    ensure!(end.code() == Code::Aborted, "{end:?}");
    let anew = second.app_changed().await?;
    ensure!(anew.digest == told.digest && anew.request_id != told.request_id);
    // What the run before was asked is nobody's business any more.
    second.acknowledge(&told.request_id, "").await?;
    heard(&scheduler, &second).await?;
    ensure!(counted(&scheduler, "acknowledged").await? == 0.0);
    Ok(())
}

#[tokio::test]
async fn acknowledgements_of_others_and_of_nothing_are_counted_and_change_nothing() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let asked = caller(&fixture, &scheduler, "executor9")?;
    let mut asked_peer = Peer::open(&asked, ID, "run1").await?;
    let told = asked_peer.app_changed().await?;
    let stranger = caller(&fixture, &scheduler, "executor8")?;
    let stranger = Peer::open(&stranger, "127.0.0.1:8", "run1").await?;
    for request_id in ["", "unknown", &told.request_id, &"x".repeat(10_000)] {
        let before = ignored(&scheduler).await?;
        stranger.acknowledge(request_id, "").await?;
        let ask = || ignored(&scheduler);
        crate::definition::until(ask, |now| *now == before + 1.0).await?;
    }
    ensure!(counted(&scheduler, "acknowledged").await? == 0.0);
    let mut again = Peer::open(&asked, ID, "run1").await?;
    ensure!(again.app_changed().await? == told, "it still waits");
    Ok(())
}

#[tokio::test]
async fn an_error_of_an_executor_is_logged_without_what_could_harm_a_log() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let mut peer = Peer::open(&caller, ID, "run1").await?;
    let told = peer.app_changed().await?;
    let error = format!("no such\u{1b}[2J\nfile {}", "x".repeat(10_000));
    peer.acknowledge(&told.request_id, &error).await?;
    let failed = |line: &LogLine| line.message() == "executor could not carry out a command";
    let line = scheduler.log().wait_for(failed, PATIENCE).await?;
    let shown = line.field("error").unwrap_or_default();
    ensure!(shown.starts_with("no such[2Jfile xxx"), "{shown}");
    ensure!(
        shown.len() <= 200 && line.field("executor") == Some(ID),
        "{line:?}"
    );
    ensure!(counted(&scheduler, "failed").await? == 1.0);
    Ok(())
}

#[tokio::test]
async fn an_executor_is_ready_by_what_it_has_open_and_not_by_being_there() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let digest = digest_of(&scheduler).await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let peer = Peer::open(&caller, ID, "run1").await?;
    peer.loaded(&digest.replace(|_: char| true, "0")).await?;
    heard(&scheduler, &peer).await?;
    ensure!(has_ready(&scheduler, 0).await? && !has_ready(&scheduler, 1).await?);
    peer.loaded(&digest).await?;
    heard(&scheduler, &peer).await?;
    ensure!(has_ready(&scheduler, 1).await? && !has_ready(&scheduler, 2).await?);

    // Who is about to leave takes no further tasks.
    let reason = "the test is over".to_owned();
    peer.say(Report::Draining(pb::ExecutorDraining { reason }))
        .await?;
    heard(&scheduler, &peer).await?;
    ensure!(!has_ready(&scheduler, 1).await?);
    // A new stream begins anew, with what it says then.
    let again = Peer::open(&caller, ID, "run1").await?;
    heard(&scheduler, &again).await?;
    ensure!(!has_ready(&scheduler, 1).await?);
    again.loaded(&digest).await?;
    heard(&scheduler, &again).await?;
    ensure!(has_ready(&scheduler, 1).await?);
    Ok(())
}

#[tokio::test]
async fn what_no_executor_can_have_open_ends_the_stream() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let digest = digest_of(&scheduler).await?;
    let table = pb::PartitionsLoaded {
        table_name: "numbers".to_owned(),
        digest: digest.clone(),
        ..Default::default()
    };
    for report in [
        loaded(""),
        loaded("../../etc/passwd"),
        loaded(&digest[1..]),
        loaded(&digest.repeat(100)),
        Report::PartitionsLoaded(table),
        Report::Metrics(pb::ExecutorMetrics::default()),
    ] {
        let mut peer = Peer::open(&caller, ID, "run1").await?;
        peer.say(report.clone()).await?;
        let end = peer.end().await?;
        ensure!(end.code() == Code::InvalidArgument, "{report:?}: {end:?}");
        let told = |line: &LogLine| {
            line.message() == "executor disconnected" && line.field("reason") == Some(end.message())
        };
        scheduler.log().wait_for(told, PATIENCE).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_executor_that_never_answers_holds_up_a_change_for_a_bounded_time() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    // It neither reads nor answers; the other one does.
    let _silent = Peer::open(&caller, ID, "run1").await?;
    let mut other = Peer::open(&caller, "127.0.0.1:10", "run1").await?;
    let first = other.app_changed().await?;
    other.loaded(&first.digest).await?;
    other.acknowledge(&first.request_id, "").await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + VIEW)?;
    let second = other.app_changed().await?;
    other.loaded(&second.digest).await?;
    other.acknowledge(&second.request_id, "").await?;
    let changed = |line: &LogLine| line.message() == "spicepod changed";
    let line = scheduler.log().wait_for(changed, PATIENCE).await?;
    ensure!(line.value("ready") == Some(&json!(1)), "{line:?}");
    let unready = |line: &LogLine| {
        line.message() == "executor has not opened the changed spicepod yet"
            && line.field("executor") == Some(ID)
    };
    scheduler.log().wait_for(unready, PATIENCE).await?;
    Ok(())
}

/// With none that has it open, every query would fail.
#[tokio::test]
async fn a_definition_that_no_executor_has_open_yet_waits_for_the_first() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let mut peer = Peer::open(&caller, ID, "run1").await?;
    let first = peer.app_changed().await?;
    peer.loaded(&first.digest).await?;
    peer.acknowledge(&first.request_id, "").await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + VIEW)?;
    let second = peer.app_changed().await?;
    // One that reaches for a silent store takes longer than others are waited for.
    let changed = |line: &LogLine| line.message() == "spicepod changed";
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(12) {
        ensure!(document(&scheduler, "/v1/status").await?.is_object());
        ensure!(!scheduler.log().lines().iter().any(|line| changed(line)));
    }
    peer.loaded(&second.digest).await?;
    peer.acknowledge(&second.request_id, "").await?;
    let line = scheduler.log().wait_for(changed, PATIENCE).await?;
    ensure!(line.value("ready") == Some(&json!(1)), "{line:?}");
    Ok(())
}

#[tokio::test]
async fn a_definition_that_executors_leave_at_is_not_used() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let mut peer = Peer::open(&caller, ID, "run1").await?;
    let first = peer.app_changed().await?;
    peer.loaded(&first.digest).await?;
    peer.acknowledge(&first.request_id, "").await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + VIEW)?;
    peer.app_changed().await?;
    drop(peer);
    let rejected = |line: &LogLine| line.message() == "spicepod rejected, the one in use stays";
    let line = scheduler.log().wait_for(rejected, PATIENCE).await?;
    let error = line.field("error").unwrap_or_default();
    ensure!(
        error.contains("none of the 1 connected executors"),
        "{error}"
    );
    ensure!(digest_of(&scheduler).await? == first.digest);
    // With nobody there to ask, it is used.
    let changed = |line: &LogLine| line.message() == "spicepod changed";
    scheduler.log().wait_for(changed, PATIENCE).await?;
    ensure!(digest_of(&scheduler).await? != first.digest);
    Ok(())
}

#[tokio::test]
async fn a_definition_that_no_executor_can_open_is_not_used_until_one_can() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let mut peer = Peer::open(&caller, ID, "run1").await?;
    let first = peer.app_changed().await?;
    peer.loaded(&first.digest).await?;
    peer.acknowledge(&first.request_id, "").await?;

    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + VIEW)?;
    let second = peer.app_changed().await?;
    peer.acknowledge(&second.request_id, "no such file").await?;
    let rejected = |line: &LogLine| line.message() == "spicepod rejected, the one in use stays";
    let line = scheduler.log().wait_for(rejected, PATIENCE).await?;
    let error = line.field("error").unwrap_or_default();
    ensure!(
        error.contains("none of the 1 connected executors"),
        "{error}"
    );
    ensure!(digest_of(&scheduler).await? == first.digest);
    ensure!(has_ready(&scheduler, 1).await?, "it serves as before");
    let status = document(&scheduler, "/v1/status").await?;
    let app = &status["app"];
    ensure!(app["rejected"] == "executors", "{app}");
    let fault = json!({"address": ID, "digest": second.digest, "reason": "no such file"});
    ensure!(app["not_opened_by"] == json!([fault]), "{app}");

    // It is tried again, and this time the executor can.
    let third = peer.app_changed().await?;
    ensure!(third.digest == second.digest && third.request_id != second.request_id);
    peer.loaded(&third.digest).await?;
    peer.acknowledge(&third.request_id, "").await?;
    let changed = |line: &LogLine| line.message() == "spicepod changed";
    scheduler.log().wait_for(changed, PATIENCE).await?;
    ensure!(digest_of(&scheduler).await? == second.digest);
    Ok(())
}
