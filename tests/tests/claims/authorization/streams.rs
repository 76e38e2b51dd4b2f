//! Control streams: bound to one executor by their first message, and one per executor.

use anyhow::{Context, Result, ensure};
use cluster_proto::pb;
use cluster_test::{Leaf, LogLine};
use cluster_tls::Role;
use pb::cluster_service_client::ClusterServiceClient;
use pb::executor_control_message::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::calls::{Caller, ensure_denied};
use super::{Scene, call_denied};
use crate::fixture::PATIENCE;

/// One open control stream.
struct Stream {
    reports: mpsc::Sender<pb::ExecutorControlMessage>,
    commands: Streaming<pb::SchedulerControlMessage>,
}

impl Stream {
    /// Opens a stream whose first message comes from `id`.
    async fn open(caller: &Caller, id: &str) -> Result<Self, Status> {
        let (reports, outgoing) = mpsc::channel(4);
        let _ = reports.try_send(heartbeat(id));
        let mut client = ClusterServiceClient::new(caller.channel());
        let opened = client.control_stream(ReceiverStream::new(outgoing)).await?;
        Ok(Self {
            reports,
            commands: opened.into_inner(),
        })
    }

    async fn say(&self, message: pb::ExecutorControlMessage) -> Result<()> {
        let said = self.reports.send(message).await;
        said.context("the stream takes no more messages")
    }

    /// How the scheduler ends it.
    async fn end(&mut self) -> Result<Status> {
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

fn heartbeat(id: &str) -> pb::ExecutorControlMessage {
    pb::ExecutorControlMessage {
        executor_id: id.to_owned(),
        message: Some(Message::Heartbeat(pb::Heartbeat { timestamp_ms: 1 })),
        instance_id: String::new(),
        build_version: String::new(),
    }
}

fn farewell(id: &str) -> pb::ExecutorControlMessage {
    pb::ExecutorControlMessage {
        executor_id: id.to_owned(),
        message: Some(Message::Shutdown(pb::ExecutorShutdown {
            ballista_executor_id: id.to_owned(),
            reason: "the test is over".to_owned(),
        })),
        instance_id: String::new(),
        build_version: String::new(),
    }
}

fn executor9() -> Leaf {
    Leaf::new("executor9").with_role(Role::Executor)
}

const ID: &str = "127.0.0.1:9";

#[tokio::test]
async fn a_second_stream_of_the_same_executor_takes_over_from_the_first() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&executor9())?;
    let mut first = Stream::open(&caller, ID).await?;
    let mut second = Stream::open(&caller, ID).await?;
    let end = first.end().await?;
    ensure!(end.code() == Code::Aborted, "{end:?}");
    ensure!(end.message().contains("newer"), "{end:?}");
    // That the second one lives on shows in that it is the one whose farewell is heard.
    second.say(farewell(ID)).await?;
    let end = second.end().await?;
    ensure!(end.code() == Code::Ok, "{end:?}");
    let left = |line: &LogLine| {
        line.message() == "executor left"
            && line.field("executor") == Some(ID)
            && line.field("reason") == Some("the test is over")
    };
    scene.scheduler.log().wait_for(left, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_of_another_executor_does_not_take_over() -> Result<()> {
    let scene = Scene::start().await?;
    let mut first = Stream::open(&scene.to_scheduler(&executor9())?, ID).await?;
    let other = Leaf::new("executor8").with_role(Role::Executor);
    let other = scene.to_scheduler(&other)?;
    let refused = Stream::open(&other, ID).await;
    ensure_denied(&refused.err().context("it took over")?, "the other stream")?;
    first.say(farewell(ID)).await?;
    let end = first.end().await?;
    ensure!(end.code() == Code::Ok, "the first was ended by {end:?}");
    Ok(())
}

#[tokio::test]
async fn a_later_message_in_another_name_ends_the_stream() -> Result<()> {
    let scene = Scene::start().await?;
    let mut stream = Stream::open(&scene.to_scheduler(&executor9())?, ID).await?;
    stream.say(heartbeat(ID)).await?;
    stream.say(farewell(&scene.executor_id()?)).await?;
    ensure_denied(&stream.end().await?, "the other name")?;
    let method = "/spice.protobuf.ClusterService/ControlStream";
    call_denied(&scene.scheduler, method, Role::Executor, "foreign_sender").await?;
    let lines = scene.scheduler.log().lines();
    ensure!(!lines.iter().any(|line| line.message() == "executor left"));
    scene.still_answers().await
}

#[tokio::test]
async fn a_stream_without_a_first_message_or_a_name_is_not_opened() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&executor9())?;
    for id in [
        "",
        "127.0.0.1",
        "127.0.0.1:0",
        "../etc:1",
        "127.0.0.1:9\r\nx",
    ] {
        let refused = Stream::open(&caller, id).await.err();
        let refused = refused.with_context(|| format!("opened for {id:?}"))?;
        ensure!(
            refused.code() == Code::InvalidArgument,
            "{id:?}: {refused:?}"
        );
    }
    let mut client = ClusterServiceClient::new(caller.channel());
    let nothing = tokio_stream::empty::<pb::ExecutorControlMessage>();
    let refused = client.control_stream(nothing).await.err();
    let refused = refused.context("opened for nobody")?;
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    Ok(())
}
