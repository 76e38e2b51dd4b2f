//! Many executors that have nothing but their control streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster_proto::pb;
use cluster_test::{Leaf, TestPki};
use cluster_tls::tonic::{ChannelOptions, NodeTransport};
use cluster_tls::{
    AcceptLimits, CredentialPaths, DialLimits, NoEvents, NodeAddress, PeerPolicy, Role, SystemClock,
};
use futures::{StreamExt, TryStreamExt, stream};
use pb::cluster_service_client::ClusterServiceClient;
use pb::executor_control_message::Message as Report;
use pb::scheduler_control_message::Message as Command;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::scheduler::Scheduler;

/// The executors, who live as long as this.
pub(crate) struct Fleet {
    executors: JoinSet<()>,
    news: watch::Sender<News>,
}

/// The application that the executors were told of last, and when the first of them was.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) digest: String,
    pub(crate) since: Instant,
}

impl Fleet {
    pub(crate) async fn open(scheduler: &Scheduler, name: &str, count: usize) -> Result<Self> {
        let server = scheduler.internal()?;
        let opening = (0..count).map(|number| {
            let name = format!("{name}{number}");
            async move { Executor::open(scheduler.pki(), &name, server).await }
        });
        let opened: Vec<Executor> = stream::iter(opening)
            .buffer_unordered(OPENED_AT_ONCE)
            .try_collect()
            .await?;
        let none = News {
            digest: String::new(),
            since: Instant::now(),
        };
        let mut fleet = Self {
            executors: JoinSet::new(),
            news: watch::Sender::new(none),
        };
        for (number, executor) in opened.into_iter().enumerate() {
            // Executors of a real cluster do not beat in step either.
            let phase = HEARTBEAT * number as u32 / count as u32;
            fleet
                .executors
                .spawn(executor.live(phase, fleet.news.clone()));
        }
        Ok(fleet)
    }

    /// What the executors were told of last.
    pub(crate) fn news(&self) -> News {
        self.news.borrow().clone()
    }

    /// Waits until an executor is told of another application than `old`.
    pub(crate) async fn newer_than(&self, old: &str) -> Result<News> {
        let mut news = self.news.subscribe();
        let newer = news.wait_for(|news| news.digest != old).await;
        Ok(newer.context("nobody is told of anything")?.clone())
    }
}

/// One control stream.
struct Executor {
    id: String,
    reports: mpsc::Sender<pb::ExecutorControlMessage>,
    commands: Streaming<pb::SchedulerControlMessage>,
}

impl Executor {
    async fn open(pki: &TestPki, name: &str, server: SocketAddr) -> Result<Self> {
        let transport = transport(pki, name)?;
        let address = NodeAddress::new(&server.ip().to_string(), server.port())?;
        let channel = transport.channel(&address, Role::Scheduler, &ChannelOptions::default());
        let id = format!("{name}:50052");
        let (reports, outgoing) = mpsc::channel(4);
        reports.send(report(&id, heartbeat())).await?;
        let mut client = ClusterServiceClient::new(channel);
        let opened = client.control_stream(ReceiverStream::new(outgoing)).await?;
        Ok(Self {
            id,
            reports,
            commands: opened.into_inner(),
        })
    }

    /// Beats, and acknowledges what it is told.
    async fn live(mut self, phase: Duration, news: watch::Sender<News>) {
        let mut beats = interval_at(Instant::now() + phase, HEARTBEAT);
        loop {
            let answer = tokio::select! {
                _ = beats.tick() => vec![heartbeat()],
                command = self.commands.message() => match command {
                    Ok(Some(command)) => answer(command, &news),
                    Ok(None) | Err(_) => return,
                },
            };
            for message in answer {
                if self.reports.send(report(&self.id, message)).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What an executor says that has done what it was told.
fn answer(command: pb::SchedulerControlMessage, news: &watch::Sender<News>) -> Vec<Report> {
    let Some(Command::AppChanged(change)) = command.message else {
        return vec![];
    };
    news.send_if_modified(|news| {
        let is_first = news.digest != change.digest;
        if is_first {
            *news = News {
                digest: change.digest.clone(),
                since: Instant::now(),
            };
        }
        is_first
    });
    let loaded = pb::PartitionsLoaded {
        digest: change.digest,
        ..Default::default()
    };
    let done = pb::CommandAck {
        request_id: change.request_id,
        error: String::new(),
    };
    vec![Report::PartitionsLoaded(loaded), Report::Ack(done)]
}

fn heartbeat() -> Report {
    Report::Heartbeat(pb::Heartbeat { timestamp_ms: 1 })
}

fn report(id: &str, message: Report) -> pb::ExecutorControlMessage {
    pb::ExecutorControlMessage {
        executor_id: id.to_owned(),
        message: Some(message),
        instance_id: String::new(),
        build_version: String::new(),
    }
}

fn transport(pki: &TestPki, name: &str) -> Result<NodeTransport> {
    let paths: CredentialPaths = pki.write(name, &Leaf::new(name).with_role(Role::Executor))?;
    let snapshot = cluster_tls::load(&paths, Arc::new(SystemClock), PeerPolicy::default())?;
    let (_, credentials) = cluster_tls::publish(snapshot);
    Ok(NodeTransport::mutual(
        credentials,
        AcceptLimits::default(),
        DialLimits::default(),
        Arc::new(NoEvents),
    ))
}

/// As executors do.
const HEARTBEAT: Duration = Duration::from_secs(10);

const OPENED_AT_ONCE: usize = 32;
