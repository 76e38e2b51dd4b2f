//! What is written down about secrets and denials.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cluster_test::{Leaf, Listener, LogLine, Metrics, Node};
use cluster_tls::Role;
use serde_json::Value;

use super::{Vault, executor_leaf, expand};
use crate::fixture::PATIENCE;

#[tokio::test]
async fn every_answer_and_every_denied_call_leaves_a_line_without_the_value() -> Result<()> {
    let vault = Vault::new().await?;
    let path = vault.path("audit.jsonl");
    let file = path.display().to_string();
    let mut scheduler = vault.scheduler(&["--audit-log", &file]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    for key in ["s3.secret", "unreferenced"] {
        let _ = expand(&caller, "vault", key).await?;
    }
    let stranger = Leaf::new("stranger").with_role(Role::Client);
    let stranger = vault.caller(&scheduler, &stranger)?;
    for _ in 0..3 {
        let _ = expand(&stranger, "vault", "s3.secret").await?;
    }
    // What was asked for is written when the node has ended.
    scheduler.terminate(PATIENCE).await?;
    let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    let lines = lines(&path)?;
    let of = |outcome: &str| lines.iter().filter(|it| it["outcome"] == outcome).count();
    ensure!(
        (of("given"), of("not_referenced"), of("denied"), lines.len()) == (1, 1, 3, 5),
        "{lines:#?}"
    );
    for line in &lines {
        ensure!(line["method"] == "/spice.protobuf.ClusterService/ExpandSecret");
        ensure!(
            line["time"].as_str().is_some_and(|it| it.ends_with('Z')),
            "{line}"
        );
        let fingerprint = line["fingerprint"].as_str().context("no fingerprint")?;
        ensure!(fingerprint.len() == 64, "{line}");
        let remote = line["remote"].as_str().context("no remote address")?;
        ensure!(remote.starts_with("127.0.0.1:"), "{line}");
    }
    let given = &lines[0];
    ensure!(
        given["key"] == "s3.secret" && given["store"] == "vault",
        "{given}"
    );
    ensure!(
        given["executor"] == "127.0.0.1:9" && given["role"] == "executor",
        "{given}"
    );
    let peer = given["peer"].as_str().context("no peer")?;
    ensure!(
        peer.contains("spiffe://cluster.local/executor/caller"),
        "{given}"
    );
    ensure!(given["request_id"].is_string());
    ensure!(lines[4]["reason"] == "role" && lines[4]["role"] == "client");
    let keys = vault.bucket.credentials();
    let text = fs::read_to_string(&path)?;
    ensure!(!text.contains(&keys.secret_access_key) && !text.contains("unreferenced-value"));
    Ok(())
}

#[tokio::test]
async fn without_a_file_the_log_has_what_was_asked_for() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    for (key, outcome) in [("s3.secret", "given"), ("nothing", "not_referenced")] {
        let _ = expand(&caller, "vault", key).await?;
        let told = |line: &LogLine| {
            line.field("target") == Some("audit")
                && line.field("key") == Some(key)
                && line.field("outcome") == Some(outcome)
        };
        scheduler.log().wait_for(told, PATIENCE).await?;
    }
    let metrics = Metrics::scrape(scheduler.address(Listener::Metrics)?).await?;
    for outcome in ["given", "not_referenced"] {
        let counted = metrics.sum_where("spiced_secret_answers_total", outcome);
        ensure!(counted == Some(1.0), "{outcome}: {counted:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_hang_up_lets_go_of_a_file_that_was_moved_away() -> Result<()> {
    let vault = Vault::new().await?;
    let path = vault.path("audit.jsonl");
    let file = path.display().to_string();
    let mut scheduler = vault.scheduler(&["--audit-log", &file]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    let _ = expand(&caller, "vault", "first").await?;
    let moved = vault.path("audit.1");
    fs::rename(&path, &moved)?;
    scheduler.hang_up().await?;
    let anew = |line: &LogLine| line.message() == "audit log opened anew";
    scheduler.log().wait_for(anew, PATIENCE).await?;
    let _ = expand(&caller, "vault", "second").await?;
    scheduler.terminate(PATIENCE).await?;
    for (path, key) in [(&moved, "first"), (&path, "second")] {
        let lines = lines(path)?;
        ensure!(lines.len() == 1 && lines[0]["key"] == key, "{lines:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_full_disk_stops_nothing_and_is_counted() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&["--audit-log", "/dev/full"]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    for _ in 0..2 {
        expand(&caller, "vault", "s3.secret").await??;
    }
    let told = |line: &LogLine| line.message() == "audit log cannot be written";
    scheduler.log().wait_for(told, PATIENCE).await?;
    let metrics = Metrics::scrape(scheduler.address(Listener::Metrics)?).await?;
    let lost = metrics.sum("spiced_audit_lost_total");
    ensure!(lost.is_some_and(|lost| lost >= 1.0), "{lost:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_a_fault_of_the_start() -> Result<()> {
    let vault = Vault::new().await?;
    let launch = vault.scheduler_launch(&["--audit-log", "/nowhere/audit.jsonl"])?;
    let (status, log) = Node::run_to_end(launch).await?;
    let told = log.tail(usize::MAX);
    ensure!(
        !status.success() && told.contains("/nowhere/audit.jsonl"),
        "{told}"
    );
    Ok(())
}

fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}
