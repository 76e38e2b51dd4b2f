//! What is written down about secrets and denials.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cluster_proto::pb;
use cluster_proto::pb::cluster_service_client::ClusterServiceClient;
use cluster_test::{Launch, Leaf, Listener, LogLine, Metrics, Node, http_post};
use cluster_tls::Role;
use serde_json::Value;
use tonic::Code;

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
    expand(&caller, "vault", "s3.secret").await??;
    let moved = vault.path("audit.1");
    fs::rename(&path, &moved)?;
    scheduler.hang_up().await?;
    let anew = |line: &LogLine| line.message() == "audit log opened anew";
    scheduler.log().wait_for(anew, PATIENCE).await?;
    ensure!(lines(&path)?.is_empty());
    let _ = expand(&caller, "vault", "second").await?;
    scheduler.terminate(PATIENCE).await?;
    for (path, key) in [(&moved, "s3.secret"), (&path, "second")] {
        let lines = lines(path)?;
        ensure!(lines.len() == 1 && lines[0]["key"] == key, "{lines:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_has_its_line_where_the_path_says_though_others_lock_or_remove_the_file()
-> Result<()> {
    let vault = Vault::new().await?;
    let path = vault.path("audit.jsonl");
    let file = path.display().to_string();
    let mut scheduler = vault.scheduler(&["--audit-log", &file]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    let reader = fs::File::open(&path)?;
    reader.try_lock()?;
    for _ in 0..2 {
        expand(&caller, "vault", "s3.secret").await??;
        let lines = lines(&path)?;
        ensure!(lines.len() == 1, "{lines:?}");
        fs::remove_file(&path)?;
    }
    fs::create_dir(&path)?;
    let withheld = expand(&caller, "vault", "s3.secret").await?;
    let status = withheld.err().context("the secret was given")?;
    ensure!(status.code() == Code::Unavailable, "{status}");
    let told = |line: &LogLine| line.message().starts_with("audit log cannot be written");
    scheduler.log().wait_for(told, PATIENCE).await?;
    scheduler.terminate(PATIENCE).await?;
    Ok(())
}

/// The launch of a process whose files cannot grow beyond [`FILE_LIMIT_BYTES`], as on a full disk.
fn with_full_disk(mut launch: Launch) -> Launch {
    // What may not grow is an error to whoever ignores the signal.
    let limited = format!("trap '' XFSZ; exec prlimit --fsize={FILE_LIMIT_BYTES} \"$@\"");
    let program = std::mem::replace(&mut launch.program, "/bin/sh".into());
    let before = ["-c".into(), limited.into(), "sh".into(), program.into()];
    launch.arguments.splice(0..0, before);
    launch
}

/// Lines that leave too little room for another one.
fn nearly_full() -> String {
    let line = format!("{{\"filler\":\"{}\"}}\n", "x".repeat(1000));
    line.repeat(FILE_LIMIT_BYTES / line.len())
}

const FILE_LIMIT_BYTES: usize = 4096;

#[tokio::test]
async fn a_full_disk_keeps_secrets_back_until_there_is_room_and_nothing_else() -> Result<()> {
    let vault = Vault::new().await?;
    let path = vault.path("audit.jsonl");
    fs::write(&path, nearly_full())?;
    let file = path.display().to_string();
    let launch = with_full_disk(vault.scheduler_launch(&["--audit-log", &file])?);
    let mut scheduler = Node::start(launch).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    for _ in 0..2 {
        let withheld = expand(&caller, "vault", "s3.secret").await?;
        let status = withheld.err().context("the secret was given")?;
        ensure!(status.code() == Code::Unavailable, "{status}");
    }
    for told in ["audit log cannot be written", "secrets are withheld"] {
        let told = |line: &LogLine| line.message().starts_with(told);
        scheduler.log().wait_for(told, PATIENCE).await?;
    }
    let answer = http_post(scheduler.address(Listener::Http)?, "/v1/sql", "SELECT 1").await?;
    ensure!(answer.status == 200, "{answer:?}");
    let mut client = ClusterServiceClient::new(caller.channel());
    let executor_id = "127.0.0.1:9".to_owned();
    let definition = pb::GetAppDefinitionRequest { executor_id };
    client.get_app_definition(definition).await?;
    let metrics = Metrics::scrape(scheduler.address(Listener::Metrics)?).await?;
    ensure!(metrics.sum("spiced_audit_lost_total") == Some(2.0));
    let answers = |outcome| metrics.sum_where("spiced_secret_answers_total", outcome);
    ensure!(answers("withheld") == Some(2.0) && answers("given").unwrap_or(0.0) == 0.0);
    // No piece of a line is left, though some of it had room.
    ensure!(fs::read_to_string(&path)? == nearly_full());

    fs::rename(&path, vault.path("audit.1"))?;
    scheduler.hang_up().await?;
    let anew = |line: &LogLine| line.message() == "audit log opened anew";
    scheduler.log().wait_for(anew, PATIENCE).await?;
    expand(&caller, "vault", "s3.secret").await??;
    // Whoever has the answer finds its line.
    let lines = lines(&path)?;
    ensure!(
        lines.len() == 1 && lines[0]["outcome"] == "given",
        "{lines:?}"
    );
    scheduler.terminate(PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn denials_of_one_peer_have_a_share_of_the_file_and_given_secrets_all_their_lines()
-> Result<()> {
    let vault = Vault::new().await?;
    let path = vault.path("audit.jsonl");
    let file = path.display().to_string();
    let mut scheduler = vault.scheduler(&["--audit-log", &file]).await?;
    let denied = |name: &str| {
        let stranger = Leaf::new(name).with_role(Role::Client);
        vault.caller(&scheduler, &stranger)
    };
    let (loud, quiet) = (denied("loud")?, denied("quiet")?);
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    for _ in 0..LINES_A_MINUTE + 10 {
        let _ = expand(&loud, "vault", "s3.secret").await?;
        let _ = expand(&caller, "vault", "unreferenced").await?;
        expand(&caller, "vault", "s3.secret").await??;
    }
    let _ = expand(&quiet, "vault", "s3.secret").await?;
    scheduler.terminate(PATIENCE).await?;
    let lines = lines(&path)?;
    let of = |outcome: &str| lines.iter().filter(|it| it["outcome"] == outcome).count();
    ensure!(of("denied") == LINES_A_MINUTE + 1, "{}", of("denied"));
    ensure!(of("not_referenced") == LINES_A_MINUTE);
    ensure!(of("given") == LINES_A_MINUTE + 10);
    Ok(())
}

/// What one peer gets for what it is not given.
const LINES_A_MINUTE: usize = 60;

#[tokio::test]
async fn a_file_that_cannot_be_trusted_or_opened_is_a_fault_of_the_start() -> Result<()> {
    let vault = Vault::new().await?;
    let (shared, link) = (vault.path("shared.jsonl"), vault.path("link.jsonl"));
    fs::write(&shared, "")?;
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o622))?;
    symlink(vault.path("elsewhere.jsonl"), &link)?;
    let chmod = format!("chmod go-w {}", shared.display());
    for (path, told) in [
        (Path::new("/nowhere/audit.jsonl"), "/nowhere/audit.jsonl"),
        (&shared, chmod.as_str()),
        (&link, "is a link"),
    ] {
        let file = path.display().to_string();
        let launch = vault.scheduler_launch(&["--audit-log", &file])?;
        let (status, log) = Node::run_to_end(launch).await?;
        let text = log.tail(usize::MAX);
        ensure!(!status.success() && text.contains(told), "{text}");
    }
    ensure!(!vault.path("elsewhere.jsonl").exists());
    Ok(())
}

pub(super) fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}
