//! One process under test.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::log::{Log, LogLine};

/// How to start a process.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What the test calls it.
    pub name: String,
    /// The program, usually from [`binary`](crate::binary).
    pub program: PathBuf,
    /// Its arguments, which must ask for the JSON log.
    pub arguments: Vec<OsString>,
    /// Who gets the signals of the terminal.
    pub signals: Signals,
    /// How long it may take to be ready.
    pub patience: Duration,
}

/// Whether a Ctrl-C reaches the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signals {
    /// As it does whoever started it. An interrupted test leaves nothing behind.
    Shared,
    /// It does not: who started it ends it in its own order.
    Own,
}

/// A listener of a node, as the `listening` event names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listener {
    /// The port between nodes.
    Internal,
    /// The public HTTP API.
    Http,
    /// Public Flight SQL.
    Flight,
    /// Prometheus metrics.
    Metrics,
}

impl Listener {
    /// All listeners a node can have.
    pub const ALL: [Self; 4] = [Self::Internal, Self::Http, Self::Flight, Self::Metrics];

    /// The name in the event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Http => "http",
            Self::Flight => "flight",
            Self::Metrics => "metrics",
        }
    }

    /// The flag that says where it is.
    fn flag(self) -> &'static str {
        match self {
            Self::Internal => "--node-bind-address",
            Self::Http => "--http",
            Self::Flight => "--flight",
            Self::Metrics => "--metrics",
        }
    }
}

/// A running process. Dropped, it is killed.
#[derive(Debug)]
pub struct Node {
    launch: Launch,
    child: Child,
    log: Log,
    listeners: BTreeMap<Listener, SocketAddr>,
}

impl Node {
    /// Starts a process and waits for its `ready` event.
    ///
    /// # Errors
    ///
    /// When it ends or is silent instead, with everything it wrote.
    pub async fn start(launch: Launch) -> Result<Self> {
        let patience = launch.patience;
        let mut node = Self::spawn(launch)?;
        let ready = node.log.find(|line| line.message() == "ready", patience);
        if let Err(why) = ready.await {
            node.child.start_kill().ok();
            let everything = node.log.tail(usize::MAX);
            bail!(
                "{} is not ready: {why}; it wrote:\n{everything}",
                node.name()
            );
        }
        node.listeners = listeners(&node.log);
        Ok(node)
    }

    /// Starts a process that may never be ready, and waits for nothing. Its listeners are not
    /// known.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(launch: Launch) -> Result<Self> {
        let mut child = spawn(&launch)?;
        let stderr = child.stderr.take().context("the process has no stderr")?;
        Ok(Self {
            launch,
            child,
            log: Log::follow(stderr),
            listeners: BTreeMap::new(),
        })
    }

    /// Starts a process that is expected to end by itself, and gives its status and its log.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or has not ended within the patience.
    pub async fn run_to_end(launch: Launch) -> Result<(ExitStatus, Log)> {
        let mut child = spawn(&launch)?;
        let stderr = child.stderr.take().context("the process has no stderr")?;
        let log = Log::follow(stderr);
        let Ok(status) = timeout(launch.patience, child.wait()).await else {
            bail!("{} still runs:\n{}", launch.name, log.tail(usize::MAX));
        };
        log.ended(launch.patience).await?;
        Ok((status?, log))
    }

    /// What the test calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// The number that the operating system gave it; `None` once it ended.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Where one of its listeners is.
    ///
    /// # Errors
    ///
    /// When it has no such listener.
    pub fn address(&self, listener: Listener) -> Result<SocketAddr> {
        self.listeners
            .get(&listener)
            .copied()
            .with_context(|| format!("{} does not listen for {}", self.name(), listener.as_str()))
    }

    /// Ends it at once, as a power cut would (SIGKILL).
    ///
    /// # Errors
    ///
    /// When it cannot be signalled.
    pub async fn kill(&mut self) -> Result<()> {
        let killed = self.child.kill().await;
        killed.with_context(|| format!("cannot kill {}", self.name()))
    }

    /// Ends it at once if it still runs, and starts it again with the same arguments at the same
    /// ports; what it wrote before is forgotten.
    ///
    /// # Errors
    ///
    /// When it ends or is silent instead of being ready, with everything it wrote.
    pub async fn restart(&mut self) -> Result<()> {
        if self.is_running()? {
            self.kill().await?;
        }
        let mut launch = self.launch.clone();
        // Others know it by these; the ports of the rest may be somebody else's by now.
        let known = [Listener::Internal, Listener::Flight];
        let known = self.listeners.iter().filter(|(it, _)| known.contains(it));
        for (listener, address) in known {
            let mut arguments = launch.arguments.iter_mut();
            // The value comes after its flag.
            if arguments.any(|argument| *argument == *listener.flag())
                && let Some(value) = arguments.next()
            {
                *value = address.to_string().into();
            }
        }
        *self = Self::start(launch).await?;
        Ok(())
    }

    /// Stops it where it stands (SIGSTOP), as a machine that swaps or a debugger would: its
    /// connections stay open and nobody answers.
    ///
    /// # Errors
    ///
    /// When it has ended, or cannot be signalled.
    pub async fn pause(&self) -> Result<()> {
        self.signal("STOP").await
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    pub async fn resume(&self) -> Result<()> {
        self.signal("CONT").await
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    ///
    /// When it still runs after `patience`, with its last lines.
    pub async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        let Some(id) = self.child.id() else {
            return Ok(self.child.wait().await?);
        };
        send(id, "TERM").await?;
        match timeout(patience, self.child.wait()).await {
            Ok(status) => {
                self.log.ended(patience).await?;
                Ok(status?)
            }
            Err(_) => bail!(
                "{} still runs {} s after SIGTERM; its last lines:\n{}",
                self.name(),
                patience.as_secs_f64(),
                self.log.tail(20)
            ),
        }
    }

    /// Asks it to look at its files again (SIGHUP).
    ///
    /// # Errors
    ///
    /// When it has ended, or cannot be signalled.
    pub async fn hang_up(&self) -> Result<()> {
        self.signal("HUP").await
    }

    /// Sends it a signal by its name without `SIG`, for example `STOP` and `CONT`.
    ///
    /// # Errors
    ///
    /// When it has ended, or cannot be signalled.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id();
        let id = id.with_context(|| format!("{} has ended", self.name()))?;
        send(id, name).await
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    ///
    /// When it still runs after `patience`, with its last lines.
    pub async fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        match timeout(patience, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} still runs:\n{}", self.name(), self.log.tail(20)),
        }
    }

    /// Whether it still runs.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

