//! HTTP/1.1 with axum over mutual TLS, without the feature `tonic`.
//!
//! `cargo run -p cluster-tls --example axum_mtls`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "support/pki.rs"]
mod pki;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::routing::get;
use cluster_tls::{
    AcceptLimits, Acceptor, ApplicationProtocol, Credentials, DialLimits, Dialer, Listener,
    NoEvents, NodeAddress, PeerIdentity, PeerPolicy, PeerStream, Role, SystemClock, load, publish,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::pki::{Authority, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let directory = TempDir::new()?;
    let authority = Authority::root("web")?;
    let server = node(directory.path(), &authority, "scheduler")?;
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    let address = NodeAddress::new("localhost", tcp.local_addr()?.port())?;

    let app = Router::new()
        .route("/whoami", get(whoami))
        .route("/executors", get(executors));
    let acceptor = Acceptor::new(server, AcceptLimits::default(), Arc::new(NoEvents));
    let mut serving = JoinSet::new();
    serving.spawn(serve(Listener::new(tcp, acceptor), app));

    for role in ["executor", "client"] {
        let credentials = node(directory.path(), &authority, role)?;
        let dialer = Dialer::new(credentials, DialLimits::default(), Arc::new(NoEvents));
        for path in ["/whoami", "/executors"] {
            println!("{role} {path}: {}", request(&dialer, &address, path).await?);
        }
    }
    Ok(())
}

fn node(directory: &Path, authority: &Authority, role: &str) -> Result<Credentials> {
    let issued = authority.issue(Some(&format!("spiffe://example.org/{role}/{role}1")))?;
    let paths = pki::write(&directory.join(role), &authority.pem(), &issued)?;
    let policy = PeerPolicy {
        // Both ends agree on it by ALPN, or there is no connection.
        application_protocol: ApplicationProtocol::HTTP_1_1,
        ..PeerPolicy::default()
    };
    let snapshot = load(&paths, Arc::new(SystemClock), policy)?;
    Ok(publish(snapshot).1)
}

async fn whoami(Extension(peer): Extension<Arc<PeerIdentity>>) -> String {
    format!("you are {peer}")
}

/// A role is asked for by what it may act as: a `node` may do what an executor may.
async fn executors(Extension(peer): Extension<Arc<PeerIdentity>>) -> (StatusCode, &'static str) {
    match peer.role().may_act_as(Role::Executor) {
        true => (StatusCode::OK, "come in"),
        false => (StatusCode::FORBIDDEN, "not for you"),
    }
}

/// Serves until it is dropped, and its connections with it.
async fn serve(mut listener: Listener, app: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                connections.spawn(serve_one(stream, app.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection, with its peer in the extensions of every request.
async fn serve_one(stream: PeerStream<TcpStream>, app: Router) {
    let draining = stream.draining();
    let app = app.layer(Extension(Arc::clone(stream.peer())));
    let http = auto::Builder::new(TokioExecutor::new());
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // The connection is of age: let the request under way end, and the peer dial again.
        () = draining => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        println!("a connection ended: {error}");
    }
}

/// A request by hand, as any HTTP client would make it over the stream.
async fn request(dialer: &Dialer, to: &NodeAddress, path: &str) -> Result<String> {
    let mut stream = dialer.connect(to, Role::Scheduler).await?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        to.host()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.lines().next().unwrap_or_default();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    Ok(format!("{status}, {body}"))
}
