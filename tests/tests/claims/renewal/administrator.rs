//! An administrator with `spice cluster tls`, and a cluster that answers queries meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use cluster_test::{ClusterPlan, Listener, NodePlan, TestCluster, binary};
use cluster_tls::CredentialPaths;
use tempfile::TempDir;

use super::load::{Load, NATIONS, NODES, SHUFFLED, all_renewed};
use crate::dataset::TpchData;

/// A home with an authority, and the directory that nodes read their files from.
struct Administrator {
    spice: PathBuf,
    home: TempDir,
}

impl Administrator {
    fn new() -> Result<Self> {
        Ok(Self {
            spice: binary("spice")?,
            home: tempfile::tempdir()?,
        })
    }

    fn run(&self, words: &[&str]) -> Result<Output> {
        Command::new(&self.spice)
            .args(["cluster", "tls"])
            .args(words)
            .env("HOME", self.home.path())
            .env_remove("SPICE_PKI_DIR")
            .current_dir(self.directory())
            .output()
            .context("cannot start spice")
    }

    fn done(&self, words: &[&str]) -> Result<()> {
        let output = self.run(words)?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{words:?}: {told}");
        Ok(())
    }

    fn directory(&self) -> &Path {
        self.home.path()
    }

    fn paths(&self, name: &str) -> CredentialPaths {
        CredentialPaths {
            ca: self.directory().join("ca.pem"),
            certificate: self.directory().join(format!("{name}.pem")),
            key: self.directory().join(format!("{name}-key.pem")),
        }
    }

    /// Whether a node takes somebody with these files, which trusts what is in `ca`.
    fn is_admitted(&self, to: &str, name: &str, ca: &str) -> Result<bool> {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}-key.pem"));
        let words = [
            "connect",
            to,
            "--ca",
            ca,
            "--cert",
            &certificate,
            "--key",
            &key,
        ];
        Ok(self.run(&words)?.status.success())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_exchanged_with_three_commands_under_load_without_a_failed_query() -> Result<()>
{
    let administrator = Administrator::new()?;
    let run = |words: &[&str]| administrator.done(words);
    run(&["init"])?;
    for name in NODES.into_iter().chain(["executor3"]) {
        run(&["add", name])?;
    }
    // What somebody keeps who is not rolled out to: files of the old root alone.
    for (file, copy) in [
        ("ca.pem", "old-ca.pem"),
        ("executor3.pem", "old.pem"),
        ("executor3-key.pem", "old-key.pem"),
    ] {
        fs::copy(
            administrator.directory().join(file),
            administrator.directory().join(copy),
        )?;
    }
    let data = TpchData::shared().await?;
    let cluster = TestCluster::start(plan(data.cluster()?, &administrator)).await?;
    let load = Load::start(&cluster, SHUFFLED, NATIONS)?;
    let address = cluster.node("scheduler1")?.address(Listener::Internal)?;
    let to = format!("127.0.0.1:{}", address.port());

    run(&["rotate-ca", "start"])?;
    all_renewed(&cluster, 1).await?;
    ensure!(
        administrator.is_admitted(&to, "old", "old-ca.pem")?,
        "the old root goes too early"
    );
    let early = administrator.run(&["rotate-ca", "finish", "--yes"])?;
    ensure!(
        early.status.code() == Some(1),
        "finished before anybody was renewed"
    );
    run(&["renew", "--retiring"])?;
    all_renewed(&cluster, 2).await?;
    run(&["rotate-ca", "finish", "--yes"])?;
    all_renewed(&cluster, 3).await?;

    let asked = load.finish().await.context("a query failed meanwhile")?;
    ensure!(asked > 0, "nobody asked anything");
    ensure!(
        !administrator.is_admitted(&to, "old", "old-ca.pem")?,
        "the old root is still believed"
    );
    ensure!(
        administrator.is_admitted(&to, "executor3", "ca.pem")?,
        "the new root is not believed"
    );
    Ok(())
}

fn plan(plan: ClusterPlan, administrator: &Administrator) -> ClusterPlan {
    let node = |name: &str| NodePlan::new(name).with_credentials(administrator.paths(name));
    let [scheduler, executors @ ..] = NODES;
    plan.with_scheduler(node(scheduler))
        .with_executors(executors.into_iter().map(node).collect())
}
