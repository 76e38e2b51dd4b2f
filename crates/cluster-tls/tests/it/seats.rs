//! How many calls of one peer are read at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use cluster_tls::Role;
use cluster_tls::tonic::{Method, NodeChannel};
use http_body::{Body as HttpBody, Frame};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::gate::{Gate, MESSAGE_BYTES, Message, Scene, Submit, Take, call, call_with, node};
use crate::loaded::credentials;
use crate::observed::within;
use crate::pki::{Authority, member};
use crate::tonic::{channel, transport};

/// A message whose end is held back until its sender is dropped.
struct Held {
    taken_bytes: Arc<AtomicUsize>,
    end: oneshot::Receiver<()>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.taken_bytes.load(Ordering::SeqCst) == 0 {
            let begin = Bytes::from_static(b"begin");
            self.taken_bytes.store(begin.len(), Ordering::SeqCst);
            return Poll::Ready(Some(Ok(Frame::data(begin))));
        }
        let _ = ready!(Pin::new(&mut self.end).poll(cx));
        Poll::Ready(None)
    }
}

/// Calls of one peer that are under way.
struct Crowd {
    channel: NodeChannel,
    calls: JoinSet<Status>,
}

impl Crowd {
    fn new(channel: NodeChannel) -> Self {
        Self {
            channel,
            calls: JoinSet::new(),
        }
    }

    /// Begins a call, which has arrived at the server when this returns.
    async fn begin(&mut self, body: Body, taken_bytes: &AtomicUsize) {
        let channel = self.channel.clone();
        self.calls
            .spawn(async move { call_with(channel, Take::PATH, body).await });
        let sent = async {
            while taken_bytes.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        within(sent).await;
        // On one connection calls arrive in order: this one is denied after the other has come.
        let (code, ..) = call(self.channel.clone(), Submit::PATH).await;
        assert_eq!(code, Code::PermissionDenied);
    }

    /// Begins a call that ends with what is returned.
    async fn hold(&mut self) -> oneshot::Sender<()> {
        let (hold, end) = oneshot::channel();
        let taken_bytes = Arc::<AtomicUsize>::default();
        let held = Held {
            taken_bytes: taken_bytes.clone(),
            end,
        };
        self.begin(Body::new(held), &taken_bytes).await;
        hold
    }

    /// How the next call ends.
    async fn next(&mut self) -> Code {
        within(self.calls.join_next())
            .await
            .unwrap()
            .unwrap()
            .code()
    }
}

#[tokio::test]
async fn what_a_peer_calls_beyond_its_seats_waits_unread_and_no_other_peer_waits() {
    let authority = Authority::new("root");
    let server = Scene::new(&node(&authority, "node"), Gate::Seats(2)).await;
    let caller = channel(&node(&authority, "executor"), server.address, Role::Node);
    let mut crowd = Crowd::new(caller);
    let holds = [crowd.hold().await, crowd.hold().await];
    let (message, taken_bytes) = Message::new();
    crowd.begin(Body::new(message), &taken_bytes).await;
    let begun = 2 * "begin".len();

    let other = credentials(&authority, &authority.issue(&member("executor", "n2")));
    let other = channel(&transport(&other), server.address, Role::Node);
    let (code, ..) = call(other, Take::PATH).await;
    assert_eq!(code, Code::Ok);
    let before = server.read_bytes();
    assert!(before <= begun + MESSAGE_BYTES, "{before}");

    let [first, second] = holds;
    drop(first);
    let ended = [crowd.next().await, crowd.next().await];
    assert_eq!(ended, [Code::Ok, Code::Ok]);
    let all = before + server.read_bytes();
    assert_eq!(all, begun + 2 * MESSAGE_BYTES);
    drop(second);
    assert_eq!(crowd.next().await, Code::Ok);
}

#[tokio::test]
async fn a_call_that_gets_no_seat_in_time_is_told_so_and_reported() {
    let authority = Authority::new("root");
    let server = Scene::new(&node(&authority, "node"), Gate::Seats(1)).await;
    let caller = channel(&node(&authority, "executor"), server.address, Role::Node);
    let mut crowd = Crowd::new(caller.clone());
    let hold = crowd.hold().await;
    server.log.take();

    let (code, text, _) = call(caller.clone(), Take::PATH).await;
    assert_eq!(code, Code::ResourceExhausted);
    assert_eq!(text, "too many calls at a time");
    assert_eq!(server.log.take(), ["/test.Service/Take too_many_calls"]);
    assert_eq!(server.read_bytes(), "begin".len());

    drop(hold);
    assert_eq!(crowd.next().await, Code::Ok);
    let (code, ..) = call(caller, Take::PATH).await;
    assert_eq!(code, Code::Ok);
}

#[tokio::test]
async fn a_message_that_does_not_end_in_time_is_given_up_and_its_seat_is_free_again() {
    let authority = Authority::new("root");
    let time = Duration::from_secs(1);
    let server = Scene::new(&node(&authority, "node"), Gate::Seat(time)).await;
    let caller = channel(&node(&authority, "executor"), server.address, Role::Node);
    let mut crowd = Crowd::new(caller.clone());
    let _hold = crowd.hold().await;
    assert_eq!(crowd.next().await, Code::DeadlineExceeded);
    let told = server.log.take();
    assert_eq!(told.last().unwrap(), "/test.Service/Take not_in_time");
    let (code, ..) = call(caller, Take::PATH).await;
    assert_eq!(code, Code::Ok);
}
