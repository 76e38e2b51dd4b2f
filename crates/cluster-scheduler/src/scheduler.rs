use std::sync::Arc;
use std::time::Duration;

use cluster_proto::NodeId;
use cluster_proto::pb::cluster_service_server::ClusterServiceServer;
use cluster_tls::tonic::{Authorizer, Decisions, NodeTransport, server_builder};
use spice_runtime::{Distributor, LocalSecrets, TaskHistory};
use spicepod::App;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::LayerExt;
use tonic::transport::server::Router;

use crate::app_change::{self, AppChangeError, AppChanged};
use crate::authorization::method_table;
use crate::cluster_service::{ClusterServiceState, GuardedClusterService};
use crate::control::ControlStreams;
use crate::engine::{Engine, EngineOptions};
use crate::events::SchedulerEvents;
use crate::history::SharedHistory;
use crate::members::{MemberSummary, Members};
use crate::membership::{SchedulerList, SchedulerSummary};
use crate::metrics::{MetricsRequests, MetricsSource, NodeMetrics};
use crate::peers::PeerSchedulers;

/// What a scheduler is made from.
pub struct SchedulerOptions {
    /// The address that other nodes reach this scheduler's internal port at.
    pub node_id: NodeId,
    /// The application that executors are given.
    pub app: Arc<App>,
    /// How the secret stores of the application are read.
    pub secrets: LocalSecrets,
    /// The schedulers of the cluster, this one among them.
    pub schedulers: SchedulerList,
    /// How the internal port is served and executors are dialled.
    pub transport: NodeTransport,
    /// Told of every authorization decision.
    pub decisions: Arc<dyn Decisions>,
    /// Told of what happens to executors.
    pub events: Arc<dyn SchedulerEvents>,
    /// Where tasks are recorded, which other schedulers may ask, and which asks them.
    pub history: TaskHistory,
    /// This node's metrics, for other schedulers.
    pub metrics: Arc<dyn MetricsSource>,
}

/// A scheduler: cluster state, services of the internal port, and the way queries enter.
#[derive(Clone)]
pub struct Scheduler {
    authorizer: Authorizer,
    transport: NodeTransport,
    members: Arc<Members>,
    engine: Engine,
    peers: PeerSchedulers,
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
        let digest = options.app.digest();
        let streams = Arc::new(ControlStreams::new(options.events.clone(), digest));
        let members = Members::new(MEMBER_SILENCE_LIMIT);
        let engine = Engine::start(EngineOptions {
            node_id: options.node_id.clone(),
            transport: options.transport.clone(),
            streams: streams.clone(),
            members: members.clone(),
            tasks: tasks.clone(),
            history: options.history.clone(),
        })
        .await
        .map_err(|source| StartError(Box::new(source)))?;
        let peers = PeerSchedulers::new(
            Arc::new(options.schedulers.clone()),
            options.transport.clone(),
        );
        options.history.share_with(Arc::new(SharedHistory {
            peers: peers.clone(),
            events: options.events.clone(),
        }));
        let state = Arc::new(ClusterServiceState {
            node_id: options.node_id,
            instance_id: uuid::Uuid::new_v4().simple().to_string(),
            schedulers: options.schedulers,
            app: watch::Sender::new(options.app),
            secrets: options.secrets,
            members: members.clone(),
            streams,
            engine: engine.clone(),
            events: options.events,
            history: options.history,
            metrics: options.metrics,
            metrics_requests: MetricsRequests::default(),
            shutdown: CancellationToken::new(),
            tasks,
        });
        Ok(Self {
            authorizer: Authorizer::new(options.decisions),
            transport: options.transport,
            members,
            engine,
            peers,
            state,
        })
    }

    /// The way queries enter: runs plans on the connected executors.
    pub fn distributor(&self) -> Arc<dyn Distributor> {
        self.engine.distributor()
    }

    /// Gives the executors another application and waits, for a bounded time, until they have it
    /// open. Plan queries over it afterwards: executors keep the one before for those that run.
    ///
    /// # Errors
    ///
    /// [`AppChangeError`] where no executor can open it; they then keep the one before.
    pub async fn change_app(&self, app: Arc<App>) -> Result<AppChanged, AppChangeError> {
        app_change::change(&self.state, app).await
    }

    /// How many executors can take tasks of the current application.
    pub fn ready_executors(&self) -> usize {
        self.state.ready_count()
    }

    /// The executors whose control stream is open, for whoever plans queries over the application
    /// with the digest `served`.
    pub fn executors(&self, served: &str) -> Vec<MemberSummary> {
        self.members.summaries(served)
    }

    /// The digest of the application that executors are to open, which queries are planned over
    /// once they have it.
    pub fn offered_app(&self) -> String {
        self.state.app.borrow().digest().to_owned()
    }

    /// The metrics of the other schedulers and of the executors of this one, within two seconds.
    pub async fn cluster_metrics(&self) -> Vec<NodeMetrics> {
        self.state.gather_metrics(&self.peers).await
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
        let engine = self.engine.service(self.authorizer.clone());
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
