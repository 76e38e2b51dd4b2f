//! A permit comes from the identity that the connection proved, and from nothing else.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use cluster_tls::danger::plaintext_transport;
use cluster_tls::tonic::{
    Authorizer, ChannelOptions, Connection, Decision, Decisions, Denied, Method, NodeTransport,
    Permit, WithoutIdentity,
};
use cluster_tls::{AcceptLimits, DialLimits, NoEvents, NodeAddress, Role};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::body::Body;
use tonic::transport::server::Connected;
use tonic::{Code, Request, Status};
use tower_service::Service;

use crate::loaded::credentials;
use crate::meeting::{listen, local};
use crate::pki::{Authority, member};

/// A method for executors, also on a plaintext transport.
#[derive(Debug)]
struct Poll;

impl Method for Poll {
    const PATH: &'static str = "/test.Service/Poll";
    const ROLES: &'static [Role] = &[Role::Executor];
    const WITHOUT_IDENTITY: WithoutIdentity = WithoutIdentity::Admit;
}

/// A method for executors, but never without an identity.
#[derive(Debug)]
struct Secret;

impl Method for Secret {
    const PATH: &'static str = "/test.Service/Secret";
    const ROLES: &'static [Role] = &[Role::Executor];
    const WITHOUT_IDENTITY: WithoutIdentity = WithoutIdentity::Refuse;
}

/// What was decided, as `method outcome`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

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

/// The server's view of a connection from `client`.
async fn connection(server: &NodeTransport, client: &NodeTransport) -> Connection {
    let (listener, address) = listen().await;
    let mut incoming = server.incoming(listener);
    let mut tasks = JoinSet::new();
    let target: NodeAddress = local("localhost", address);
    let client = client.clone();
    tasks.spawn(async move {
        let mut channel = client.channel(&target, Role::Scheduler, &ChannelOptions::default());
        // A channel connects when there is something to send; nobody answers here.
        poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
        let _ = channel.call(http::Request::new(Body::empty())).await;
    });
    let stream = incoming.next().await.unwrap().unwrap();
    stream.connect_info()
}

fn request(connection: Option<Connection>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(connection) = connection {
        request.extensions_mut().insert(connection);
    }
    request
}

/// A connection from a peer in `role`.
async fn from_role(role: &str) -> Connection {
    let authority = Authority::new("root");
    let node = |role: &str| {
        let credentials = credentials(&authority, &authority.issue(&member(role, "peer1")));
        let (accept, dial) = (AcceptLimits::default(), DialLimits::default());
        NodeTransport::mutual(credentials, accept, dial, Arc::new(NoEvents))
    };
    connection(&node("scheduler"), &node(role)).await
}

#[tokio::test]
async fn the_roles_of_the_row_get_a_permit_and_nobody_else() {
    let log = Log::default();
    let authorizer = Authorizer::new(Arc::new(log.clone()));
    for (role, granted) in [
        ("executor", true),
        ("node", true),
        ("scheduler", false),
        ("client", false),
    ] {
        let request = request(Some(from_role(role).await));
        let permit: Result<Permit<Poll>, Denied> = authorizer.permit(&request);
        assert_eq!(permit.is_ok(), granted, "{role}");
        if let Ok(permit) = permit {
            assert!(permit.speaks_for("peer1.cluster.local"));
            assert!(!permit.speaks_for("peer2.cluster.local"));
        }
    }
    let granted = "/test.Service/Poll granted";
    let denied = "/test.Service/Poll role";
    assert_eq!(*log.0.lock().unwrap(), [granted, granted, denied, denied]);
}

#[tokio::test]
async fn without_identities_only_what_allows_it_is_permitted() {
    let authorizer = Authorizer::new(Arc::new(Log::default()));
    let plain = plaintext_transport(DialLimits::default());
    let request = request(Some(connection(&plain, &plain).await));
    assert!(authorizer.permit::<Poll, _>(&request).is_ok());
    let denied = authorizer.permit::<Secret, _>(&request).unwrap_err();
    assert_eq!(denied, Denied::NoIdentity);
}

#[test]
fn a_request_from_nowhere_is_denied_and_told_nothing() {
    let authorizer = Authorizer::new(Arc::new(Log::default()));
    let denied = authorizer.permit::<Poll, _>(&request(None)).unwrap_err();
    assert_eq!(denied, Denied::UnknownConnection);
    let answer = Status::from(denied);
    assert_eq!(answer.code(), Code::PermissionDenied);
    assert_eq!(answer.message(), Status::from(Denied::Role).message());
}
