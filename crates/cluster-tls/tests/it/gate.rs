//! The gate in front of handlers that ask for permits: who is denied is denied at the headers.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cluster_tls::danger::plaintext_transport;
use cluster_tls::tonic::{
    Authorizer, Decision, Decisions, Method, MethodTable, NodeChannel, NodeTransport,
    WithoutIdentity, server_builder,
};
use cluster_tls::{DialLimits, Role};
use http::Response;
use http_body::{Body as HttpBody, Frame};
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Request, Status};
use tower_layer::Layer;
use tower_service::Service;

use crate::loaded::credentials;
use crate::observed::within;
use crate::pki::{Authority, member};
use crate::tonic::{channel, serve_router, transport};

/// A method of the one service, for the tables of this file.
macro_rules! method {
    ($name:ident, $roles:expr, $without_identity:ident) => {
        pub(crate) enum $name {}

        impl Method for $name {
            const PATH: &'static str = concat!("/test.Service/", stringify!($name));
            const ROLES: &'static [Role] = $roles;
            const WITHOUT_IDENTITY: WithoutIdentity = WithoutIdentity::$without_identity;
        }
    };
}

method!(Take, &[Role::Executor], Admit);
method!(Secret, &[Role::Executor], Refuse);
method!(Submit, &[Role::Scheduler], Admit);
method!(Closed, &[], Refuse);

const NO_ROW: &str = "/test.Service/Unknown";
const PATHS: [&str; 5] = [Take::PATH, Secret::PATH, Submit::PATH, Closed::PATH, NO_ROW];

/// What was decided, as `method outcome`.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// What was decided since this was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Decisions for Log {
    fn decided(&self, decision: &Decision<'_>) {
        let outcome = match decision.outcome {
            Ok(()) => "granted",
            Err(denied) => denied.as_str(),
        };
        let line = format!("{} {outcome}", decision.method);
        self.0.lock().unwrap().push(line);
    }
}

/// Reads the whole message of a call, as generated services do, and asks for its permit then.
#[derive(Clone)]
struct Reader {
    authorizer: Authorizer,
    read_bytes: Arc<AtomicUsize>,
}

impl NamedService for Reader {
    const NAME: &'static str = "test.Service";
}

impl Reader {
    async fn serve(self, request: http::Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let mut body = pin!(body);
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let data = frame.unwrap().into_data().unwrap_or_default();
            self.read_bytes.fetch_add(data.len(), Ordering::SeqCst);
        }
        let path = parts.uri.path().to_owned();
        let request = Request::from_http(http::Request::from_parts(parts, ()));
        match self.permit(&path, &request) {
            Ok(()) => Status::ok("").into_http(),
            Err(status) => status.into_http(),
        }
    }

    fn permit(&self, path: &str, request: &Request<()>) -> Result<(), Status> {
        let authorizer = &self.authorizer;
        let denied = match path {
            Take::PATH => authorizer.permit::<Take, _>(request).err(),
            Secret::PATH => authorizer.permit::<Secret, _>(request).err(),
            Submit::PATH => authorizer.permit::<Submit, _>(request).err(),
            Closed::PATH => authorizer.permit::<Closed, _>(request).err(),
            _ => return Err(Status::unimplemented("")),
        };
        denied.map_or(Ok(()), |denied| Err(denied.into()))
    }
}

impl Service<http::Request<Body>> for Reader {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let reader = self.clone();
        Box::pin(async move { Ok(reader.serve(request).await) })
    }
}

/// A message of [`MESSAGE_BYTES`] in pieces, and how much of it was taken to be sent.
pub(crate) struct Message {
    left: usize,
    taken_bytes: Arc<AtomicUsize>,
}

impl Message {
    pub(crate) fn new() -> (Self, Arc<AtomicUsize>) {
        let taken_bytes = Arc::<AtomicUsize>::default();
        let message = Self {
            left: MESSAGE_BYTES,
            taken_bytes: taken_bytes.clone(),
        };
        (message, taken_bytes)
    }
}

impl HttpBody for Message {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let piece = self.left.min(PIECE_BYTES);
        self.left -= piece;
        self.taken_bytes.fetch_add(piece, Ordering::SeqCst);
        let data = Bytes::from(vec![0; piece]);
        Poll::Ready((piece > 0).then(|| Ok(Frame::data(data))))
    }
}

pub(crate) const MESSAGE_BYTES: usize = 8 * 1024 * 1024;
pub(crate) const PIECE_BYTES: usize = 16 * 1024;

/// What HTTP/2 lets a client send of one call before the server has read any of it.
const WINDOW_BYTES: usize = 1024 * 1024;

/// Whether the service stands behind the gate.
pub(crate) enum Gate {
    Shut,
    /// And with so many seats for each peer.
    Seats(usize),
    /// And with a seat for each peer, that it may sit on for so long.
    Seat(Duration),
    Missing,
}

