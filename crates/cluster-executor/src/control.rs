//! The control stream to one scheduler: heartbeats and answers up, hints and commands down, for
//! ever.

mod commands;
mod remembered;

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cluster_proto::{ExecutorRun, pb};
use cluster_tls::NodeAddress;
use cluster_tls::tonic::{NodeChannel, NodeTransport};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use crate::apps::OpenApps;
use crate::backoff::Backoff;
use crate::boot::causes;
use crate::engine::Worker;
use crate::links::LinkWatch;
use crate::metrics::MetricsSource;
use commands::{Commands, loaded};
use pb::cluster_service_client::ClusterServiceClient;
use pb::executor_control_message::Message as Report;

/// Keeps a control stream to one scheduler open.
pub(crate) struct ControlLink {
    pub(crate) scheduler: NodeAddress,
    pub(crate) channel: NodeChannel,
    pub(crate) transport: NodeTransport,
    pub(crate) run: ExecutorRun,
    /// Of this program.
    pub(crate) version: String,
    pub(crate) engine: Worker,
    pub(crate) watch: LinkWatch,
    pub(crate) apps: Arc<OpenApps>,
    pub(crate) metrics: Arc<dyn MetricsSource>,
    /// Cancelled when this executor is to take no further tasks, before it is told to leave.
    pub(crate) draining: CancellationToken,
}

type Incoming = Streaming<pb::SchedulerControlMessage>;
type Reports = mpsc::Sender<pb::ExecutorControlMessage>;

/// How one stream ended.
enum End {
    Stopped,
    /// Its connection has come of age, or shows a certificate that has been renewed since.
    Renewed,
    Broken(String),
    /// The scheduler ends: it needs nothing of what runs here any more.
    Farewell(String),
}

