use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster_proto::NodeId;
use cluster_scheduler::{
    Access, Departure, MIN_MEMBER_TTL, Membership, MembershipEvents, MembershipOptions,
    StateLocation,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long each of `looks` took for one of `count` members, after as many as it takes to know
/// them all.
pub(crate) async fn looks(
    count: usize,
    looks: usize,
    location: &impl Fn() -> StateLocation,
) -> Result<Vec<Duration>> {
    for number in 1..count {
        // Its entry and its heartbeat stay, and nobody misses it while this runs.
        let (other, beats) = member(number, location(), LONG, Access::Heartbeat).await?;
        other.join().await?;
        while_running(other, first(beats, 1)).await?;
    }
    let (measured, taken) = member(count, location(), MIN_MEMBER_TTL, Access::Discovery).await?;
    measured.join().await?;
    let list = measured.list();
    let measuring = async {
        let taken = first(taken, looks + 1).await?;
        ensure!(list.all().len() == count, "not all were seen");
        Ok(taken[1..].to_vec())
    };
    while_running(measured, measuring).await
}

/// The first durations that are heard of.
async fn first(mut heard: mpsc::Receiver<Duration>, count: usize) -> Result<Vec<Duration>> {
    let mut durations = vec![];
    while durations.len() < count {
        let next = timeout(PATIENCE, heard.recv()).await?;
        durations.push(next.context("the membership ended")?);
    }
    Ok(durations)
}

async fn while_running<T>(member: Membership, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        stopped = member.run(Default::default()) => {
            stopped?;
            anyhow::bail!("the membership ended")
        }
    }
}

async fn member(
    number: usize,
    location: StateLocation,
    ttl: Duration,
    access: Access,
) -> Result<(Membership, mpsc::Receiver<Duration>)> {
    let (sender, events) = mpsc::channel(QUEUE);
    let membership = Membership::open(MembershipOptions {
        node_id: NodeId::new("localhost", u16::try_from(number)?)?,
        http_address: None,
        version: "1".to_owned(),
        app_digest: "0".repeat(64),
        ttl,
        location,
        events: Arc::new(Durations { access, sender }),
    });
    Ok((membership.await?, events))
}

/// Hears how long it took to reach the state for one purpose.
struct Durations {
    access: Access,
    sender: mpsc::Sender<Duration>,
}

impl MembershipEvents for Durations {
    fn waiting_for_id(&self, _: &NodeId, _: &str, _: Duration) {}
    fn took_over(&self, _: &NodeId, _: &str, _: &'static str) {}
    fn joined_again(&self, _: &NodeId) {}
    fn left(&self) {}
    fn not_left(&self, _: &(dyn Error + 'static)) {}
    fn scheduler_joined(&self, _: &NodeId, _: usize) {}
    fn scheduler_restarted(&self, _: &NodeId) {}
    fn scheduler_left(&self, _: &NodeId, _: usize, _: Departure) {}
    fn app_differs(&self, _: &NodeId, _: &str, _: &str) {}
    fn app_agrees(&self, _: &NodeId, _: &str) {}
    fn state_failed(&self, _: Access, _: &(dyn Error + 'static)) {}
    fn state_recovered(&self, _: Access, _: Duration) {}
    fn state_reached(&self, access: Access, took: Duration) {
        if access == self.access {
            // A full queue means that nobody counts any more.
            let _ = self.sender.try_send(took);
        }
    }
}

const LONG: Duration = Duration::from_secs(60 * 60);

/// A look comes every half second.
const PATIENCE: Duration = Duration::from_secs(10);

const QUEUE: usize = 16;
