//! Another application definition on a scheduler that runs.

use std::sync::Arc;
use std::time::Duration;

use cluster_proto::NodeId;
use spicepod::App;
use thiserror::Error;

use crate::cluster_service::ClusterServiceState;
use crate::members::AppProgress;

/// The connected executors after a change of the definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppChanged {
    /// They have the new one open and take tasks of it.
    pub ready: usize,
    /// They could not open it, or have not said so yet; tasks of the new one go to others.
    pub unready: Vec<NodeId>,
}

/// Why a definition is not used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppChangeError {
    /// Every executor that was asked could not open it, left, or has not managed to in a minute;
    /// what each said is in the log.
    #[error(
        "none of the {} connected executors has opened it; the log has what each of them lacks",
        executors.len()
    )]
    NoExecutor {
        /// Those that were asked.
        executors: Vec<NodeId>,
    },
}

/// Gives executors `app` and waits, for a bounded time, until they have it open.
///
/// Where all of them fail they are given the one before again: a definition that nobody can open
/// must not stop the queries that work.
pub(crate) async fn change(
    state: &ClusterServiceState,
    app: Arc<App>,
) -> Result<AppChanged, AppChangeError> {
    let before = state.app.borrow().clone();
    let asked = state.members.able();
    if before.digest() != app.digest() {
        state.members.ask_anew(app.digest());
    }
    announce(state, app.clone());
    let mut progress = state.members.app_settled(app.digest(), OPEN_PATIENCE).await;
    if progress.ready.is_empty() && !progress.waiting.is_empty() {
        progress = state.members.app_begun(app.digest(), FIRST_PATIENCE).await;
    }
    let AppProgress {
        ready,
        mut failed,
        waiting,
    } = progress;
    // Who has gone meanwhile has not opened it, and may have gone because of it.
    let heard = |id: &NodeId| {
        [&ready, &failed, &waiting]
            .into_iter()
            .any(|ids| ids.contains(id))
    };
    let gone: Vec<NodeId> = asked.into_iter().filter(|id| !heard(id)).collect();
    failed.extend(gone);
    if ready.is_empty() && !(failed.is_empty() && waiting.is_empty()) {
        announce(state, before);
        failed.extend(waiting);
        return Err(AppChangeError::NoExecutor { executors: failed });
    }
    Ok(AppChanged {
        ready: ready.len(),
        unready: failed.into_iter().chain(waiting).collect(),
    })
}

/// The definition first: whoever is told asks for it at once.
fn announce(state: &ClusterServiceState, app: Arc<App>) {
    let digest = app.digest().to_owned();
    state.app.send_replace(app);
    state.streams.app_changed(&digest);
}

/// How long they do so for the sake of the first: with none that has it open, every query would fail.
/// A store that is silent is given up by then.
const FIRST_PATIENCE: Duration = Duration::from_secs(60);

/// How long new queries go on with the old definition for the sake of executors that take their
/// time with the new one. Later ones join in when they are done.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);