/// A server of the methods above.
pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
    read_bytes: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Scene {
    pub(crate) async fn new(transport: &NodeTransport, gate: Gate) -> Self {
        let log = Log::default();
        let authorizer = Authorizer::new(Arc::new(log.clone()));
        let read_bytes = Arc::<AtomicUsize>::default();
        let table = MethodTable::new()
            .method::<Take>()
            .method::<Secret>()
            .method::<Submit>()
            .method::<Closed>();
        let layer = authorizer.gate(table);
        let reader = Reader {
            authorizer,
            read_bytes: read_bytes.clone(),
        };
        let router = match gate {
            Gate::Shut => server_builder().add_service(layer.layer(reader)),
            Gate::Seats(seats) => {
                let layer = layer.calls_per_peer(seats);
                server_builder().add_service(layer.layer(reader))
            }
            Gate::Seat(time) => {
                let layer = layer.calls_per_peer(1).answered_within(time);
                server_builder().add_service(layer.layer(reader))
            }
            Gate::Missing => server_builder().add_service(reader),
        };
        let (address, server) = serve_router(transport, router).await;
        Self {
            address,
            log,
            read_bytes,
            _server: server,
        }
    }

    /// What the server read since this was last asked.
    pub(crate) fn read_bytes(&self) -> usize {
        self.read_bytes.swap(0, Ordering::SeqCst)
    }
}

/// One call with a large message: how it ended, and how much of the message left the caller.
pub(crate) async fn call(channel: NodeChannel, path: &str) -> (Code, String, usize) {
    let (message, taken_bytes) = Message::new();
    let status = call_with(channel, path, Body::new(message)).await;
    let taken = taken_bytes.load(Ordering::SeqCst);
    (status.code(), status.message().to_owned(), taken)
}

pub(crate) async fn call_with(mut channel: NodeChannel, path: &str, body: Body) -> Status {
    let request = http::Request::post(format!("http://node{path}"))
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    let answered = async {
        poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
        channel.call(request).await.unwrap()
    };
    let response = within(answered).await;
    Status::from_header_map(response.headers()).unwrap()
}

pub(crate) fn node(authority: &Authority, role: &str) -> NodeTransport {
    transport(&credentials(
        authority,
        &authority.issue(&member(role, "n1")),
    ))
}

#[tokio::test]
async fn of_a_denied_call_no_byte_is_read_and_at_most_a_window_is_sent() {
    let authority = Authority::new("root");
    let server = Scene::new(&node(&authority, "node"), Gate::Shut).await;
    let caller = channel(&node(&authority, "executor"), server.address, Role::Node);
    // Again and again on one connection: what denied calls sent is not held against the others.
    for _ in 0..16 {
        for path in [Submit::PATH, Closed::PATH, NO_ROW] {
            let (code, text, taken) = call(caller.clone(), path).await;
            assert_eq!(code, Code::PermissionDenied, "{path}");
            assert_eq!(text, "permission denied", "{path}");
            assert!(taken <= WINDOW_BYTES + PIECE_BYTES, "{path}: {taken}");
            assert_eq!(server.read_bytes(), 0, "{path}");
        }
        let (code, _, taken) = call(caller.clone(), Take::PATH).await;
        assert_eq!((code, taken), (Code::Ok, MESSAGE_BYTES));
        assert_eq!(server.read_bytes(), MESSAGE_BYTES);
    }
}

/// What the gate is there for: the counters above would show it, were it not.
#[tokio::test]
async fn without_a_gate_a_denied_call_is_read_to_its_end() {
    let authority = Authority::new("root");
    let server = Scene::new(&node(&authority, "node"), Gate::Missing).await;
    let caller = channel(&node(&authority, "executor"), server.address, Role::Node);
    let (code, _, taken) = call(caller, Submit::PATH).await;
    assert_eq!((code, taken), (Code::PermissionDenied, MESSAGE_BYTES));
    assert_eq!(server.read_bytes(), MESSAGE_BYTES);
}

#[tokio::test]
async fn gate_and_permit_decide_alike_and_each_decision_is_reported_once() {
    let authority = Authority::new("root");
    let gated = Scene::new(&node(&authority, "node"), Gate::Shut).await;
    let open = Scene::new(&node(&authority, "node"), Gate::Missing).await;
    for role in ["executor", "scheduler", "node", "client"] {
        let caller = node(&authority, role);
        for path in PATHS {
            alike(&caller, &gated, &open, path).await;
        }
    }
}

#[tokio::test]
async fn without_identities_gate_and_permit_decide_alike_too() {
    let plain = plaintext_transport(DialLimits::default());
    let gated = Scene::new(&plain, Gate::Shut).await;
    let open = Scene::new(&plain, Gate::Missing).await;
    for path in PATHS {
        alike(&plain, &gated, &open, path).await;
    }
    let (code, ..) = call(channel(&plain, gated.address, Role::Node), Take::PATH).await;
    assert_eq!(code, Code::Ok, "{:?}", gated.log.take());
    let (code, ..) = call(channel(&plain, gated.address, Role::Node), Secret::PATH).await;
    assert_eq!(code, Code::PermissionDenied);
    let told = [
        "/test.Service/Take granted",
        "/test.Service/Secret no_identity",
    ];
    assert_eq!(gated.log.take(), told);
}

/// The same answer and the same one report, whether a gate is there or not; but that only a gate
/// knows of methods without a row.
async fn alike(caller: &NodeTransport, gated: &Scene, open: &Scene, path: &str) {
    let (by_gate, ..) = call(channel(caller, gated.address, Role::Node), path).await;
    let (by_permit, ..) = call(channel(caller, open.address, Role::Node), path).await;
    let (told_by_gate, told_by_permit) = (gated.log.take(), open.log.take());
    if path == NO_ROW {
        assert_eq!(by_gate, Code::PermissionDenied);
        assert_eq!(told_by_gate, ["(no row) unknown_method"]);
        return;
    }
    assert_eq!(by_gate, by_permit, "{path}");
    assert_eq!(told_by_gate, told_by_permit, "{path}");
    assert_eq!(told_by_gate.len(), 1, "{path}: {told_by_gate:?}");
}
