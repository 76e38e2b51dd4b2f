//! A scheduler that does what the test says: it gives definitions, and writes on control streams.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use cluster_proto::pb;
use cluster_test::{Leaf, TestPki};
use cluster_tls::tonic::{NodeTransport, server_builder};
use cluster_tls::{AcceptLimits, DialLimits, NoEvents, PeerPolicy, Role, SystemClock};
use futures::Stream;
use pb::cluster_service_server::{ClusterService, ClusterServiceServer};
use pb::executor_control_message::Message as Report;
use pb::scheduler_control_message::Message as Command;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::fixture::PATIENCE;

/// The scheduler.
pub(super) struct Scripted {
    pub(super) port: u16,
    shared: Arc<Shared>,
    streams: mpsc::Receiver<Opened>,
    _serving: JoinSet<()>,
}

struct Shared {
    /// What it answers when it is asked for the definition, and how often it was.
    definition: Mutex<(pb::GetAppDefinitionResponse, usize)>,
    address: String,
    opened: mpsc::Sender<Opened>,
}

/// One control stream that an executor opened.
pub(super) struct Opened {
    reports: Streaming<pb::ExecutorControlMessage>,
    commands: mpsc::Sender<Result<pb::SchedulerControlMessage, Status>>,
}

#[derive(Clone)]
struct Service(Arc<Shared>);

impl Scripted {
    /// Serves as the holder of a scheduler's certificate.
    pub(super) async fn start(
        pki: &TestPki,
        definition: pb::GetAppDefinitionResponse,
    ) -> Result<Self> {
        let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
        let paths = pki.write("scripted", &leaf)?;
        let snapshot = cluster_tls::load(&paths, Arc::new(SystemClock), PeerPolicy::default())?;
        let (_, credentials) = cluster_tls::publish(snapshot);
        let transport = NodeTransport::mutual(
            credentials,
            AcceptLimits::default(),
            DialLimits::default(),
            Arc::new(NoEvents),
        );
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (opened, streams) = mpsc::channel(16);
        let shared = Arc::new(Shared {
            definition: Mutex::new((definition, 0)),
            address: format!("127.0.0.1:{port}"),
            opened,
        });
        let service = ClusterServiceServer::new(Service(shared.clone()));
        let router = server_builder().add_service(service);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let forever = std::future::pending();
            transport.serve(listener, router, forever).await;
        });
        Ok(Self {
            port,
            shared,
            streams,
            _serving: serving,
        })
    }

    /// The next stream that an executor opens.
    pub(super) async fn stream(&mut self) -> Result<Opened> {
        let next = timeout(PATIENCE, self.streams.recv()).await;
        next.context("no stream is opened")?.context("it has ended")
    }

    /// Answers with this definition from now on.
    pub(super) fn define(&self, definition: pb::GetAppDefinitionResponse) {
        self.shared.lock().0 = definition;
    }

    /// How often it was asked for a definition.
    pub(super) fn asked(&self) -> usize {
        self.shared.lock().1
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, (pb::GetAppDefinitionResponse, usize)> {
        self.definition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    pub(super) async fn command(&self, command: Command) -> Result<()> {
        let message = pb::SchedulerControlMessage {
            message: Some(command),
        };
        let sent = self.commands.send(Ok(message)).await;
        sent.context("the stream is closed")
    }

    pub(super) async fn app_changed(&self, digest: &str, request_id: &str) -> Result<()> {
        self.command(Command::AppChanged(pb::AppChanged {
            digest: digest.to_owned(),
            request_id: request_id.to_owned(),
        }))
        .await
    }

    /// The next report that is neither a sign of life nor a number.
    pub(super) async fn report(&mut self) -> Result<Report> {
        let next = async {
            loop {
                let report = self.reports.message().await?.context("the end")?;
                match report.message {
                    Some(Report::Heartbeat(_) | Report::Statistics(_)) | None => {}
                    Some(report) => return anyhow::Ok(report),
                }
            }
        };
        timeout(PATIENCE, next).await.context("no report")?
    }

    /// The next sign of life.
    pub(super) async fn heartbeat(&mut self) -> Result<()> {
        let next = async {
            loop {
                let report = self.reports.message().await?.context("the end")?;
                if matches!(report.message, Some(Report::Heartbeat(_))) {
                    return anyhow::Ok(());
                }
            }
        };
        timeout(PATIENCE, next).await.context("no heartbeat")?
    }

    /// The digest of the next definition that the executor says to have open.
    pub(super) async fn loaded(&mut self) -> Result<String> {
        match self.report().await? {
            Report::PartitionsLoaded(loaded) => Ok(loaded.digest),
            other => anyhow::bail!("{other:?}"),
        }
    }

    /// The next acknowledgement: what of, and with which error.
    pub(super) async fn acknowledged(&mut self) -> Result<(String, String)> {
        match self.report().await? {
            Report::Ack(ack) => Ok((ack.request_id, ack.error)),
            other => anyhow::bail!("{other:?}"),
        }
    }
}

type Commands =
    Pin<Box<dyn Stream<Item = Result<pb::SchedulerControlMessage, Status>> + Send + 'static>>;

#[tonic::async_trait]
impl ClusterService for Service {
    type ControlStreamStream = Commands;

    async fn get_app_definition(
        &self,
        _: Request<pb::GetAppDefinitionRequest>,
    ) -> Result<Response<pb::GetAppDefinitionResponse>, Status> {
        let mut definition = self.0.lock();
        definition.1 += 1;
        Ok(Response::new(definition.0.clone()))
    }

    async fn control_stream(
        &self,
        request: Request<Streaming<pb::ExecutorControlMessage>>,
    ) -> Result<Response<Commands>, Status> {
        let (commands, outgoing) = mpsc::channel(16);
        let opened = Opened {
            reports: request.into_inner(),
            commands,
        };
        let told = self.0.opened.send(opened).await;
        told.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn get_schedulers(
        &self,
        _: Request<pb::GetSchedulersRequest>,
    ) -> Result<Response<pb::GetSchedulersResponse>, Status> {
        let scheduler = pb::Scheduler {
            advertise_address: self.0.address.clone(),
            labels: HashMap::new(),
        };
        Ok(Response::new(pb::GetSchedulersResponse {
            schedulers: vec![scheduler],
            answered_by: self.0.address.clone(),
            instance_id: "scripted".to_owned(),
        }))
    }

    async fn expand_secret(
        &self,
        _: Request<pb::ExpandSecretRequest>,
    ) -> Result<Response<pb::ExpandSecretResponse>, Status> {
        Err(unasked())
    }

    async fn allocate_initial_partitions(
        &self,
        _: Request<pb::AllocateInitialPartitionsRequest>,
    ) -> Result<Response<pb::AllocateInitialPartitionsResponse>, Status> {
        Err(unasked())
    }

    async fn get_task_history(
        &self,
        _: Request<pb::GetTaskHistoryRequest>,
    ) -> Result<Response<pb::GetTaskHistoryResponse>, Status> {
        Err(unasked())
    }

    async fn get_metrics(
        &self,
        _: Request<pb::GetMetricsRequest>,
    ) -> Result<Response<pb::GetMetricsResponse>, Status> {
        Err(unasked())
    }
}

fn unasked() -> Status {
    Status::unimplemented("not in this play")
}
