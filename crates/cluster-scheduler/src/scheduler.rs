use std::sync::Arc;
use std::time::Duration;

use cluster_proto::NodeId;
use cluster_proto::pb::cluster_service_server::ClusterServiceServer;
use cluster_tls::tonic::{Authorizer, Decisions, NodeTransport, server_builder};
use spice_runtime::Distributor;
use spicepod::App;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::LayerExt;
use tonic::transport::server::Router;

use crate::authorization::method_table;
use crate::cluster_service::{ClusterServiceState, GuardedClusterService};
use crate::control::ControlStreams;
use crate::engine::Engine;
use crate::events::SchedulerEvents;
use crate::members::{MemberSummary, Members};
use crate::membership::{SchedulerList, SchedulerSummary};

/// What a scheduler is made from.
pub struct SchedulerOptions {
    /// The address that other nodes reach this scheduler's internal port at.
    pub node_id: NodeId,
    /// The application that executors are given.
    pub app: Arc<App>,
    /// The schedulers of the cluster, this one among them.
    pub schedulers: SchedulerList,
    /// How the internal port is served and executors are dialled.
    pub transport: NodeTransport,
    /// Told of every authorization decision.
    pub decisions: Arc<dyn Decisions>,
    /// Told of what happens to executors.
    pub events: Arc<dyn SchedulerEvents>,
}

/// A scheduler: cluster state, services of the internal port, and the way queries enter.
#[derive(Clone)]
pub struct Scheduler {
    authorizer: Authorizer,
    transport: NodeTransport,
    members: Arc<Members>,
    engine: Engine,
    state: Arc<ClusterServiceState>,
}

impl Scheduler {
    /// Starts the engine. Nothing listens until [`Scheduler::serve`].
    ///
    /// # Errors
    ///
    /// [`StartError`] when the distributed engine refuses to start.
    pub async fn start(options: SchedulerOptions) -> Result<Self, StartError> {
        let tasks = TaskTracker::new();
        let streams = Arc::new(ControlStreams::default());
        let members = Members::new(MEMBER_SILENCE_LIMIT);
        let engine = Engine::start(
            &options.node_id,
            options.transport.clone(),
            streams.clone(),
            tasks.clone(),
        )
        .await
        .map_err(|source| StartError(Box::new(source)))?;
        let state = Arc::new(ClusterServiceState {
            node_id: options.node_id,
            instance_id: uuid::Uuid::new_v4().simple().to_string(),
            schedulers: options.schedulers,
            app: options.app,
            members: members.clone(),
            streams,
            engine: engine.clone(),
            events: options.events,
            shutdown: CancellationToken::new(),
            tasks,
        });
        Ok(Self {
            authorizer: Authorizer::new(options.decisions),
            transport: options.transport,
            members,
            engine,
            state,
        })
    }

    /// The way queries enter: runs plans on the connected executors.
    pub fn distributor(&self) -> Arc<dyn Distributor> {
        self.engine.distributor()
    }

    /// The executors whose control stream is open.
    pub fn executors(&self) -> Vec<MemberSummary> {
        self.members.connected()
    }

    /// The schedulers of the cluster that live, in the order of their ids: this one at least.
    pub fn schedulers(&self) -> Vec<SchedulerSummary> {
        self.state.schedulers.all()
    }

    /// The other schedulers of the cluster that live.
    pub fn peers(&self) -> Vec<SchedulerSummary> {
        self.state.schedulers.peers()
    }

    /// Serves the internal port on `listener` until `shutdown`, then lets running calls end
    /// within a grace period.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) {
        let stop = shutdown.clone().cancelled_owned();
        let serving = self.transport.serve(listener, self.router(), stop);
        let grace = async {
            shutdown.cancelled().await;
            self.state.shutdown.cancel();
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            () = serving => {}
            () = grace => {}
        }
        self.stop().await;
    }

    fn router(&self) -> Router {
        let cluster = GuardedClusterService::new(self.authorizer.clone(), self.state.clone());
        let cluster = ClusterServiceServer::new(cluster)
            .max_decoding_message_size(REQUEST_LIMIT_BYTES)
            .max_encoding_message_size(ANSWER_LIMIT_BYTES);
        let engine = self
            .engine
            .service(self.authorizer.clone(), self.members.clone());
        let gate = self
            .authorizer
            .gate(method_table())
            .answered_within(ANSWER_LIMIT);
        let control_gate = gate.clone().calls_per_peer(CONTROL_CALLS_PER_PEER);
        let engine_gate = gate.calls_per_peer(ENGINE_CALLS_PER_PEER);
        server_builder()
            .add_service(control_gate.named_layer(cluster))
            .add_service(engine_gate.named_layer(engine))
    }

    /// Ends the tasks of this scheduler: control streams and job clean-up.
    async fn stop(&self) {
        self.state.shutdown.cancel();
        self.state.tasks.close();
        if timeout(SHUTDOWN_GRACE, self.state.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("scheduler tasks did not end in time");
        }
    }
}

/// A scheduler did not start.
#[derive(Debug, Error)]
#[error("the scheduler did not start")]
pub struct StartError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// An executor id is free for another identity after three missed heartbeats.
const MEMBER_SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// What executors ask and report is ids, counts and a line of text, in a few hundred bytes; tasks
/// and their results travel by the engine's own service.
const REQUEST_LIMIT_BYTES: usize = 64 * 1024;

/// An executor asks one thing at a time, and reports on streams that are not counted once they are
/// open. Nodes that share a certificate share this. With the size of a request it bounds what one
/// key can take up: 4 MiB.
const CONTROL_CALLS_PER_PEER: usize = 64;

/// An executor polls once at a time, which takes milliseconds. Nodes that share a certificate take
/// turns. With the size of a message it bounds what one key can take up: 64 MiB as they arrive, and
/// what reading them makes of it.
const ENGINE_CALLS_PER_PEER: usize = 4;

/// Calls are answered in milliseconds, and the largest message takes seconds on a slow network. A
/// control stream is answered when it opens.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// The largest answer is an application definition.
const ANSWER_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Calls in flight end within this after a request to stop, or are cut.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