fn spawn(launch: &Launch) -> Result<Child> {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if launch.signals == Signals::Own {
        command.process_group(0);
    }
    command
        .spawn()
        .with_context(|| format!("cannot start {}", launch.program.display()))
}

/// Tokio can only kill, and a crate for a few signals is not worth it: every shell has `kill`.
pub(crate) async fn send(id: u32, signal: &str) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$0\"", &id.to_string(), signal])
        .status()
        .await
        .context("cannot start sh")?;
    if !status.success() {
        bail!("cannot send SIG{signal} to process {id}");
    }
    Ok(())
}

fn listeners(log: &Log) -> BTreeMap<Listener, SocketAddr> {
    log.lines()
        .iter()
        .filter_map(|line| listener(line))
        .collect()
}

fn listener(line: &LogLine) -> Option<(Listener, SocketAddr)> {
    if line.message() != "listening" {
        return None;
    }
    let name = line.field("listener")?;
    let listener = Listener::ALL.into_iter().find(|it| it.as_str() == name)?;
    Some((listener, line.field("address")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn script(text: &str) -> Launch {
        Launch {
            name: "script".to_owned(),
            program: "sh".into(),
            arguments: ["-c", text].map(OsString::from).to_vec(),
            signals: Signals::Shared,
            patience: PATIENCE,
        }
    }

    const READY: &str = r#"
        echo '{"message":"listening","listener":"http","address":"127.0.0.1:4711"}' >&2
        echo '{"message":"ready"}' >&2
    "#;

    fn ready_and_waiting() -> Launch {
        script(&format!("{READY} exec tail -f /dev/null"))
    }

    #[tokio::test]
    async fn a_ready_node_knows_its_listeners() {
        let mut node = Node::start(ready_and_waiting()).await.unwrap();
        let http = node.address(Listener::Http).unwrap();
        assert_eq!(http, "127.0.0.1:4711".parse().unwrap());
        assert!(node.address(Listener::Flight).is_err());
        assert!(node.is_running().unwrap());
    }

    #[tokio::test]
    async fn killing_and_terminating_end_a_node_by_their_own_signals() {
        let mut node = Node::start(ready_and_waiting()).await.unwrap();
        let status = node.terminate(PATIENCE).await.unwrap();
        assert_eq!(status.signal(), Some(15));

        let mut node = Node::start(ready_and_waiting()).await.unwrap();
        node.kill().await.unwrap();
        assert!(!node.is_running().unwrap());
        let status = node.terminate(PATIENCE).await.unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    #[tokio::test]
    async fn a_failed_start_shows_what_the_process_wrote() {
        let launch = script("echo 'error: 1. the key is missing' >&2; exit 1");
        let error = Node::start(launch).await.unwrap_err();
        assert!(format!("{error:#}").contains("1. the key is missing"));
    }

    #[tokio::test]
    async fn the_status_of_a_process_that_ends_is_told() {
        let launch = script("echo 'usage' >&2; exit 2");
        let (status, log) = Node::run_to_end(launch).await.unwrap();
        assert_eq!(status.code(), Some(2));
        assert_eq!(log.tail(1), "usage");
    }
}
