//! One executor's control stream, from its first message to its end.

use std::sync::Arc;
use std::time::Duration;

use cluster_proto::{ExecutorRun, NodeId, pb};
use cluster_tls::tonic::{Authorizer, Connection, Permit};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use super::{ClusterServiceState, Commands, executor_id};
use crate::authorization::ControlStream;
use crate::control::{Acknowledged, Closed, Outbox};
use crate::events::ExecutorDeparture;
use crate::members::AppFailure;
use crate::metrics::Answered;
use crate::status::Refused;
use crate::told;
use pb::executor_control_message::Message as Report;

type Reports = Streaming<pb::ExecutorControlMessage>;

/// Binds the stream to the executor that its first message names, and serves it until either
/// side ends it, a newer stream takes over, or the executor falls silent.
pub(super) async fn serve(
    state: Arc<ClusterServiceState>,
    authorizer: Authorizer,
    permit: Permit<ControlStream>,
    request: Request<Reports>,
) -> Result<Commands, Status> {
    let connection = request.extensions().get::<Connection>().cloned();
    let mut reports = request.into_inner();
    let first = next_report(&mut reports).await?;
    let Some(mut first) = first else {
        return Err(
            Refused::Malformed("the first message of a control stream names the executor").into(),
        );
    };
    let id = executor_id(&first.executor_id)?;
    state.members.claim(&authorizer, &permit, &id)?;

    let run = ExecutorRun::new(id.clone(), &first.instance_id)
        .map_err(|_| Refused::Malformed("the instance id has letters and digits only"))?;
    // What it has open goes ahead, so that whoever hears of the executor can use it.
    let loaded = match first
        .message
        .take_if(|it| matches!(it, Report::PartitionsLoaded(_)))
    {
        Some(Report::PartitionsLoaded(loaded)) => Some(loaded_digest(&loaded)?),
        _ => None,
    };
    let outbox = state.streams.open(&run);
    if let Some(earlier) = state.members.connect(&run, permit.peer()) {
        let departure = ExecutorDeparture::Restarted;
        let reason = departure.reason();
        state.engine.executor_left(&earlier, reason).await;
        state.events.executor_left(&id, departure);
    }
    let version = told::version(&first.build_version);
    state.members.record_version(&id, version);
    if let Some(digest) = loaded {
        state.executor_loaded(&id, &digest);
    }
    state
        .events
        .executor_connected(&id, state.members.connected().len());
    let (sender, commands) = mpsc::channel(1);
    let session = Session {
        state: state.clone(),
        authorizer,
        permit,
        connection,
        id,
        run,
    };
    state
        .tasks
        .spawn(session.run(first, reports, outbox, sender));
    Ok(Box::pin(ReceiverStream::new(commands)))
}

type Sender = mpsc::Sender<Result<pb::SchedulerControlMessage, Status>>;

/// One bound stream.
struct Session {
    state: Arc<ClusterServiceState>,
    authorizer: Authorizer,
    permit: Permit<ControlStream>,
    connection: Option<Connection>,
    id: NodeId,
    run: ExecutorRun,
}

/// Why a stream ended.
enum End {
    /// The executor said that it leaves, with its reason.
    Announced(String),
    /// The connection broke or the executor closed the stream without a word.
    Lost,
    /// The connection has come of age: the executor opens the stream again on a new one.
    Draining,
    /// We end it, and tell why.
    Refused(Refused),
}

/// The end of a stream, as it is told.
struct Ended {
    /// To whoever reads the log.
    reason: String,
    /// To those who wait for tasks, by an executor that leaves.
    farewell: Option<String>,
    /// To the executor.
    refusal: Option<Status>,
}

