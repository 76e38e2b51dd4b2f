//! Whom an executor of two schedulers asks for the secrets of which.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use cluster_test::{Launch, Leaf, Listener, LogLine, Node, NodeArguments};
use cluster_tls::Role;

use super::audit::lines;
use super::{MANIFEST, Vault, reads_three};
use crate::fixture::PATIENCE;

/// A scheduler over another spicepod, which has the same table with the keys of another store.
fn other_scheduler(vault: &Vault, audit: &Path) -> Result<Launch> {
    let keys = vault.bucket.credentials();
    vault.put("attic/s3.key", &keys.access_key_id)?;
    vault.put("attic/s3.secret", &keys.secret_access_key)?;
    let manifest = MANIFEST.replace("ENDPOINT", &vault.bucket.endpoint());
    let path = vault.path("other.yaml");
    fs::write(&path, manifest.replace("${vault:", "${attic:"))?;
    let leaf = Leaf::new("scheduler2").with_role(Role::Scheduler);
    let paths = vault.fixture.pki().write("scheduler2", &leaf)?;
    let arguments = NodeArguments {
        manifest: Some(path),
        data: vault.path("scheduler2-data"),
        ..vault.fixture.scheduler_with(paths)
    };
    let audit = audit.display().to_string();
    Ok(vault.fixture.launch(&arguments, &["--audit-log", &audit]))
}

#[tokio::test]
async fn a_scheduler_is_asked_for_the_secrets_of_its_own_definition_and_no_others() -> Result<()> {
    let vault = Vault::new().await?;
    let audits = [vault.path("first.jsonl"), vault.path("second.jsonl")];
    let file = audits[0].display().to_string();
    let first = vault.scheduler(&["--audit-log", &file]).await?;
    let second = Node::start(other_scheduler(&vault, &audits[1])?).await?;
    let mut executor = vault.executor(&first)?;
    let seed = second.address(Listener::Internal)?.to_string();
    let more = ["--scheduler-address".into(), seed.into()];
    executor.arguments.extend(more);
    let _executor = Node::start(executor).await?;
    for scheduler in [&first, &second] {
        let open = |line: &LogLine| line.message() == "executor has the application open";
        scheduler.log().wait_for(open, PATIENCE).await?;
        reads_three(scheduler, "numbers").await?;
    }
    for (audit, store) in audits.iter().zip(["vault", "attic"]) {
        let lines = lines(audit)?;
        ensure!(lines.len() >= 2, "{lines:?}");
        for line in lines {
            ensure!(
                line["store"] == store && line["outcome"] == "given",
                "{line}"
            );
        }
    }
    Ok(())
}
