use std::time::Instant;

use tokio::sync::watch;

use super::list::Seen;
use super::{Access, Own};
use crate::state::StateError;

/// Whether the shared state can be reached for one purpose, told when that changes.
pub(super) struct Reach<'a> {
    access: Access,
    own: &'a Own,
    seen: &'a watch::Sender<Seen>,
    reached: Instant,
}

impl<'a> Reach<'a> {
    pub(super) fn new(access: Access, own: &'a Own, seen: &'a watch::Sender<Seen>) -> Self {
        Self {
            access,
            own,
            seen,
            reached: Instant::now(),
        }
    }

    /// Notes a success that began at `started`.
    pub(super) fn succeeded(&mut self, started: Instant) {
        self.own
            .events
            .state_reached(self.access, started.elapsed());
        let mut recovered = None;
        self.seen.send_if_modified(|seen| {
            recovered = seen.reached(self.access);
            recovered.is_some()
        });
        if let Some(since) = recovered {
            let after = since.elapsed();
            self.own.events.state_recovered(self.access, after);
        }
        self.reached = Instant::now();
    }

    pub(super) fn failed(&self, error: &StateError) {
        let first = self
            .seen
            .send_if_modified(|seen| seen.failed(self.access, self.reached));
        if first {
            self.own.events.state_failed(self.access, error);
        }
    }
}
