//! A server process that lives as long as its standard input is open, so that it ends with the test
//! however the test ends.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::log::{Log, LogLine};
use crate::node::send;

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    /// What the server lives on.
    input: Option<ChildStdin>,
    log: Log,
}

impl Process {
    pub(super) async fn start(
        name: &'static str,
        mut command: Command,
        input: &str,
    ) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stderr = child.stderr.take().context("the process has no stderr")?;
        let mut stdin = child.stdin.take().context("the process has no stdin")?;
        stdin.write_all(input.as_bytes()).await?;
        Ok(Self {
            name,
            child,
            input: Some(stdin),
            log: Log::follow(stderr),
        })
    }

    /// Waits for a line that it writes.
    pub(super) async fn wait_for(&self, wanted: impl Fn(&LogLine) -> bool) -> Result<Arc<LogLine>> {
        let line = self.log.wait_for(wanted, START_PATIENCE).await;
        line.with_context(|| format!("{} does not start", self.name))
    }

    /// Writes to its standard input.
    pub(super) async fn tell(&mut self, text: &str) -> Result<()> {
        let name = self.name;
        let input = self.input.as_mut();
        let input = input.with_context(|| format!("{name} has ended"))?;
        Ok(input.write_all(text.as_bytes()).await?)
    }

    /// Ends it and waits until it has.
    pub(super) async fn stop(&mut self) -> Result<ExitStatus> {
        self.input = None;
        match timeout(STOP_PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} does not end:\n{}", self.name, self.log.tail(20)),
        }
    }

    /// Sends it a signal.
    pub(super) async fn signal(&self, signal: &str) -> Result<()> {
        let id = self.child.id();
        let id = id.with_context(|| format!("{} has ended", self.name))?;
        send(id, signal).await
    }
}

/// Both start in two seconds; a busy machine takes a tenth of this.
const START_PATIENCE: Duration = Duration::from_secs(60);

const STOP_PATIENCE: Duration = Duration::from_secs(30);
