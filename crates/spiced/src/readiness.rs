use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster_executor::{LinkState, SchedulerLinks};
use cluster_scheduler::{Scheduler, SchedulerList};
use public_api::{Readiness, ReadyState};
use tokio_util::sync::CancellationToken;

/// Whether this node can serve.
pub(crate) struct NodeReadiness {
    started: AtomicBool,
    stopping: CancellationToken,
    scheduler: Option<Scheduler>,
    links: OnceLock<SchedulerLinks>,
    schedulers: Option<SchedulerList>,
}

impl NodeReadiness {
    pub(crate) fn new(
        stopping: CancellationToken,
        scheduler: Option<Scheduler>,
        schedulers: Option<SchedulerList>,
    ) -> Self {
        Self {
            started: AtomicBool::new(false),
            stopping,
            scheduler,
            links: OnceLock::new(),
            schedulers,
        }
    }

    /// From now on this node needs one of these schedulers.
    pub(crate) fn set_links(&self, links: SchedulerLinks) {
        // Once: a node has one set of schedulers, and keeps the first.
        let _ = self.links.set(links);
    }

    /// Everything that this node does is up.
    pub(crate) fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }
}

impl Readiness for NodeReadiness {
    fn check(&self) -> ReadyState {
        let mut reasons = vec![];
        if !self.started.load(Ordering::Acquire) {
            reasons.push("this node is starting".to_owned());
        }
        if self.stopping.is_cancelled() {
            reasons.push("this node is stopping".to_owned());
        }
        reasons.extend(self.links.get().and_then(no_scheduler));
        let cut_off = self.schedulers.as_ref().and_then(SchedulerList::cut_off);
        if let Some(span) = cut_off {
            reasons.push(format!(
                "the cluster state has been out of reach for {} s; the log says why",
                span.as_secs()
            ));
        }
        if reasons.is_empty() {
            ReadyState::Ready
        } else {
            ReadyState::NotReady { reasons }
        }
    }

    fn executors(&self) -> Option<usize> {
        self.scheduler.as_ref().map(Scheduler::ready_executors)
    }
}

/// Why an executor gets no work, if that is so.
fn no_scheduler(links: &SchedulerLinks) -> Option<String> {
    if links.connected() > 0 {
        return None;
    }
    let down = links.list().into_iter().take(SCHEDULERS_TOLD);
    let down: Vec<String> = down
        .filter_map(|link| match link.state {
            LinkState::Connected => None,
            LinkState::Down { reason } => Some(format!("{}: {reason}", link.address)),
        })
        .collect();
    Some(format!("no scheduler is connected ({})", down.join("; ")))
}

/// The rest is in the status.
const SCHEDULERS_TOLD: usize = 3;
