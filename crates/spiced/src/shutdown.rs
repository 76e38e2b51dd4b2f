use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// SIGTERM and SIGINT of this process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over; from here on they no longer end the process by themselves.
    pub(crate) fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How the serving of a node ended.
pub(crate) enum Ended<T> {
    /// By itself, or after the first signal.
    Served(T),
    /// A second signal: at once.
    Forced,
}

/// Runs `node` until it ends. The first signal cancels `shutdown`, which the node answers by
/// draining; the second ends it where it is.
pub(crate) async fn until_stopped<T>(
    mut signals: Signals,
    shutdown: CancellationToken,
    node: impl Future<Output = T>,
) -> Ended<T> {
    tokio::pin!(node);
    tokio::select! {
        served = &mut node => return Ended::Served(served),
        () = signals.next() => {
            tracing::info!("stopping, a second signal stops at once");
            shutdown.cancel();
        }
    }
    tokio::select! {
        served = &mut node => Ended::Served(served),
        () = signals.next() => Ended::Forced,
    }
}
