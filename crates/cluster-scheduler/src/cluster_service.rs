//! The `ClusterService` of design: what executors ask a scheduler for beside tasks.

mod control_stream;

use std::pin::Pin;
use std::sync::Arc;

use cluster_proto::{NodeId, pb};
use cluster_tls::tonic::{Authorizer, Permit};
use futures::Stream;
use spicepod::App;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::authorization as method;
use crate::control::ControlStreams;
use crate::engine::Engine;
use crate::events::SchedulerEvents;
use crate::members::Members;
use crate::membership::SchedulerList;
use crate::status::Refused;
use pb::cluster_service_server::ClusterService;

/// What the cluster service answers from. One per scheduler, shared by its connections.
pub(crate) struct ClusterServiceState {
    pub(crate) node_id: NodeId,
    /// Fresh for every start of the process.
    pub(crate) instance_id: String,
    pub(crate) schedulers: SchedulerList,
    pub(crate) app: Arc<App>,
    pub(crate) members: Arc<Members>,
    pub(crate) streams: Arc<ControlStreams>,
    pub(crate) engine: Engine,
    pub(crate) events: Arc<dyn SchedulerEvents>,
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
        self.authorizer
            .permit::<method::ExpandSecret, _>(&request)?;
        // No secret store can be configured yet, so no application refers to one.
        Err(Refused::NotServed("this scheduler has no secret stores").into())
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
        self.authorizer
            .permit::<method::AllocateInitialPartitions, _>(&request)?;
        Err(Refused::NotServed("this scheduler has no partitioned datasets").into())
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
        self.authorizer
            .permit::<method::GetTaskHistory, _>(&request)?;
        Err(Refused::NotServed("this scheduler keeps no task history").into())
    }

    async fn get_metrics(
        &self,
        request: Request<pb::GetMetricsRequest>,
    ) -> Result<Response<pb::GetMetricsResponse>, Status> {
        self.authorizer.permit::<method::GetMetrics, _>(&request)?;
        Err(Refused::NotServed("this scheduler does not federate metrics").into())
    }
}

impl ClusterServiceState {
    fn app_definition(&self, _: &Permit<method::GetAppDefinition>) -> pb::GetAppDefinitionResponse {
        pb::GetAppDefinitionResponse {
            app_json: self.app.to_json(),
            digest: self.app.digest().to_owned(),
        }
    }

    fn live_schedulers(&self, _: &Permit<method::GetSchedulers>) -> pb::GetSchedulersResponse {
        let schedulers = self.schedulers.all().into_iter();
        let schedulers = schedulers.map(|scheduler| pb::Scheduler {
            advertise_address: scheduler.id.to_string(),
            labels: scheduler.labels.into_iter().collect(),
        });
        pb::GetSchedulersResponse {
            schedulers: schedulers.collect(),
            answered_by: self.node_id.to_string(),
            instance_id: self.instance_id.clone(),
        }
    }
}

fn executor_id(text: &str) -> Result<NodeId, Refused> {
    text.parse()
        .map_err(|_| Refused::Malformed("executor_id is no host:port"))
}
