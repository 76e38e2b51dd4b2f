//! Keeping the node's credentials up to date, by itself and when asked.

use anyhow::Context;
use cluster_tls::Reloader;
use tokio::signal::unix::{SignalKind, signal};

use super::Node;

/// Takes SIGHUP on a node that has no credentials to look at: by itself it would end the process.
pub(super) fn take_hangups(node: &Node) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
    let (shutdown, observer) = (node.shutdown.clone(), node.observer.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = hangups.recv() => {
                    observer.audit().reopen();
                    tracing::info!("SIGHUP: this node has no certificates to read again");
                }
                () = shutdown.cancelled() => return,
            }
        }
    });
    Ok(())
}

/// Follows the files until the node stops; SIGHUP asks for a look now, and opens the audit log
/// anew.
pub(super) fn keep_up(node: &Node, reloader: Reloader) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
    let trigger = reloader.trigger();
    let following = reloader.run(node.observer.clone());
    let (shutdown, observer) = (node.shutdown.clone(), node.observer.clone());
    tokio::spawn(async move {
        let asking = async {
            while hangups.recv().await.is_some() {
                observer.audit().reopen();
                trigger.reload();
            }
            // Without a source of signals there is nobody who asks.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = following => {}
            () = asking => {}
            () = shutdown.cancelled() => {}
        }
    });
    Ok(())
}
