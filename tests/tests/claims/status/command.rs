//! The `spice` command against a node, and a node that is no member of a cluster.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use cluster_test::{Launch, Listener, Node, Signals, binary};
use tokio::process::Command;
use tokio::time::timeout;

use crate::fixture::{Fixture, PATIENCE};

/// How a run of the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Asks `node`.
pub(crate) async fn spice(node: &Node, arguments: &[&str]) -> Result<Ended> {
    spice_at(node.address(Listener::Http)?, arguments).await
}

pub(super) async fn spice_at(http: SocketAddr, arguments: &[&str]) -> Result<Ended> {
    let running = Command::new(binary("spice")?)
        .args(arguments)
        .args(["--http-endpoint", &format!("http://{http}")])
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, running).await.context("spice hangs")??;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// A node by itself over the table of the fixture.
pub(super) fn standalone(fixture: &Fixture) -> Result<Launch> {
    let loopback = "127.0.0.1:0";
    let mut arguments = vec![fixture.manifest().into_os_string()];
    for (flag, value) in [("--http", loopback), ("--flight", loopback)] {
        arguments.extend([flag.into(), value.into()]);
    }
    arguments.extend(["--log-format".into(), "json".into(), "--data-dir".into()]);
    arguments.push(fixture.directory().join("single-data").into_os_string());
    Ok(Launch {
        name: "standalone".to_owned(),
        program: binary("spiced")?,
        arguments,
        signals: Signals::Shared,
        patience: PATIENCE,
    })
}