impl Ended {
    fn of(end: End) -> Self {
        let told = |reason: &str| Self {
            reason: reason.to_owned(),
            farewell: None,
            refusal: None,
        };
        match end {
            End::Announced(farewell) => Self {
                farewell: Some(farewell),
                ..told("it leaves")
            },
            End::Lost => told("the connection broke"),
            End::Draining => told("the connection is old, a new one follows"),
            End::Refused(refused) => {
                let refusal = Status::from(refused);
                let mut ended = told(refusal.message());
                ended.refusal = Some(refusal);
                ended
            }
        }
    }
}

const UNASKED: End = End::Refused(Refused::Malformed("nobody asked for this control message"));

impl Session {
    async fn run(
        self,
        first: pb::ExecutorControlMessage,
        reports: Reports,
        mut outbox: Outbox,
        sender: Sender,
    ) {
        let superseded = outbox.superseded.clone();
        let end = match self.take(first) {
            Some(end) => end,
            // A newer stream also takes this one's queue away, which ends `send`: the reason is
            // looked at first, or the executor would be told of a loss by half the chances.
            None => tokio::select! {
                biased;
                () = superseded.cancelled() => End::Refused(Refused::Superseded),
                () = self.state.shutdown.cancelled() => End::Refused(Refused::ShuttingDown),
                end = self.receive(reports) => end,
                // A connection that is gone has come to its end too, which is not what is meant.
                () = self.draining() => End::Draining,
                () = send(&mut outbox, &sender) => End::Lost,
            },
        };
        self.close(outbox.generation, end, sender).await;
    }

    async fn draining(&self) {
        match &self.connection {
            Some(connection) => connection.draining().await,
            None => std::future::pending().await,
        }
    }

    async fn receive(&self, mut reports: Reports) -> End {
        loop {
            match next_report(&mut reports).await {
                Ok(Some(report)) => {
                    if let Some(end) = self.take(report) {
                        return end;
                    }
                }
                Ok(None) => return End::Lost,
                Err(refused) => return End::Refused(refused),
            }
        }
    }

    /// Takes one message in; `Some` ends the stream.
    fn take(&self, report: pb::ExecutorControlMessage) -> Option<End> {
        // The sender field is compared with what the stream was bound to, then ignored. The
        // claim is renewed with every message: an id is held by showing signs of life.
        if !report.executor_id.eq_ignore_ascii_case(self.id.as_str()) {
            let denied = self.authorizer.refuse_foreign_sender(&self.permit);
            return Some(End::Refused(denied.into()));
        }
        if let Err(denied) = self
            .state
            .members
            .claim(&self.authorizer, &self.permit, &self.id)
        {
            return Some(End::Refused(denied.into()));
        }
        match report.message? {
            Report::Heartbeat(_) => {
                self.state.streams.expire(&self.id);
                None
            }
            Report::Ack(ack) => {
                self.state.acknowledged(&self.id, &ack);
                None
            }
            Report::PartitionsLoaded(loaded) => match loaded_digest(&loaded) {
                Ok(digest) => {
                    self.state.executor_loaded(&self.id, &digest);
                    None
                }
                Err(refused) => Some(End::Refused(refused)),
            },
            Report::Draining(draining) => {
                let reason = told::reason(&draining.reason);
                tracing::info!(executor = %self.id, reason, "executor takes no further tasks");
                self.state.members.drain(&self.id);
                None
            }
            Report::Statistics(numbers) => {
                self.state.members.record_statistics(
                    &self.id,
                    numbers.task_slots,
                    numbers.tasks_active,
                    numbers.tasks_total,
                );
                None
            }
            Report::Shutdown(shutdown) => Some(End::Announced(told::reason(&shutdown.reason))),
            Report::Metrics(metrics) => {
                let answered = self.state.metrics_requests.answered(&self.id, metrics);
                (answered == Answered::Unasked).then_some(UNASKED)
            }
        }
    }

