//! How many calls of one certificate a node reads at a time, over all its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use cluster_test::{Leaf, Listener};
use cluster_tls::Role;
use futures::{StreamExt, stream};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::calls::{Caller, ensure_denied};
use super::{Scene, call_denied, holder_of};
use crate::fixture::PATIENCE;

const POLL: &str = "/ballista.protobuf.SchedulerGrpc/PollWork";
const ASK: &str = "/spice.protobuf.ClusterService/GetAppDefinition";
const FETCH: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// Methods that an executor may not call, to wait behind.
const SUBMIT: &str = "/ballista.protobuf.SchedulerGrpc/ExecuteQuery";
const PUT: &str = "/arrow.flight.protocol.FlightService/DoPut";

#[tokio::test]
async fn a_scheduler_reads_four_polls_and_sixty_four_control_calls_of_one_certificate() -> Result<()>
{
    let scene = Scene::start().await?;
    let server = scene.scheduler.address(Listener::Internal)?;
    let leaf = holder_of(Role::Executor);
    let callers = Caller::pair(scene.fixture.pki(), &leaf, server, Role::Scheduler)?;
    let mut crowd = Crowd::of(callers.clone(), SUBMIT);
    crowd.hold(POLL, 4).await?;
    crowd.hold(ASK, 64).await?;
    let other = scene.to_scheduler(&Leaf::new("other").with_role(Role::Executor))?;
    for path in [POLL, ASK] {
        let status = other.call(path, "").await?;
        ensure!(status.code() == Code::InvalidArgument, "{path}: {status:?}");
    }
    for path in [POLL, ASK] {
        crowd.has_no_seat(path).await?;
        call_denied(&scene.scheduler, path, Role::Executor, "too_many_calls").await?;
    }
    drop(crowd);
    // The seats of calls that were given up are free again.
    let status = callers[0].call(POLL, "").await?;
    ensure!(status.code() == Code::InvalidArgument, "{status:?}");
    scene.still_answers().await
}

#[tokio::test]
async fn an_executor_reads_two_hundred_and_fifty_six_fetches_of_one_certificate() -> Result<()> {
    let scene = Scene::start().await?;
    let server = scene.executor.address(Listener::Internal)?;
    let leaf = holder_of(Role::Executor);
    let callers = Caller::pair(scene.fixture.pki(), &leaf, server, Role::Executor)?;
    let mut crowd = Crowd::of(callers, PUT);
    crowd.hold(FETCH, 256).await?;
    crowd.has_no_seat(FETCH).await?;
    call_denied(&scene.executor, FETCH, Role::Executor, "too_many_calls").await?;
    scene.still_answers().await
}

/// Calls on two connections whose messages never end.
struct Crowd {
    callers: [Caller; 2],
    forbidden: &'static str,
    held: JoinSet<Result<Status>>,
}

impl Crowd {
    fn of(callers: [Caller; 2], forbidden: &'static str) -> Self {
        Self {
            callers,
            forbidden,
            held: JoinSet::new(),
        }
    }

    /// Begins so many calls, which have all arrived when this returns.
    async fn hold(&mut self, path: &'static str, calls: usize) -> Result<()> {
        let sent = Arc::<AtomicUsize>::default();
        for caller in self.callers.iter().cycle().take(calls) {
            let (caller, sent) = (caller.clone(), sent.clone());
            let begin = stream::once(async move {
                sent.fetch_add(1, Ordering::SeqCst);
                Bytes::new()
            });
            let unfinished = begin.chain(stream::pending());
            self.held
                .spawn(async move { caller.call_with(path, unfinished).await });
        }
        let all_sent = async {
            while sent.load(Ordering::SeqCst) < calls {
                yield_now().await;
            }
        };
        timeout(PATIENCE, all_sent).await?;
        // On one connection calls arrive in order: what is denied now has come after all of them.
        for caller in &self.callers {
            ensure_denied(&caller.call(self.forbidden, "").await?, self.forbidden)?;
        }
        ensure!(self.held.try_join_next().is_none(), "{path} has ended");
        Ok(())
    }

    /// One call more is not read. Which one that is, is chance: calls arrive in order, and each
    /// takes its seat in a task of its own.
    async fn has_no_seat(&mut self, path: &'static str) -> Result<()> {
        let caller = self.callers[0].clone();
        let unfinished = stream::pending::<Bytes>();
        self.held
            .spawn(async move { caller.call_with(path, unfinished).await });
        let ended = timeout(PATIENCE, self.held.join_next()).await?;
        let status = ended.context("no call is held")???;
        ensure!(
            status.code() == Code::ResourceExhausted,
            "{path}: {status:?}"
        );
        ensure!(status.message() == "too many calls at a time", "{status:?}");
        Ok(())
    }
}
