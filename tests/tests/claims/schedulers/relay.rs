//! A relay to a node that swallows what a rule says, and then hangs up on everybody once.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Forwards until it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    rule: Arc<Mutex<State>>,
    cuts: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

/// What gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The next large message that the node sends: it leaves the node and does not arrive whole.
    Answer,
    /// What is sent to the node after the next large message that it sends: that arrives, and what
    /// comes of it does not reach the node.
    Report,
}

#[derive(Debug, Default)]
struct State {
    armed: Option<Loss>,
    /// Whether the node has sent something large since then.
    answered: bool,
    /// Bytes that were swallowed since then.
    swallowed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToNode,
    FromNode,
}

/// What to do with some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Swallow,
    Cut,
}

impl Relay {
    /// Listens on `address` with the port of `node`, and forwards to `node`.
    pub(super) async fn start(address: IpAddr, node: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((address, node.port())).await;
        let listener = listener.with_context(|| format!("no relay at {address}"))?;
        let rule = Arc::new(Mutex::new(State::default()));
        let (cut, cuts) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let rule = rule.clone();
            async move {
                let mut connections = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    connections.spawn(forward(client, node, rule.clone(), cut.clone()));
                }
            }
        });
        Ok(Self {
            rule,
            cuts,
            _tasks: tasks,
        })
    }

    /// From now on this gets lost, with the connections that are open then.
    pub(super) fn lose(&self, loss: Loss) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = State {
            armed: Some(loss),
            ..State::default()
        };
    }

    /// Waits until it has been lost so often.
    pub(super) async fn has_cut(&self, times: usize) -> Result<()> {
        let mut cuts = self.cuts.clone();
        cuts.wait_for(|cuts| *cuts >= times).await?;
        Ok(())
    }
}

impl State {
    fn judge(&mut self, direction: Direction, bytes: usize) -> Verdict {
        let large = bytes >= LARGE;
        match (self.armed, direction) {
            (None, _) | (Some(Loss::Answer), Direction::ToNode) => Verdict::Pass,
            // What is small passes: whoever waits for it would ask for nothing more.
            (Some(Loss::Answer), Direction::FromNode) if !large => Verdict::Pass,
            (Some(Loss::Answer), Direction::FromNode) => self.cut(),
            (Some(Loss::Report), Direction::FromNode) => {
                self.answered |= large;
                Verdict::Pass
            }
            (Some(Loss::Report), Direction::ToNode) if !self.answered => Verdict::Pass,
            (Some(Loss::Report), Direction::ToNode) => {
                self.swallowed += bytes;
                if self.swallowed < SMALL {
                    return Verdict::Swallow;
                }
                self.cut()
            }
        }
    }

    fn cut(&mut self) -> Verdict {
        self.armed = None;
        Verdict::Cut
    }
}

async fn forward(
    client: TcpStream,
    node: SocketAddr,
    rule: Arc<Mutex<State>>,
    cut: watch::Sender<usize>,
) {
    let Ok(node) = TcpStream::connect(node).await else {
        return;
    };
    let mut others_cut = cut.subscribe();
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    tokio::select! {
        () = pass((from_client, to_node), Direction::ToNode, &rule, &cut) => {}
        () = pass((from_node, to_client), Direction::FromNode, &rule, &cut) => {}
        _ = others_cut.changed() => {}
    }
}

/// Passes bytes on until either side ends or the rule says so.
async fn pass(
    (mut from, mut to): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    direction: Direction,
    rule: &Mutex<State>,
    cut: &watch::Sender<usize>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        match judge(rule, direction, length) {
            Verdict::Swallow => {}
            Verdict::Cut => {
                cut.send_modify(|cuts| *cuts += 1);
                return;
            }
            Verdict::Pass => {
                if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn judge(rule: &Mutex<State>, direction: Direction, bytes: usize) -> Verdict {
    let mut state = rule.lock().unwrap_or_else(PoisonError::into_inner);
    state.judge(direction, bytes)
}

/// More than a poll without work, a hint or a ping has; a task with its plan and its settings has
/// many times as much, and comes in one piece on one machine.
const LARGE: usize = 2 * 1024;

/// More than pings and window updates; the report of a task is larger.
const SMALL: usize = 200;