impl ControlLink {
    /// Opens the stream, and again whenever it breaks, until `shutdown`; then says farewell.
    pub(crate) async fn keep(&self, shutdown: CancellationToken) {
        let mut commands = Commands::new(
            self.watch.clone(),
            self.engine.clone(),
            self.apps.clone(),
            self.metrics.clone(),
        );
        let commands = &mut commands;
        let mut backoff = Backoff::default();
        let mut told = None;
        loop {
            let end = tokio::select! {
                opened = self.open() => match opened {
                    Ok((reports, incoming)) => {
                        told = None;
                        self.watch.connected();
                        // A poll that came before the stream was given nothing.
                        self.engine.poll_now();
                        tracing::info!(scheduler = %self.scheduler, "control stream open");
                        let mut stream = Stream { link: self, reports, incoming };
                        let opened = Instant::now();
                        let end = stream.serve(commands, &shutdown).await;
                        if opened.elapsed() >= STEADY {
                            backoff.reset();
                        }
                        end
                    }
                    Err(status) => End::Broken(causes(&status)),
                },
                () = shutdown.cancelled() => End::Stopped,
            };
            match end {
                End::Stopped => return,
                End::Renewed => {
                    backoff.reset();
                    tracing::debug!(scheduler = %self.scheduler, "control stream opened again");
                }
                End::Broken(error) => {
                    self.watch.down(&error);
                    self.tell_broken(error, &mut told);
                }
                End::Farewell(error) => {
                    self.watch.down(&error);
                    self.tell_broken(error, &mut told);
                    self.watch.end();
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// The same trouble is worth one warning, until the stream was open again.
    fn tell_broken(&self, error: String, told: &mut Option<String>) {
        let scheduler = &self.scheduler;
        if self.watch.is_over() {
            tracing::info!(%scheduler, "scheduler restarted, beginning anew with it");
        } else if told.as_ref() == Some(&error) {
            tracing::debug!(%scheduler, %error, "control stream still lost");
        } else {
            tracing::warn!(%scheduler, %error, "control stream lost, reconnecting");
            *told = Some(error);
        }
    }

    async fn open(&self) -> Result<(Reports, Incoming), Status> {
        self.watch.confirm(&self.channel).await?;
        let (reports, outgoing) = mpsc::channel(REPORT_QUEUE);
        // The first message goes ahead of the call: it is what binds the stream. What is open here
        // is said again on every stream, or one that broke at the wrong moment would leave the
        // scheduler waiting for ever.
        let open = self.apps.digests_for(&self.scheduler).into_iter();
        let first = open.map(loaded).chain([heartbeat()]);
        for (position, message) in first.enumerate() {
            let mut report = self.report(message);
            if position == 0 {
                report.build_version.clone_from(&self.version);
            }
            let _ = reports.try_send(report);
        }
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

    fn report(&self, message: Report) -> pb::ExecutorControlMessage {
        pb::ExecutorControlMessage {
            executor_id: self.run.node().to_string(),
            message: Some(message),
            instance_id: self.run.mark().to_owned(),
            build_version: String::new(),
        }
    }
}

/// One open stream.
struct Stream<'a> {
    link: &'a ControlLink,
    reports: Reports,
    incoming: Incoming,
}

impl Stream<'_> {
    /// Nothing here waits for a command to be carried out: a heartbeat that comes late looks like
    /// an executor that is gone.
    async fn serve(&mut self, commands: &mut Commands, shutdown: &CancellationToken) -> End {
        let link = self.link;
        let mut ticks = ticks();
        let mut staying = true;
        let generation = link.transport.identity_generation();
        loop {
            let sent = tokio::select! {
                () = link.transport.identity_changed_from(generation) => return End::Renewed,
                _ = ticks.tick() => self.heartbeat().await,
                command = self.incoming.message() => match command {
                    Ok(Some(command)) => self.send(commands.obey(command).await).await,
                    Ok(None) => return End::Renewed,
                    Err(status) if is_farewell(&status) => return End::Farewell(causes(&status)),
                    Err(status) => return End::Broken(causes(&status)),
                },
                Some(reports) = commands.next_done() => self.send(reports).await,
                () = link.draining.cancelled(), if staying => {
                    staying = false;
                    self.send(vec![draining()]).await
                }
                () = shutdown.cancelled() => {
                    self.farewell().await;
                    return End::Stopped;
                }
            };
            if let Err(end) = sent {
                return end;
            }
        }
    }

    async fn heartbeat(&mut self) -> Result<(), End> {
        self.link.apps.retire();
        let statistics = Report::Statistics(self.link.engine.statistics());
        self.send(vec![heartbeat(), statistics]).await
    }

    async fn send(&mut self, reports: Vec<Report>) -> Result<(), End> {
        for report in reports {
            let sending = self.reports.send(self.link.report(report));
            if !matches!(timeout(SEND_TIMEOUT, sending).await, Ok(Ok(()))) {
                let text = "the stream does not take reports".to_owned();
                return Err(End::Broken(text));
            }
        }
        Ok(())
    }

    /// Announces the end and waits, for a bounded time, until the scheduler took note.
    async fn farewell(&mut self) {
        let link = self.link;
        let shutdown = Report::Shutdown(pb::ExecutorShutdown {
            ballista_executor_id: link.run.node().to_string(),
            reason: STOPPED.to_owned(),
        });
        let _ = self.reports.try_send(link.report(shutdown));
        let noted = async { while let Ok(Some(_)) = self.incoming.message().await {} };
        if timeout(FAREWELL_TIMEOUT, noted).await.is_err() {
            tracing::warn!(scheduler = %link.scheduler, "scheduler did not take note of the end");
        }
    }
}

/// Whether the scheduler itself ended the stream because it leaves; what happened on the way has a
/// source.
fn is_farewell(status: &Status) -> bool {
    status.code() == Code::Unavailable && status.source().is_none()
}

fn draining() -> Report {
    let reason = STOPPED.to_owned();
    Report::Draining(pb::ExecutorDraining { reason })
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

/// A stream that lived for so long was one. What breaks at once breaks again, so it is waited for.
const STEADY: Duration = Duration::from_secs(5);

const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// Room for what is said when a stream opens: as many definitions as may be open, and a heartbeat.
const REPORT_QUEUE: usize = 64;

const STOPPED: &str = "executor stopped";
