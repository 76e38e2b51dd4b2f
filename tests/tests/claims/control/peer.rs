//! An executor that is nothing but its control stream.

use anyhow::{Context, Result, ensure};
use cluster_proto::pb;
use cluster_test::{Leaf, Listener, Node, http_get};
use cluster_tls::Role;
use pb::cluster_service_client::ClusterServiceClient;
use pb::executor_control_message::Message as Report;
use pb::scheduler_control_message::Message as Command;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::authorization::calls::Caller;
use crate::fixture::{Fixture, PATIENCE};

/// One open stream of an executor.
pub(super) struct Peer {
    id: String,
    instance: String,
    reports: mpsc::Sender<pb::ExecutorControlMessage>,
    commands: Streaming<pb::SchedulerControlMessage>,
}

/// The certificate of an executor of this name, and how it calls the scheduler.
pub(super) fn caller(fixture: &Fixture, scheduler: &Node, name: &str) -> Result<Caller> {
    let leaf = Leaf::new(name).with_role(Role::Executor);
    let server = scheduler.address(Listener::Internal)?;
    Caller::new(fixture.pki(), &leaf, server, Role::Scheduler)
}

impl Peer {
    /// Opens a stream of the run `instance` of the executor `id`.
    pub(super) async fn open(caller: &Caller, id: &str, instance: &str) -> Result<Self> {
        let (reports, outgoing) = mpsc::channel(16);
        let heartbeat = Report::Heartbeat(pb::Heartbeat { timestamp_ms: 1 });
        reports.send(message(id, instance, heartbeat)).await?;
        let mut client = ClusterServiceClient::new(caller.channel());
        let opened = client.control_stream(ReceiverStream::new(outgoing)).await?;
        Ok(Self {
            id: id.to_owned(),
            instance: instance.to_owned(),
            reports,
            commands: opened.into_inner(),
        })
    }

    pub(super) async fn say(&self, report: Report) -> Result<()> {
        let said = message(&self.id, &self.instance, report);
        let said = self.reports.send(said).await;
        said.context("the stream takes no more messages")
    }

    pub(super) async fn acknowledge(&self, request_id: &str, error: &str) -> Result<()> {
        self.say(Report::Ack(pb::CommandAck {
            request_id: request_id.to_owned(),
            error: error.to_owned(),
        }))
        .await
    }

    pub(super) async fn loaded(&self, digest: &str) -> Result<()> {
        self.say(loaded(digest)).await
    }

    /// The next change of the definition that it is told of.
    pub(super) async fn app_changed(&mut self) -> Result<pb::AppChanged> {
        let next = async {
            loop {
                let command = self.commands.message().await?;
                match command.context("the stream is closed")?.message {
                    Some(Command::AppChanged(change)) => return anyhow::Ok(change),
                    Some(Command::PollNow(_)) => {}
                    other => anyhow::bail!("{other:?}"),
                }
            }
        };
        timeout(PATIENCE, next).await.context("nothing comes")?
    }

    /// How the scheduler ends the stream.
    pub(super) async fn end(&mut self) -> Result<Status> {
        let ended = async {
            loop {
                match self.commands.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::ok(""),
                    Err(status) => return status,
                }
            }
        };
        timeout(PATIENCE, ended).await.context("it is still open")
    }
}

pub(super) fn loaded(digest: &str) -> Report {
    Report::PartitionsLoaded(pb::PartitionsLoaded {
        digest: digest.to_owned(),
        ..pb::PartitionsLoaded::default()
    })
}

fn message(id: &str, instance: &str, report: Report) -> pb::ExecutorControlMessage {
    pb::ExecutorControlMessage {
        executor_id: id.to_owned(),
        message: Some(report),
        instance_id: instance.to_owned(),
        build_version: VERSION.to_owned(),
    }
}

/// The digest of what a node serves.
pub(super) async fn digest_of(node: &Node) -> Result<String> {
    let reply = http_get(node.address(Listener::Http)?, "/v1/status").await?;
    ensure!(reply.status == 200, "{reply:?}");
    let status: Value = serde_json::from_str(&reply.body)?;
    let digest = status["app"]["digest"].as_str();
    Ok(digest.context("no digest")?.to_owned())
}

/// What an executor of these tests says to be.
const VERSION: &str = "0.0.9\u{1b}[2J\r\n";

/// Where an executor of these tests says it is.
pub(super) const ID: &str = "127.0.0.1:9";
