//! The same promises through a real tonic server and real channels.

use std::convert::Infallible;
use std::future::{pending, poll_fn, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cluster_tls::danger::plaintext_transport;
use cluster_tls::tonic::{
    ChannelOptions, Connection, EndpointError, NodeChannel, NodeTransport, Security,
};
use cluster_tls::{AcceptLimits, Credentials, DialLimits, NoEvents, RefusalReason, Role, publish};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::server::Router;
use tonic::transport::{Endpoint, Server};
use tower_service::Service;

use crate::loaded::{credentials, snapshot};
use crate::meeting::{Seen, listen, local};
use crate::observed::within;
use crate::pki::{Authority, member};

/// Answers every call with what it knows about the caller.
#[derive(Clone)]
pub(crate) struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "test.Service";
}

impl Service<Request<Body>> for WhoAmI {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let connection = request.extensions().get::<Connection>().unwrap();
        let peer = connection
            .peer()
            .map_or("nobody", |peer| peer.uri().unwrap());
        let generation = connection.peer().map_or(0, |peer| peer.generation());
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "0")
            .header("x-peer", peer)
            .header("x-generation", generation)
            .body(Body::empty());
        ready(Ok(response.unwrap()))
    }
}

/// A server on a port of its own, which ends with the returned set.
async fn serve(transport: &NodeTransport) -> (SocketAddr, JoinSet<()>) {
    let (listener, address) = listen().await;
    let incoming = transport.incoming(listener);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        Server::builder()
            .serve_with_incoming(WhoAmI, incoming)
            .await
            .unwrap();
    });
    (address, tasks)
}

/// A server of `router` on a port of its own, which ends with the returned set.
pub(crate) async fn serve_router(
    transport: &NodeTransport,
    router: Router,
) -> (SocketAddr, JoinSet<()>) {
    let (listener, address) = listen().await;
    let transport = transport.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { transport.serve(listener, router, pending()).await });
    (address, tasks)
}

/// What calls go out on: ours, or one that other code has connected.
pub(crate) trait Calls:
    Service<Request<Body>, Response = Response<Body>, Error = tonic::transport::Error>
{
}

impl Calls for NodeChannel {}
impl Calls for tonic::transport::Channel {}

/// One call, with headers of its own.
pub(crate) async fn send(
    mut channel: impl Calls,
    path: &str,
    headers: HeaderMap,
) -> Result<Response<Body>, tonic::transport::Error> {
    poll_fn(|cx| channel.poll_ready(cx)).await?;
    let mut request = Request::post(format!("http://node{path}"))
        .body(Body::empty())
        .unwrap();
    *request.headers_mut() = headers;
    let content_type = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert(CONTENT_TYPE, content_type);
    channel.call(request).await
}

/// One call; what the server knows about us, as `peer generation`.
pub(crate) async fn ask(channel: impl Calls) -> Result<String, tonic::transport::Error> {
    let response = send(channel, "/test.Service/Method", HeaderMap::new()).await?;
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    Ok(format!("{} {}", header("x-peer"), header("x-generation")))
}

pub(crate) fn transport(credentials: &Credentials) -> NodeTransport {
    NodeTransport::mutual(
        credentials.clone(),
        AcceptLimits::default(),
        DialLimits::default(),
        Arc::new(NoEvents),
    )
}

fn plaintext() -> NodeTransport {
    plaintext_transport(DialLimits::default())
}

pub(crate) fn channel(transport: &NodeTransport, to: SocketAddr, expected: Role) -> NodeChannel {
    transport.channel(
        &local("localhost", to),
        expected,
        &ChannelOptions::default(),
    )
}

const EXECUTOR: &str = "spiffe://cluster.local/executor/executor1";

#[tokio::test]
async fn a_handler_knows_who_calls() {
    let authority = Authority::new("root");
    let executor = transport(&credentials(&authority, &authority.executor()));
    let scheduler = authority.issue(&member("scheduler", "s1"));
    let scheduler = transport(&credentials(&authority, &scheduler));
    let (address, _server) = serve(&scheduler).await;
    let answer = ask(channel(&executor, address, Role::Scheduler))
        .await
        .unwrap();
    assert_eq!(answer, format!("{EXECUTOR} 1"));
    assert_eq!(scheduler.security(), Security::Mutual);
}

#[tokio::test]
async fn a_channel_refuses_a_server_in_another_role_and_says_why() {
    let authority = Authority::new("root");
    let executor = transport(&credentials(&authority, &authority.executor()));
    let (address, _server) = serve(&executor).await;
    let error = ask(channel(&executor, address, Role::Scheduler))
        .await
        .unwrap_err();
    assert!(
        sources(&error).contains("wrong_role"),
        "{}",
        sources(&error)
    );
    assert!(
        ask(channel(&executor, address, Role::Executor))
            .await
            .is_ok()
    );
}

