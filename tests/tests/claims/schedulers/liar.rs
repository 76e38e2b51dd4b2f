//! A scheduler whose key was stolen, and what it can make executors do: dial, and no more.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use cluster_proto::pb;
use cluster_test::{Leaf, NodePlan, TestCluster, TestPki};
use cluster_tls::tonic::{NodeTransport, server_builder};
use cluster_tls::{AcceptLimits, DialLimits, NoEvents, PeerPolicy, Role, SystemClock};
use futures::Stream;
use pb::cluster_service_server::{ClusterService, ClusterServiceServer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tonic::{Request, Response, Status, Streaming};

use super::numbers::{Numbers, Question};
use super::watched::{LOOK, PATIENCE, address, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_scheduler_key_makes_executors_dial_and_no_more() {
    let numbers = Numbers::new().unwrap();
    let plan = numbers.cluster(1, 0).unwrap();
    let mut cluster = TestCluster::start(plan).await.unwrap();
    let honest = address(&cluster, "scheduler1").unwrap();
    let alias = honest.replace("127.0.0.1", "localhost");
    let named = vec![alias.clone(), "127.0.0.1:1".to_owned()];
    let liar = Liar::start(cluster.pki(), named).await.unwrap();
    let seeds = format!("{},{honest}", liar.address);
    let executor = NodePlan::new("executor1")
        .with_seeds([])
        .with_arguments(["--scheduler-address", &seeds]);
    cluster.add_executor(&executor).await.unwrap();

    let liar_address = liar.address.clone();
    let lies = |link: &Value| {
        let told = link["reason"].as_str().unwrap_or_default();
        let address = link["address"].as_str().unwrap_or_default();
        address == alias && told == format!("it calls itself {honest}")
    };
    see(&cluster, lies).await.unwrap();
    for question in Question::all() {
        let rows = cluster.sql(question.sql).await.unwrap();
        question.check(&rows).unwrap();
    }
    let logs = cluster.logs("scheduler1").unwrap();
    let connected = logs
        .iter()
        .filter(|line| line.message() == "executor connected");
    assert_eq!(connected.count(), 1, "one scheduler, one stream");

    liar.names.send(vec!["http://s1:1/x".to_owned()]).unwrap();
    let refused = |link: &Value| {
        let told = link["reason"].as_str().unwrap_or_default();
        link["address"] == liar_address.as_str() && told.contains("refused whole")
    };
    see(&cluster, refused).await.unwrap();
}

/// Waits until the executor shows such a scheduler.
async fn see(cluster: &TestCluster, wanted: impl Fn(&Value) -> bool) -> Result<()> {
    let seen = async {
        let mut looks = interval(LOOK);
        loop {
            looks.tick().await;
            let status = status(cluster, "executor1").await?;
            let links = status["schedulers"].as_array();
            if links.is_some_and(|links| links.iter().any(&wanted)) {
                return anyhow::Ok(());
            }
        }
    };
    timeout(PATIENCE, seen).await?
}

/// Whoever holds a scheduler's certificate, and names whom it likes.
struct Liar {
    address: String,
    names: watch::Sender<Vec<String>>,
    _serving: JoinSet<()>,
}

impl Liar {
    async fn start(pki: &TestPki, named: Vec<String>) -> Result<Self> {
        let leaf = Leaf::new("liar").with_names(["127.0.0.1"]);
        let paths = pki.write("liar", &leaf.with_role(Role::Scheduler))?;
        let snapshot = cluster_tls::load(&paths, Arc::new(SystemClock), PeerPolicy::default())?;
        let (_, credentials) = cluster_tls::publish(snapshot);
        let (accept, dial) = (AcceptLimits::default(), DialLimits::default());
        let transport = NodeTransport::mutual(credentials, accept, dial, Arc::new(NoEvents));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (names, named) = watch::channel(named);
        let service = ClusterServiceServer::new(Lies {
            address: address.clone(),
            named,
        });
        let router = server_builder().add_service(service);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let for_ever = std::future::pending();
            transport.serve(listener, router, for_ever).await;
        });
        Ok(Self {
            address,
            names,
            _serving: serving,
        })
    }
}

struct Lies {
    address: String,
    named: watch::Receiver<Vec<String>>,
}

type Commands = Pin<Box<dyn Stream<Item = Result<pb::SchedulerControlMessage, Status>> + Send>>;

#[tonic::async_trait]
impl ClusterService for Lies {
    type ControlStreamStream = Commands;

    async fn get_schedulers(
        &self,
        _: Request<pb::GetSchedulersRequest>,
    ) -> Result<Response<pb::GetSchedulersResponse>, Status> {
        let named = self.named.borrow().clone();
        let scheduler = |advertise_address| pb::Scheduler {
            advertise_address,
            labels: HashMap::new(),
        };
        Ok(Response::new(pb::GetSchedulersResponse {
            schedulers: named.into_iter().map(scheduler).collect(),
            answered_by: self.address.clone(),
            instance_id: "1".to_owned(),
        }))
    }

    async fn get_app_definition(
        &self,
        _: Request<pb::GetAppDefinitionRequest>,
    ) -> Result<Response<pb::GetAppDefinitionResponse>, Status> {
        Err(Status::unavailable("ask another"))
    }

    async fn expand_secret(
        &self,
        _: Request<pb::ExpandSecretRequest>,
    ) -> Result<Response<pb::ExpandSecretResponse>, Status> {
        Err(Status::unavailable("ask another"))
    }

    async fn allocate_initial_partitions(
        &self,
        _: Request<pb::AllocateInitialPartitionsRequest>,
    ) -> Result<Response<pb::AllocateInitialPartitionsResponse>, Status> {
        Err(Status::unavailable("ask another"))
    }

    async fn control_stream(
        &self,
        _: Request<Streaming<pb::ExecutorControlMessage>>,
    ) -> Result<Response<Commands>, Status> {
        Err(Status::unavailable("ask another"))
    }

    async fn get_task_history(
        &self,
        _: Request<pb::GetTaskHistoryRequest>,
    ) -> Result<Response<pb::GetTaskHistoryResponse>, Status> {
        Err(Status::unavailable("ask another"))
    }

    async fn get_metrics(
        &self,
        _: Request<pb::GetMetricsRequest>,
    ) -> Result<Response<pb::GetMetricsResponse>, Status> {
        Err(Status::unavailable("ask another"))
    }
}