    async fn close(self, generation: u64, end: End, sender: Sender) {
        let state = &self.state;
        state.metrics_requests.stream_ended(&self.id, generation);
        let last = state.streams.close(&self.run, generation) == Closed::Last;
        let ended = Ended::of(end);
        if last {
            let members = &self.state.members;
            members.disconnect(&self.id);
            let connected = members.connected().len();
            let events = &self.state.events;
            events.executor_disconnected(&self.id, connected, &ended.reason);
        }
        if let Some(refusal) = ended.refusal {
            // The receiver may be gone with its connection; then nobody needs the text.
            let _ = sender.try_send(Err(refusal));
        }
        if !last {
            return;
        }
        match ended.farewell {
            // The end of the stream, when `sender` is dropped, tells the executor that its
            // farewell was carried out; nobody needs to wait for the end of a lost stream.
            Some(reason) => self.leave(ExecutorDeparture::Announced(&reason)).await,
            None => {
                drop(sender);
                self.leave_unless_it_returns().await;
            }
        }
    }

    /// A broken stream is not yet a dead executor: it reconnects within seconds when only the
    /// network hiccuped, and its tasks need not run twice then.
    async fn leave_unless_it_returns(self) {
        let waited = timeout(RECONNECT_GRACE, self.state.shutdown.cancelled()).await;
        let shutting_down = waited.is_ok();
        if shutting_down || self.state.streams.is_open(&self.id) {
            return;
        }
        self.leave(ExecutorDeparture::Lost).await;
    }

    async fn leave(self, departure: ExecutorDeparture<'_>) {
        let reason = departure.reason();
        self.state.engine.executor_left(&self.run, reason).await;
        self.state.members.forget(&self.id);
        self.state.streams.forget(&self.run);
        self.state.events.executor_left(&self.id, departure);
    }
}

impl ClusterServiceState {
    fn executor_loaded(&self, id: &NodeId, digest: &str) {
        if !self.members.record_loaded(id, digest) {
            return;
        }
        if digest == self.app().digest() {
            self.events.executor_ready(id, digest, self.ready_count());
        } else {
            // For queries that began with it, or for another scheduler.
            tracing::debug!(executor = %id, digest, "executor has another application open");
        }
    }

    fn acknowledged(&self, id: &NodeId, ack: &pb::CommandAck) {
        let error = told::reason(&ack.error);
        let outcome = if error.is_empty() {
            Ok(())
        } else {
            Err(error.as_str())
        };
        let acknowledged = self.streams.acknowledge(id, &ack.request_id, outcome);
        if let (Acknowledged::App(digest), Err(reason)) = (acknowledged, outcome) {
            let reason = reason.to_owned();
            self.members
                .record_failed(id, AppFailure { digest, reason });
        }
    }
}

/// The digest of the definition that an executor says to have open.
fn loaded_digest(loaded: &pb::PartitionsLoaded) -> Result<String, Refused> {
    if !loaded.table_name.is_empty() || !loaded.partition.is_empty() {
        return Err(Refused::Malformed(
            "this scheduler has no partitioned datasets",
        ));
    }
    let digest = told::digest(&loaded.digest);
    let digest = digest.ok_or(Refused::Malformed("a digest has 64 hexadecimal digits"))?;
    Ok(digest.to_owned())
}

async fn send(outbox: &mut Outbox, sender: &Sender) {
    loop {
        // There is room before anything is taken: a peer that does not read holds up nothing
        // but its own commands, and those time out.
        let Ok(room) = sender.reserve().await else {
            return;
        };
        room.send(Ok(outbox.next().await));
    }
}

/// The next message, `None` at the end of the stream or when the connection broke.
async fn next_report(reports: &mut Reports) -> Result<Option<pb::ExecutorControlMessage>, Refused> {
    match timeout(SILENCE_LIMIT, reports.message()).await {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(_)) => Ok(None),
        Err(_) => Err(Refused::Silent),
    }
}

/// Three heartbeats missed.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How long a silent executor keeps its tasks after its stream broke: longer than one
/// reconnect, short enough that a query survives a killed executor without a long wait.
const RECONNECT_GRACE: Duration = Duration::from_secs(3);
