//! A protocol of one's own over authenticated streams: lines, answered in capitals.
//!
//! `cargo run -p cluster-tls --example plain_streams`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "support/pki.rs"]
mod pki;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use cluster_tls::{
    AcceptLimits, Acceptor, ApplicationProtocol, Credentials, DialLimits, Dialer, Events,
    HandshakeEvent, Listener, NoEvents, NodeAddress, PeerPolicy, PeerStream, Role, SystemClock,
    load, publish,
};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::pki::{Authority, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let directory = TempDir::new()?;
    let authority = Authority::root("lines")?;
    let server = node(directory.path(), &authority, "scheduler", "lines/1")?;
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    let address = NodeAddress::new("localhost", tcp.local_addr()?.port())?;
    let acceptor = Acceptor::new(server, AcceptLimits::default(), Arc::new(Printed));
    let mut serving = JoinSet::new();
    serving.spawn(serve(Listener::new(tcp, acceptor)));

    let client = node(directory.path(), &authority, "executor", "lines/1")?;
    let dialer = Dialer::new(client, DialLimits::default(), Arc::new(NoEvents));
    let stream = dialer.connect(&address, Role::Scheduler).await?;
    println!(
        "client: connected to {} with {:?}",
        stream.peer(),
        stream.key_exchange()
    );
    talk(stream).await?;

    let stranger = node(directory.path(), &authority, "executor", "lines/2")?;
    let dialer = Dialer::new(stranger, DialLimits::default(), Arc::new(NoEvents));
    if let Err(error) = dialer.connect(&address, Role::Scheduler).await {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        println!("stranger: {error}: {cause}");
    }
    Ok(())
}

fn node(
    directory: &Path,
    authority: &Authority,
    role: &str,
    protocol: &'static str,
) -> Result<Credentials> {
    let issued = authority.issue(Some(&format!("spiffe://example.org/{role}/{role}1")))?;
    let paths = pki::write(&directory.join(role), &authority.pem(), &issued)?;
    let policy = PeerPolicy {
        application_protocol: ApplicationProtocol::named(protocol),
        ..PeerPolicy::default()
    };
    Ok(publish(load(&paths, Arc::new(SystemClock), policy)?).1)
}

async fn serve(mut listener: Listener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                connections.spawn(async move {
                    if let Err(error) = answer(stream).await {
                        println!("server: {error}");
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers line by line, until the peer has no more or the connection is of age.
async fn answer(stream: PeerStream<TcpStream>) -> std::io::Result<()> {
    let mut draining = Box::pin(stream.draining());
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line?,
            // Between two lines is a good moment to end.
            () = &mut draining => None,
        };
        let Some(line) = line else {
            return writer.shutdown().await;
        };
        let reply = format!("{}\n", line.to_uppercase());
        writer.write_all(reply.as_bytes()).await?;
    }
}

async fn talk(stream: PeerStream<TcpStream>) -> std::io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    for word in ["hello", "good bye"] {
        writer.write_all(format!("{word}\n").as_bytes()).await?;
        let reply = lines.next_line().await?.unwrap_or_default();
        println!("client: {word} -> {reply}");
    }
    writer.shutdown().await
}

/// Shows each handshake as the server saw it.
struct Printed;

impl Events for Printed {
    fn handshake(&self, event: &HandshakeEvent<'_>) {
        match event.outcome {
            Ok(peer) => println!("server: a stream of {peer}"),
            Err(refusal) => println!("server: refused {}: {refusal}", event.remote.ip()),
        }
    }
}
