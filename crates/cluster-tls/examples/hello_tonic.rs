//! A gRPC service that knows who calls, and lets in whom its table names.
//!
//! `cargo run -p cluster-tls --features tonic --example hello_tonic`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "support/greeter.rs"]
mod greeter;
#[path = "support/pki.rs"]
mod pki;

use std::path::Path;
use std::sync::Arc;

use cluster_tls::tonic::{
    AuthorizationLayer, ChannelOptions, Connection, Decision, Decisions, MethodTable,
    NodeTransport, server_builder,
};
use cluster_tls::{
    AcceptLimits, DialLimits, NoEvents, NodeAddress, PeerPolicy, Role, SystemClock, load, publish,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};
use tower_layer::Layer;

use crate::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest, SAY_HELLO};
use crate::pki::{Authority, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let directory = TempDir::new()?;
    let authority = Authority::root("hello")?;
    let scheduler = node(directory.path(), &authority, "scheduler")?;
    let executor = node(directory.path(), &authority, "executor")?;
    let client = node(directory.path(), &authority, "client")?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = NodeAddress::new("localhost", listener.local_addr()?.port())?;
    let table = MethodTable::new().allow(SAY_HELLO, &[Role::Executor]);
    let layer = AuthorizationLayer::new(table, Arc::new(Audit));
    let router = server_builder().add_service(layer.layer(GreeterServer(Arc::new(Polite))));

    let (stop, stopped) = oneshot::channel::<()>();
    let serving = scheduler.serve(listener, router, async {
        let _ = stopped.await;
    });
    let calling = async {
        call(&executor, &address, Role::Scheduler).await;
        println!("\nA client is a member of the cluster, but the table does not name it:");
        call(&client, &address, Role::Scheduler).await;
        println!("\nWho expects an executor does not even send its request to a scheduler:");
        call(&executor, &address, Role::Executor).await;
        drop(stop);
    };
    tokio::join!(serving, calling);
    Ok(())
}

/// What one process of a cluster has: its certificate, and a transport made from it.
fn node(directory: &Path, authority: &Authority, role: &str) -> Result<NodeTransport> {
    let issued = authority.issue(Some(&format!("spiffe://example.org/{role}/{role}1")))?;
    let paths = pki::write(&directory.join(role), &authority.pem(), &issued)?;
    let snapshot = load(&paths, Arc::new(SystemClock), PeerPolicy::default())?;
    // Without the writer, these credentials stay as they are: see `rotate_under_load`.
    let (_writer, credentials) = publish(snapshot);
    let (accept, dial) = (AcceptLimits::default(), DialLimits::default());
    Ok(NodeTransport::mutual(
        credentials,
        accept,
        dial,
        Arc::new(NoEvents),
    ))
}

async fn call(from: &NodeTransport, to: &NodeAddress, expected: Role) {
    let channel = from.channel(to, expected, &ChannelOptions::default());
    match GreeterClient::new(channel).say_hello("world").await {
        Ok(message) => println!("caller: {message}"),
        Err(status) => println!("caller: {:?}, {}", status.code(), causes(&status)),
    }
}

/// What went wrong, down to the refusal that tells why.
fn causes(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

struct Polite;

impl Greeter for Polite {
    fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> std::result::Result<Response<HelloReply>, Status> {
        // tonic puts this into every request that comes in over the transport.
        let connection = request.extensions().get::<Connection>();
        let peer = connection.and_then(Connection::peer);
        let caller = peer.and_then(|peer| peer.uri()).unwrap_or("nobody");
        let message = format!(
            "hello {}, says the scheduler to {caller}",
            request.get_ref().name
        );
        Ok(Response::new(HelloReply { message }))
    }
}

/// Hears of every decision. Callers are told nothing but that they are denied.
struct Audit;

impl Decisions for Audit {
    fn decided(&self, decision: &Decision<'_>) {
        let peer = decision.peer.map(ToString::to_string).unwrap_or_default();
        match decision.outcome {
            Ok(()) => println!("server: {} granted to {peer}", decision.method),
            Err(denied) => println!("server: {} denied ({denied}) to {peer}", decision.method),
        }
    }
}
