//! What a scheduler shows of an executor that cannot open the application.

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, Node, http_get};
use serde_json::{Value, json};

use super::commands::heard;
use super::peer::{ID, Peer, caller, digest_of};
use crate::fixture::Fixture;
use crate::status::command::spice;

pub(super) async fn document(node: &Node, path: &str) -> Result<Value> {
    let reply = http_get(node.address(Listener::Http)?, path).await?;
    ensure!(reply.status == 200, "{reply:?}");
    Ok(serde_json::from_str(&reply.body)?)
}

/// The executor of these tests, as the scheduler lists it.
async fn member(scheduler: &Node) -> Result<Value> {
    let list = document(scheduler, "/v1/nodes").await?;
    let nodes = list["nodes"].as_array().context("no list")?;
    let member = nodes.iter().find(|node| node["address"] == ID);
    member.cloned().context("it is not listed")
}

#[tokio::test]
async fn an_executor_that_cannot_open_the_application_is_shown_with_its_reason_until_it_can()
-> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    // Somebody else can.
    let _able = fixture.executor(&scheduler).await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let mut peer = Peer::open(&caller, ID, "run1").await?;
    let told = peer.app_changed().await?;
    let error = format!("no such\u{1b}[2J\nfile {}", "x".repeat(10_000));
    peer.acknowledge(&told.request_id, &error).await?;
    heard(&scheduler, &peer).await?;

    let listed = member(&scheduler).await?;
    ensure!(listed["version"] == "0.0.9[2J", "{listed}");
    ensure!(listed["app_digest"].is_null(), "{listed}");
    let fault = &listed["app_fault"];
    ensure!(fault["digest"] == told.digest, "{listed}");
    let reason = fault["reason"].as_str().context("no reason")?;
    ensure!(reason.starts_with("no such[2Jfile xxx"), "{reason}");
    ensure!(reason.len() == 200, "{reason}");
    let status = document(&scheduler, "/v1/status").await?;
    let expected = json!([{"address": ID, "digest": told.digest, "reason": reason}]);
    ensure!(status["app"]["not_opened_by"] == expected, "{status}");
    let short = &told.digest[..12];
    let remark = format!("! {ID} cannot open application {short}: {reason}\n");
    let shown = spice(&scheduler, &["nodes"]).await?.stdout;
    ensure!(shown.contains(&remark), "{shown}");
    let row = format!("! application {short} by {ID}: {reason}\n");
    let shown = spice(&scheduler, &["status"]).await?.stdout;
    ensure!(shown.contains(&row), "{shown}");

    peer.loaded(&told.digest).await?;
    heard(&scheduler, &peer).await?;
    let listed = member(&scheduler).await?;
    ensure!(listed["app_fault"].is_null(), "{listed}");
    ensure!(listed["app_digest"] == told.digest, "{listed}");
    let status = document(&scheduler, "/v1/status").await?;
    ensure!(status["app"]["not_opened_by"] == json!([]), "{status}");
    Ok(())
}

#[tokio::test]
async fn an_executor_that_has_another_application_open_is_marked() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let caller = caller(&fixture, &scheduler, "executor9")?;
    let peer = Peer::open(&caller, ID, "run1").await?;
    let (own, other) = (digest_of(&scheduler).await?, "0".repeat(64));
    // The one of its scheduler comes first, and others that it has open as well make no difference.
    for (digests, differs) in [(vec![&other], true), (vec![&own, &other], false)] {
        for digest in digests {
            peer.loaded(digest).await?;
        }
        heard(&scheduler, &peer).await?;
        let listed = member(&scheduler).await?;
        ensure!(listed["app_differs"] == differs, "{listed}");
        let shown = if differs { &other } else { &own };
        ensure!(listed["app_digest"] == shown.as_str(), "{listed}");
        let remark = format!("! {ID} has not opened the application of this scheduler yet");
        let printed = spice(&scheduler, &["nodes"]).await?.stdout;
        ensure!(printed.contains(&remark) == differs, "{printed}");
    }
    Ok(())
}
