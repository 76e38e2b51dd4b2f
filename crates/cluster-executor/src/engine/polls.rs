//! Polls that are answered exactly once, however often their connection breaks.
//!
//! A poll carries the reports of tasks that ended, and its answer carries new tasks. Upstream's
//! loop forgets both when a call fails: the scheduler then waits for tasks that nobody runs. So
//! every poll gets a number, and is sent again under the same one until it is answered; the
//! scheduler answers a number that it knows from memory (`engine/polls.rs` there).

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{CleanJobDataParams, PollWorkParams, PollWorkResult};
use cluster_proto::POLL_NUMBER_HEADER;
use cluster_tls::NodeAddress;
use cluster_tls::tonic::NodeChannel;
use prost::Message;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tonic::codec::{EncodeBody, EncodeBuf, Encoder, SingleMessageCompressionOverride};
use tonic::codegen::{Body as _, BoxFuture, Service, http};
use tonic::metadata::MetadataValue;
use tonic::transport::Error;
use tonic::{Code, Request, Status};

use super::MESSAGE_LIMIT_BYTES;
use super::jobs::JobFiles;
use crate::backoff::Backoff;
use crate::boot::causes;
use crate::events::ExecutorEvents;

/// What numbers and repeats polls, and what it looks at on the way.
pub(super) struct PollsOnceOptions {
    pub(super) channel: NodeChannel,
    /// For the log.
    pub(super) scheduler: NodeAddress,
    /// The slots of the whole executor: what one scheduler may be told is what all of them leave.
    pub(super) slots: Arc<Semaphore>,
    /// Told which jobs are over.
    pub(super) files: Arc<JobFiles>,
    pub(super) events: Arc<dyn ExecutorEvents>,
}

/// The channel of one poll loop.
#[derive(Clone)]
pub(super) struct PollsOnce {
    channel: NodeChannel,
    shared: Arc<Shared>,
}

struct Shared {
    scheduler: NodeAddress,
    slots: Arc<Semaphore>,
    files: Arc<JobFiles>,
    events: Arc<dyn ExecutorEvents>,
    /// Of the latest poll. Other calls have none.
    number: AtomicU64,
}

impl PollsOnce {
    pub(super) fn new(options: PollsOnceOptions) -> Self {
        Self {
            channel: options.channel,
            shared: Arc::new(Shared {
                scheduler: options.scheduler,
                slots: options.slots,
                files: options.files,
                events: options.events,
                number: AtomicU64::new(0),
            }),
        }
    }

    async fn answer(self, body: Body) -> http::Response<Body> {
        match self.poll(body).await {
            Ok(answer) => response(answer),
            Err(status) => status.into_http(),
        }
    }

    async fn poll(&self, body: Body) -> Result<PollWorkResult, Status> {
        let mut poll = read(body).await?;
        let free = u32::try_from(self.shared.slots.available_permits()).unwrap_or(u32::MAX);
        poll.num_free_vcores = poll.num_free_vcores.min(free);
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed) + 1;
        let mut backoff = Backoff::default();
        loop {
            let status = match self.send(number, poll.clone()).await {
                Ok(mut answer) => {
                    self.note_ends(&mut answer.jobs_to_clean);
                    return Ok(answer);
                }
                Err(status) if is_lost(&status) => status,
                Err(status) => return Err(status),
            };
            self.tell(number, &status);
            sleep(backoff.next()).await;
        }
    }

    async fn send(&self, number: u64, poll: PollWorkParams) -> Result<PollWorkResult, Status> {
        let mut client = SchedulerGrpcClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
            .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
        let mut request = Request::new(poll);
        let number = MetadataValue::from(number);
        request.metadata_mut().insert(POLL_NUMBER_HEADER, number);
        match timeout(ANSWER_LIMIT, client.poll_work(request)).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }

    /// Takes those jobs whose files go as a whole: upstream would remove what a task still writes.
    /// Those of which single stages go are under way, and the stages have ended.
    fn note_ends(&self, jobs: &mut Vec<CleanJobDataParams>) {
        let whole = |job: &mut CleanJobDataParams| job.remove_stage_ids.is_empty();
        for job in jobs.extract_if(.., whole) {
            self.shared.files.over(&job.job_id);
        }
    }

    fn tell(&self, number: u64, status: &Status) {
        self.shared.events.poll_repeated();
        let (scheduler, error) = (&self.shared.scheduler, causes(status));
        tracing::debug!(%scheduler, number, error, "poll not answered, sending it again");
    }
}

impl Service<http::Request<Body>> for PollsOnce {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut this = self.clone();
        if request.uri().path() == POLL_WORK {
            return Box::pin(async move { Ok(this.answer(request.into_body()).await) });
        }
        Box::pin(async move {
            poll_fn(|context| this.channel.poll_ready(context)).await?;
            this.channel.call(request).await
        })
    }
}

/// Whether a status leaves open what became of the call: the connection broke before the answer
/// was here, or the scheduler had not begun. Only what happened on the way has a source; what the
/// scheduler itself answers has none.
fn is_lost(status: &Status) -> bool {
    let undecided = matches!(
        status.code(),
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::ResourceExhausted
    );
    undecided || status.source().is_some()
}

/// The message in the body of a call that is made by our own client, and so is not compressed.
async fn read(mut body: Body) -> Result<PollWorkParams, Status> {
    let mut bytes = vec![];
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    let message = bytes.get(FRAME_HEAD_BYTES..).unwrap_or_default();
    PollWorkParams::decode(message)
        .map_err(|error| Status::internal(format!("the poll is no message: {error}")))
}

fn response(answer: PollWorkResult) -> http::Response<Body> {
    let messages = tokio_stream::once(Ok(answer));
    let no_override = SingleMessageCompressionOverride::default();
    let limit = Some(MESSAGE_LIMIT_BYTES);
    let body = EncodeBody::new_server(Plainly, messages, None, no_override, limit);
    http::Response::new(Body::new(body))
}

/// Writes answers as any client of the protocol reads them.
struct Plainly;

impl Encoder for Plainly {
    type Item = PollWorkResult;
    type Error = Status;

    fn encode(&mut self, item: PollWorkResult, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to)
            .map_err(|error| Status::internal(format!("the answer is not written: {error}")))
    }
}

const POLL_WORK: &str = "/ballista.protobuf.SchedulerGrpc/PollWork";

/// One byte says whether a message is compressed, four how long it is.
const FRAME_HEAD_BYTES: usize = 5;

/// A scheduler answers within milliseconds, or says within fifteen seconds that it is still at it.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
