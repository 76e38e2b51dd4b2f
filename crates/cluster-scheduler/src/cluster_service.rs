//! The `ClusterService` of design: what executors ask a scheduler for beside tasks.

mod control_stream;
mod expand_secret;

use std::pin::Pin;
use std::sync::Arc;

use cluster_proto::{NodeId, pb};
use cluster_tls::tonic::{Authorizer, Connection, Permit};
use futures::Stream;
use spice_runtime::{LocalSecrets, TaskHistory};
use spicepod::App;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::authorization as method;
use crate::control::ControlStreams;
use crate::engine::Engine;
use crate::events::SchedulerEvents;
use crate::members::Members;
use crate::membership::{SchedulerList, SchedulerSummary};
use crate::metrics::{MetricsRequests, MetricsSource};
use crate::status::Refused;
use pb::cluster_service_server::ClusterService;

/// What the cluster service answers from. One per scheduler, shared by its connections.
pub(crate) struct ClusterServiceState {
    pub(crate) node_id: NodeId,
    /// Fresh for every start of the process.
    pub(crate) instance_id: String,
    pub(crate) schedulers: SchedulerList,
    /// What executors are given, and queries are planned over once they have it.
    pub(crate) app: watch::Sender<Arc<App>>,
    pub(crate) secrets: LocalSecrets,
    pub(crate) members: Arc<Members>,
    pub(crate) streams: Arc<ControlStreams>,
    pub(crate) engine: Engine,
    pub(crate) events: Arc<dyn SchedulerEvents>,
    pub(crate) history: TaskHistory,
    pub(crate) metrics: Arc<dyn MetricsSource>,
    pub(crate) metrics_requests: MetricsRequests,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// The service behind the authorizer.
#[derive(Clone)]
pub(crate) struct GuardedClusterService {
    authorizer: Authorizer,
    state: Arc<ClusterServiceState>,
}

impl GuardedClusterService {
    pub(crate) fn new(authorizer: Authorizer, state: Arc<ClusterServiceState>) -> Self {
        Self { authorizer, state }
    }
}

/// What a scheduler sends on a control stream.
type Commands = Pin<Box<dyn Stream<Item = Result<pb::SchedulerControlMessage, Status>> + Send>>;

#[tonic::async_trait]
impl ClusterService for GuardedClusterService {
    type ControlStreamStream = Commands;

    async fn get_app_definition(
        &self,
        request: Request<pb::GetAppDefinitionRequest>,
    ) -> Result<Response<pb::GetAppDefinitionResponse>, Status> {
        let permit = self
            .authorizer
            .permit::<method::GetAppDefinition, _>(&request)?;
        let claimed = executor_id(&request.get_ref().executor_id)?;
        self.state
            .members
            .claim(&self.authorizer, &permit, &claimed)?;
        Ok(Response::new(self.state.app_definition(&permit)))
    }

    async fn expand_secret(
        &self,
        request: Request<pb::ExpandSecretRequest>,
    ) -> Result<Response<pb::ExpandSecretResponse>, Status> {
        let permit = self
            .authorizer
            .permit::<method::ExpandSecret, _>(&request)?;
        let executor = executor_id(&request.get_ref().executor_id)?;
        self.state
            .members
            .claim(&self.authorizer, &permit, &executor)?;
        let connection = request.extensions().get::<Connection>();
        let asked = expand_secret::Asked {
            executor,
            remote: connection.map(Connection::remote),
            request: request.into_inner(),
        };
        self.state.expand_secret(&permit, asked).await
    }

    async fn get_schedulers(
        &self,
        request: Request<pb::GetSchedulersRequest>,
    ) -> Result<Response<pb::GetSchedulersResponse>, Status> {
        let permit = self
            .authorizer
            .permit::<method::GetSchedulers, _>(&request)?;
        Ok(Response::new(self.state.live_schedulers(&permit)))
    }

    async fn allocate_initial_partitions(
        &self,
        request: Request<pb::AllocateInitialPartitionsRequest>,
    ) -> Result<Response<pb::AllocateInitialPartitionsResponse>, Status> {
        let permit = self
            .authorizer
            .permit::<method::AllocateInitialPartitions, _>(&request)?;
        let claimed = executor_at(&request.get_ref().executor_url)?;
        self.state
            .members
            .claim(&self.authorizer, &permit, &claimed)?;
        // A spicepod cannot partition a dataset yet, so no executor owns a part of one.
        Ok(Response::new(
            pb::AllocateInitialPartitionsResponse::default(),
        ))
    }

    async fn control_stream(
        &self,
        request: Request<Streaming<pb::ExecutorControlMessage>>,
    ) -> Result<Response<Commands>, Status> {
        let permit = self
            .authorizer
            .permit::<method::ControlStream, _>(&request)?;
        let (state, authorizer) = (self.state.clone(), self.authorizer.clone());
        let commands = control_stream::serve(state, authorizer, permit, request).await?;
        Ok(Response::new(commands))
    }

    async fn get_task_history(
        &self,
        request: Request<pb::GetTaskHistoryRequest>,
    ) -> Result<Response<pb::GetTaskHistoryResponse>, Status> {
        let permit = self
            .authorizer
            .permit::<method::GetTaskHistory, _>(&request)?;
        let answer = self.state.task_history(&permit, request.get_ref()).await?;
        Ok(Response::new(answer))
    }

    async fn get_metrics(
        &self,
        request: Request<pb::GetMetricsRequest>,
    ) -> Result<Response<pb::GetMetricsResponse>, Status> {
        let permit = self.authorizer.permit::<method::GetMetrics, _>(&request)?;
        Ok(Response::new(self.state.metrics(&permit)?))
    }
}

impl ClusterServiceState {
    /// The application that is served now.
    fn app(&self) -> Arc<App> {
        self.app.borrow().clone()
    }

    /// The executors that can take tasks of the current application.
    pub(crate) fn ready_count(&self) -> usize {
        self.members.ready_count(self.app().digest())
    }

    fn app_definition(&self, _: &Permit<method::GetAppDefinition>) -> pb::GetAppDefinitionResponse {
        let app = self.app();
        pb::GetAppDefinitionResponse {
            app_json: app.to_json(),
            digest: app.digest().to_owned(),
        }
    }

    fn live_schedulers(&self, _: &Permit<method::GetSchedulers>) -> pb::GetSchedulersResponse {
        let schedulers = self.schedulers.first(SCHEDULERS_SENT).into_iter();
        pb::GetSchedulersResponse {
            schedulers: schedulers.map(named).collect(),
            answered_by: self.node_id.to_string(),
            instance_id: self.instance_id.clone(),
        }
    }
}

fn named(scheduler: SchedulerSummary) -> pb::Scheduler {
    pb::Scheduler {
        advertise_address: scheduler.id.to_string(),
        labels: scheduler.labels.into_iter().collect(),
    }
}

/// Executors believe in no more, and refuse an answer that names more.
const SCHEDULERS_SENT: usize = 64;

/// The executor behind a URL; other implementations write it without its scheme.
fn executor_at(url: &str) -> Result<NodeId, Refused> {
    let address = url.strip_prefix("https://").unwrap_or(url);
    address
        .trim_end_matches('/')
        .parse()
        .map_err(|_| Refused::Malformed("executor_url is no https://host:port"))
}

fn executor_id(text: &str) -> Result<NodeId, Refused> {
    text.parse()
        .map_err(|_| Refused::Malformed("executor_id is no host:port"))
}