/// An error with all its causes.
fn sources(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[tokio::test]
async fn a_channel_connects_anew_with_the_newest_credentials() {
    let authority = Authority::new("root");
    let (mut writer, node) = publish(snapshot(&authority, &authority.executor()));
    let client = transport(&node);
    let server = transport(&credentials(&authority, &authority.executor()));
    // Two handles of one listener: the port stays ours between the two servers.
    let (listener, address) = listen().await;
    let listener = listener.into_std().unwrap();
    let again = TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let mut tasks = JoinSet::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let incoming = server.incoming(listener);
    tasks.spawn(async move {
        let stopped = async { stopped.await.unwrap() };
        let serving = Server::builder().serve_with_incoming_shutdown(WhoAmI, incoming, stopped);
        serving.await.unwrap();
    });
    let channel = channel(&client, address, Role::Executor);
    assert_eq!(ask(channel.clone()).await.unwrap(), format!("{EXECUTOR} 1"));

    let renamed = authority.issue(&member("executor", "executor2"));
    writer.swap(snapshot(&authority, &renamed));
    assert_eq!(client.generation(), 2);
    // The next call goes out on a connection that shows the new certificate.
    const RENAMED: &str = "spiffe://cluster.local/executor/executor2 1";
    assert_eq!(ask(channel.clone()).await.unwrap(), RENAMED);

    stop.send(()).unwrap();
    tasks.join_next().await.unwrap().unwrap();
    let incoming = server.incoming(again);
    tasks.spawn(async move {
        let serving = Server::builder().serve_with_incoming(WhoAmI, incoming);
        serving.await.unwrap();
    });
    let answer = until_reconnected(&channel).await;
    assert_eq!(answer, RENAMED);
}

/// The channel notices only when it is used that its connection is gone.
async fn until_reconnected(channel: &NodeChannel) -> String {
    for _ in 0..ATTEMPTS_MAX {
        if let Ok(answer) = ask(channel.clone()).await {
            return answer;
        }
    }
    panic!("the channel did not reconnect");
}

const ATTEMPTS_MAX: usize = 100;

#[tokio::test]
async fn failing_handshakes_never_end_the_server_nor_hold_up_others() {
    let authority = Authority::new("root");
    let node = credentials(&authority, &authority.executor());
    let seen = Seen::default();
    let server = NodeTransport::mutual(
        node.clone(),
        AcceptLimits::default(),
        DialLimits::default(),
        Arc::new(seen.clone()),
    );
    let (address, _server) = serve(&server).await;
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let _silent = TcpStream::connect(address).await.unwrap();
    let elsewhere = Authority::new("elsewhere");
    let stranger = transport(&credentials(&elsewhere, &elsewhere.executor()));
    assert!(
        ask(channel(&stranger, address, Role::Executor))
            .await
            .is_err()
    );

    assert!(
        ask(channel(&transport(&node), address, Role::Executor))
            .await
            .is_ok()
    );
    let reasons: Vec<_> = seen.all().iter().map(|sighting| sighting.reason).collect();
    assert!(
        reasons.contains(&Some(RefusalReason::Plaintext)),
        "{reasons:?}"
    );
    assert!(
        reasons.contains(&Some(RefusalReason::PeerAlert)),
        "{reasons:?}"
    );
    assert!(reasons.contains(&None), "{reasons:?}");
}

#[tokio::test]
async fn a_full_house_of_silent_connections_makes_room_for_a_member() {
    let authority = Authority::new("root");
    let node = credentials(&authority, &authority.executor());
    let limits = AcceptLimits {
        pending_connections: 2,
        // No timeout helps here: the call would end before one of these does.
        handshake_timeout: Duration::from_secs(600),
        ..AcceptLimits::default()
    };
    let server = NodeTransport::mutual(
        node.clone(),
        limits,
        DialLimits::default(),
        Arc::new(NoEvents),
    );
    let (address, _server) = serve(&server).await;
    let _silent = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let answer = within(ask(channel(&transport(&node), address, Role::Executor))).await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn an_endpoint_of_other_code_is_as_safe_as_a_channel() {
    let authority = Authority::new("root");
    let executor = transport(&credentials(&authority, &authority.executor()));
    let (address, _server) = serve(&executor).await;
    for host in ["localhost", "127.0.0.1"] {
        let endpoint = endpoint(&format!("https://{host}:{}", address.port()));
        let secured = executor.endpoint(endpoint.clone(), Role::Executor).unwrap();
        let channel = secured.connect().await.unwrap();
        assert_eq!(ask(channel).await.unwrap(), format!("{EXECUTOR} 1"));

        let misdirected = executor.endpoint(endpoint, Role::Scheduler).unwrap();
        let error = misdirected.connect().await.unwrap_err();
        assert!(
            sources(&error).contains("wrong_role"),
            "{}",
            sources(&error)
        );
    }
}

#[tokio::test]
async fn an_endpoint_must_say_what_the_transport_does() {
    let authority = Authority::new("root");
    let mutual = transport(&credentials(&authority, &authority.executor()));
    let refused = mutual.endpoint(endpoint("http://localhost:1"), Role::Executor);
    let error = refused.unwrap_err();
    assert!(
        matches!(
            error,
            EndpointError::Scheme {
                wanted: "https",
                ..
            }
        ),
        "{error}"
    );

    let plain = plaintext();
    assert!(
        plain
            .endpoint(endpoint("http://localhost:1"), Role::Executor)
            .is_ok()
    );
    let refused = plain.endpoint(endpoint("https://localhost:1"), Role::Executor);
    assert!(matches!(
        refused.unwrap_err(),
        EndpointError::Scheme { wanted: "http", .. }
    ));
}

fn endpoint(uri: &str) -> Endpoint {
    Endpoint::from_shared(uri.to_owned()).unwrap()
}

#[tokio::test]
async fn plaintext_nodes_talk_to_each_other_and_to_nobody_else() {
    let authority = Authority::new("root");
    let mutual = transport(&credentials(&authority, &authority.executor()));
    let plain = plaintext();
    assert_eq!(plain.security(), Security::Plaintext);
    assert!(plain.credentials().is_none());
    assert_eq!(plain.generation(), 0);

    let (address, _plain_server) = serve(&plain).await;
    let answer = ask(channel(&plain, address, Role::Executor)).await.unwrap();
    assert_eq!(answer, "nobody 0");
    assert!(
        ask(channel(&mutual, address, Role::Executor))
            .await
            .is_err()
    );

    let (address, _mutual_server) = serve(&mutual).await;
    assert!(ask(channel(&plain, address, Role::Executor)).await.is_err());
}
