//! What tests about the shared state start from.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::noop_waker;

use super::backoff::Backoff;
use super::cluster::ClusterState;
use super::document::{InstanceId, MemberId, SchedulerEntry};
use super::store::{StateStore, Version};

/// The entry of a run that is named by the test.
pub(crate) fn entry(id: &str, instance: &str) -> SchedulerEntry {
    let instance_id = serde_json::from_value(instance.into()).unwrap();
    let _: &InstanceId = &instance_id;
    SchedulerEntry {
        scheduler_id: MemberId(id.parse().unwrap()),
        instance_id,
        advertise_address: id.to_owned(),
        http_address: None,
        started_at_ms: 1,
        ttl_ms: 30_000,
        build_version: "1".to_owned(),
        app_digest: None,
        labels: BTreeMap::new(),
        process: None,
        other: serde_json::Map::new(),
    }
}

pub(crate) fn version_of(text: &'static str) -> Version {
    Version::new(Bytes::from_static(text.as_bytes()))
}

/// The state in a store, with no wait between attempts.
pub(crate) fn state_in(store: Arc<dyn StateStore>) -> ClusterState {
    ClusterState::new(store, "memory".to_owned(), Backoff::NONE)
}

/// A process, whose every step is one call to a store.
pub(crate) type Process<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A process that does `work`.
pub(crate) fn process<'a>(work: impl Future<Output = ()> + 'a) -> Process<'a> {
    Box::pin(work)
}

/// Runs processes to their ends, step by step: in the order that `turns` says, then one after the
/// other.
pub(crate) fn interleave(mut processes: Vec<Process<'_>>, turns: &[usize]) {
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    let mut turns = turns.iter().copied();
    while !processes.is_empty() {
        let turn = turns.next().unwrap_or(0) % processes.len();
        if let Poll::Ready(()) = processes[turn].as_mut().poll(&mut context) {
            drop(processes.remove(turn));
        }
    }
}
