//! What a node tells about itself, one by one and waited for.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use cluster_tls::{
    CloseCause, ClosedEvent, CredentialFile, Events, HandshakeEvent, Refusal, RefusalReason,
    ReloadEvent, Side,
};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;

/// Far longer than anything here takes: whoever waits this long waits for ever.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// What came of looking at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Swapped(u64),
    Unchanged,
    Rejected(CredentialFile, &'static str),
}

/// A connection that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) side: Side,
    pub(crate) peer: String,
    pub(crate) cause: CloseCause,
}

impl Ended {
    /// Of a peer whose certificate was made by [`member`](crate::pki::member) as an executor.
    pub(crate) fn executor(side: Side, name: &str, cause: CloseCause) -> Self {
        let peer = format!("spiffe://cluster.local/executor/{name}");
        Self { side, peer, cause }
    }
}

/// A handshake that ended: well, or with a reason.
pub(crate) type Shaken = (Side, Result<(), RefusalReason>);

/// The receiving ends of one observer.
pub(crate) struct Observed {
    pub(crate) reloads: Receiver<Told>,
    pub(crate) endings: Receiver<Ended>,
    pub(crate) handshakes: Receiver<Shaken>,
}

/// Events that arrive one by one at the other end.
pub(crate) fn observer() -> (Arc<dyn Events>, Observed) {
    let (reloads, told) = mpsc::channel(CAPACITY);
    let (endings, ended) = mpsc::channel(CAPACITY);
    let (handshakes, shaken) = mpsc::channel(CAPACITY);
    let observer = Observer {
        reloads,
        endings,
        handshakes,
    };
    let observed = Observed {
        reloads: told,
        endings: ended,
        handshakes: shaken,
    };
    (Arc::new(observer), observed)
}

/// The next thing told, within the bound.
pub(crate) async fn next<T>(receiver: &mut Receiver<T>) -> T {
    within(receiver.recv()).await.unwrap()
}

/// Fails the test when something that must happen does not.
pub(crate) async fn within<F: Future>(event: F) -> F::Output {
    let Ok(output) = timeout(BOUND, event).await else {
        panic!("nothing happened within {BOUND:?}");
    };
    output
}

/// Asserts that nothing more was told. It looks back and not ahead: call it after something that
/// can only come later than what must not have come.
pub(crate) fn silent<T: Debug>(receiver: &mut Receiver<T>) {
    if let Ok(told) = receiver.try_recv() {
        panic!("told {told:?}");
    }
}

struct Observer {
    reloads: Sender<Told>,
    endings: Sender<Ended>,
    handshakes: Sender<Shaken>,
}

/// A test that is no longer interested has dropped its end. One that lets a channel fill up would
/// miss what it waits for and must fail.
fn tell<T: Debug>(sender: &Sender<T>, told: T) {
    if let Err(mpsc::error::TrySendError::Full(told)) = sender.try_send(told) {
        panic!("nobody reads {told:?}");
    }
}

impl Events for Observer {
    fn handshake(&self, event: &HandshakeEvent<'_>) {
        let outcome = event.outcome.map(|_| ()).map_err(Refusal::reason);
        tell(&self.handshakes, (event.side, outcome));
    }

    fn closed(&self, event: &ClosedEvent<'_>) {
        let ended = Ended {
            side: event.side,
            peer: event.peer.uri().unwrap_or_default().to_owned(),
            cause: event.cause,
        };
        tell(&self.endings, ended);
    }

    fn reloaded(&self, event: &ReloadEvent<'_>) {
        let told = match event {
            ReloadEvent::Swapped { snapshot } => Told::Swapped(snapshot.generation()),
            ReloadEvent::Unchanged => Told::Unchanged,
            ReloadEvent::Rejected { error } => Told::Rejected(error.file(), error.fault().code()),
            other => panic!("{other:?}"),
        };
        tell(&self.reloads, told);
    }
}

const CAPACITY: usize = 1024;
