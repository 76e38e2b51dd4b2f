//! The table of methods in front of a real tonic server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cluster_tls::danger::plaintext_transport;
use cluster_tls::tonic::{
    AuthorizationLayer, Decision, Decisions, Denied, MethodTable, NodeTransport,
};
use cluster_tls::{AcceptLimits, DialLimits, NoEvents, Role};
use http::HeaderMap;
use tokio::task::JoinSet;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Code, Status};
use tower_layer::Layer;

use crate::loaded::credentials;
use crate::meeting::listen;
use crate::pki::{Authority, member};
use crate::tonic::{WhoAmI, channel, send, serve_router};

const POLL: &str = "/test.Service/Poll";
const SUBMIT: &str = "/test.Service/Submit";

/// What was decided, as `method peer outcome`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// What was decided since this was last asked.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Decisions for Log {
    fn decided(&self, decision: &Decision<'_>) {
        let outcome = match decision.outcome {
            Ok(()) => "granted",
            Err(denied) => denied.as_str(),
        };
        assert!(decision.remote.is_some(), "{decision:?}");
        let peer = decision.peer.map_or("nobody", |peer| peer.role().as_str());
        let line = format!("{} {peer} {outcome}", decision.method);
        self.0.lock().unwrap().push(line);
    }
}

/// A server behind the table: executors poll, schedulers submit.
struct Guarded {
    address: SocketAddr,
    log: Log,
    _server: JoinSet<()>,
}

async fn guarded(transport: &NodeTransport) -> Guarded {
    let table = MethodTable::new()
        .allow(POLL, &[Role::Executor])
        .allow(SUBMIT, &[Role::Scheduler]);
    let log = Log::default();
    let layer = AuthorizationLayer::new(table, Arc::new(log.clone()));
    let router = Server::builder().add_service(layer.layer(WhoAmI));
    let (address, server) = serve_router(transport, router).await;
    Guarded {
        address,
        log,
        _server: server,
    }
}

impl Guarded {
    /// Calls `path` as `caller`; the status, with the text that the caller is told.
    async fn call(&self, caller: &NodeTransport, path: &str) -> (Code, String) {
        let channel = channel(caller, self.address, Role::Node);
        let response = send(channel, path, HeaderMap::new()).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        (status.code(), status.message().to_owned())
    }
}

fn denied() -> (Code, String) {
    (Code::PermissionDenied, "permission denied".to_owned())
}

fn granted() -> (Code, String) {
    (Code::Ok, String::new())
}

/// Makes transports of one cluster.
struct Cluster(Authority);

impl Cluster {
    fn new() -> Self {
        Self(Authority::new("root"))
    }

    fn transport(&self, role: &str) -> NodeTransport {
        let node = credentials(&self.0, &self.0.issue(&member(role, "n1")));
        let (accept, dial) = (AcceptLimits::default(), DialLimits::default());
        NodeTransport::mutual(node, accept, dial, Arc::new(NoEvents))
    }
}

#[tokio::test]
async fn a_role_of_the_row_passes_and_every_other_is_denied() {
    let cluster = Cluster::new();
    let server = guarded(&cluster.transport("node")).await;
    for (role, may_poll, may_submit) in [
        ("executor", true, false),
        ("scheduler", false, true),
        ("node", true, true),
        ("client", false, false),
    ] {
        let caller = cluster.transport(role);
        for (path, may) in [(POLL, may_poll), (SUBMIT, may_submit)] {
            let expected = if may { granted() } else { denied() };
            assert_eq!(server.call(&caller, path).await, expected, "{role} {path}");
            let outcome = if may { "granted" } else { "role" };
            assert_eq!(server.log.take(), [format!("{path} {role} {outcome}")]);
        }
    }
}

#[tokio::test]
async fn a_method_without_a_row_is_denied_to_everybody_and_not_named() {
    let cluster = Cluster::new();
    let server = guarded(&cluster.transport("node")).await;
    let caller = cluster.transport("node");
    for path in [
        "/test.Service/Unknown",
        "/test.Service/poll",
        "/test.Service/Poll/",
        "/test.Service/%50oll",
    ] {
        assert_eq!(server.call(&caller, path).await, denied(), "{path}");
        let decided = server.log.take();
        assert_eq!(decided, ["(no row) node unknown_method"], "{path}");
    }
    // A query is no part of the path: the same method, the same row.
    let queried = format!("{POLL}?role=executor");
    assert_eq!(server.call(&caller, &queried).await, granted());
}

#[tokio::test]
async fn nothing_is_let_through_on_a_plaintext_transport() {
    let plain = plaintext_transport(DialLimits::default());
    let server = guarded(&plain).await;
    for path in [POLL, SUBMIT] {
        assert_eq!(server.call(&plain, path).await, denied());
        assert_eq!(server.log.take(), [format!("{path} nobody no_identity")]);
    }
}

#[tokio::test]
async fn a_connection_of_another_kind_is_nobody() {
    // The same service behind a listener that is not ours: its connections carry no identity.
    let table = MethodTable::new().allow(POLL, &[Role::Executor]);
    let layer = AuthorizationLayer::new(table, Arc::new(Unreached));
    let (listener, address) = listen().await;
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let mut server = JoinSet::new();
    server.spawn(async move {
        let router = Server::builder().add_service(layer.layer(WhoAmI));
        router.serve_with_incoming(incoming).await.unwrap();
    });
    let plain = plaintext_transport(DialLimits::default());
    let channel = channel(&plain, address, Role::Node);
    let response = send(channel, POLL, HeaderMap::new()).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!((status.code(), status.message().to_owned()), denied());
}

/// Sees that nothing but an unknown connection is decided about.
struct Unreached;

impl Decisions for Unreached {
    fn decided(&self, decision: &Decision<'_>) {
        let outcome = decision.outcome.map_err(Denied::as_str);
        assert_eq!(outcome, Err("unknown_connection"));
    }
}

#[test]
fn a_guarded_service_keeps_its_name() {
    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    let layer = AuthorizationLayer::new(MethodTable::new(), Arc::new(Log::default()));
    assert_eq!(name(&layer.layer(WhoAmI)), name(&WhoAmI));
}
