//! The control stream to one scheduler: heartbeats up, hints and commands down, for ever.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster_proto::{ExecutorRun, pb};
use cluster_tls::NodeAddress;
use cluster_tls::tonic::{NodeChannel, NodeTransport};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::backoff::Backoff;
use crate::boot::causes;
use crate::engine::Worker;
use crate::links::LinkWatch;
use pb::cluster_service_client::ClusterServiceClient;
use pb::executor_control_message::Message as Report;
use pb::scheduler_control_message::Message as Command;

/// Keeps a control stream to one scheduler open.
pub(crate) struct ControlLink {
    pub(crate) scheduler: NodeAddress,
    pub(crate) channel: NodeChannel,
    pub(crate) transport: NodeTransport,
    pub(crate) run: ExecutorRun,
    pub(crate) engine: Worker,
    pub(crate) watch: LinkWatch,
}

type Commands = Streaming<pb::SchedulerControlMessage>;
type Reports = mpsc::Sender<pb::ExecutorControlMessage>;

/// How one stream ended.
enum End {
    Stopped,
    /// Its connection has come of age, or shows a certificate that has been renewed since.
    Renewed,
    Broken(String),
}

impl ControlLink {
    /// Opens the stream, and again whenever it breaks, until `shutdown`; then says farewell.
    pub(crate) async fn keep(self, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let end = tokio::select! {
                opened = self.open() => match opened {
                    Ok((reports, commands)) => {
                        backoff.reset();
                        self.watch.connected();
                        tracing::info!(scheduler = %self.scheduler, "control stream open");
                        self.serve(&reports, commands, &shutdown).await
                    }
                    Err(status) => End::Broken(causes(&status)),
                },
                () = shutdown.cancelled() => End::Stopped,
            };
            match end {
                End::Stopped => return,
                End::Renewed => {
                    tracing::debug!(scheduler = %self.scheduler, "control stream opened again");
                }
                End::Broken(error) => {
                    self.watch.down(&error);
                    tracing::warn!(scheduler = %self.scheduler, %error, "control stream lost, reconnecting");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn open(&self) -> Result<(Reports, Commands), Status> {
        self.watch.confirm(&self.channel).await?;
        let (reports, outgoing) = mpsc::channel(REPORT_QUEUE);
        // The first message goes ahead of the call: it is what binds the stream.
        let _ = reports.try_send(self.report(heartbeat()));
        let mut client = ClusterServiceClient::new(self.channel.clone());
        let call = client.control_stream(ReceiverStream::new(outgoing));
        let commands = timeout(OPEN_TIMEOUT, call)
            .await
            .map_err(|_| {
                Status::deadline_exceeded("the scheduler did not accept the stream in time")
            })??
            .into_inner();
        Ok((reports, commands))
    }

    async fn serve(
        &self,
        reports: &Reports,
        mut commands: Commands,
        shutdown: &CancellationToken,
    ) -> End {
        let mut ticks = ticks();
        let generation = self.transport.identity_generation();
        loop {
            tokio::select! {
                () = self.transport.identity_changed_from(generation) => return End::Renewed,
                _ = ticks.tick() => {
                    if let Err(end) = self.heartbeat(reports).await {
                        return end;
                    }
                }
                command = commands.message() => match command {
                    Ok(Some(command)) => self.obey(command).await,
                    Ok(None) => return End::Renewed,
                    Err(status) => return End::Broken(causes(&status)),
                },
                () = shutdown.cancelled() => {
                    self.farewell(reports, commands).await;
                    return End::Stopped;
                }
            }
        }
    }

    async fn heartbeat(&self, reports: &Reports) -> Result<(), End> {
        for message in [heartbeat(), Report::Statistics(self.engine.statistics())] {
            let sent = timeout(SEND_TIMEOUT, reports.send(self.report(message))).await;
            if !matches!(sent, Ok(Ok(()))) {
                return Err(End::Broken(
                    "the stream does not take heartbeats".to_owned(),
                ));
            }
        }
        Ok(())
    }

    async fn obey(&self, command: pb::SchedulerControlMessage) {
        match command.message {
            Some(Command::PollNow(_)) => self.engine.poll_now(),
            Some(Command::CancelTasks(cancel)) => self.engine.cancel(&cancel.tasks).await,
            // Commands of features that this executor does not have; a scheduler of this
            // version sends none of them.
            Some(_) => tracing::warn!(scheduler = %self.scheduler, "command not understood"),
            None => tracing::warn!(scheduler = %self.scheduler, "empty command"),
        }
    }

    /// Announces the end and waits, for a bounded time, until the scheduler took note.
    async fn farewell(&self, reports: &Reports, mut commands: Commands) {
        let shutdown = Report::Shutdown(pb::ExecutorShutdown {
            ballista_executor_id: self.run.node().to_string(),
            reason: "executor stopped".to_owned(),
        });
        let _ = reports.try_send(self.report(shutdown));
        let noted = async { while let Ok(Some(_)) = commands.message().await {} };
        if timeout(FAREWELL_TIMEOUT, noted).await.is_err() {
            tracing::warn!(scheduler = %self.scheduler, "scheduler did not take note of the end");
        }
    }

    fn report(&self, message: Report) -> pb::ExecutorControlMessage {
        pb::ExecutorControlMessage {
            executor_id: self.run.node().to_string(),
            message: Some(message),
            instance_id: self.run.mark().to_owned(),
        }
    }
}

fn heartbeat() -> Report {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Report::Heartbeat(pb::Heartbeat {
        timestamp_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
    })
}

fn ticks() -> Interval {
    let mut ticks = interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A scheduler gives up on an executor after three of these.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);
const REPORT_QUEUE: usize = 16;
