//! What one decision costs a call, with the connection of a real handshake.

use std::convert::Infallible;
use std::future::{Future, Ready, poll_fn, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use cluster_tls::Role;
use cluster_tls::tonic::{
    AuthorizationLayer, Authorizer, Connection, Decision, Decisions, Method, MethodTable,
    WithoutIdentity,
};
use http::Uri;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tonic::transport::server::Connected;
use tower_layer::Layer;
use tower_service::Service;

use crate::figures::{Figures, Paired, Which, halves};
use crate::pki::Authority;
use crate::table::{Aim, Table};
use crate::wire::Client;
use crate::{Effort, nodes};

pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    let (rounds, count) = match effort {
        Effort::Full => (31, 200_000),
        Effort::Quick => (5, 20_000),
    };
    let connection = connection().await?;
    let counted = Arc::new(Counted::default());
    let authorizer = Authorizer::new(counted.clone());
    let (mut granted, mut denied) = (Figures::default(), Figures::default());
    let (mut layer, mut gate) = (Paired::default(), Paired::default());
    for round in 0..rounds {
        granted.push(permit::<Granted>(&authorizer, &connection, count)?);
        denied.push(permit::<Denied>(&authorizer, &connection, count)?);
        for which in halves(round) {
            let nanoseconds = match which {
                Which::Ours => calls(layered(&counted), &connection, count).await?,
                Which::Peer => calls(Nothing, &connection, count).await?,
            };
            layer.push(which, nanoseconds);
        }
        for which in halves(round) {
            let nanoseconds = match which {
                Which::Ours => calls(gated(&authorizer), &connection, count).await?,
                Which::Peer => calls(Nothing, &connection, count).await?,
            };
            gate.push(which, nanoseconds);
        }
    }
    let expected = 3 * rounds as u64 * u64::from(count);
    ensure!(
        counted.0.load(Ordering::Relaxed) == expected,
        "a decision was not reported"
    );
    let title = format!("(b) authorization of one call, ns, {rounds} rounds of {count}");
    Ok(Table::new(title)
        .aimed("Authorizer::permit, granted", &granted, Aim::AtMost(1000.0))
        .aimed("Authorizer::permit, denied", &denied, Aim::AtMost(1000.0))
        .row("a service that does nothing", &layer.peer)
        .row("the same behind AuthorizationLayer", &layer.ours)
        .aimed(
            "AuthorizationLayer, the difference",
            &layer.differences(),
            Aim::AtMost(1000.0),
        )
        .row("the same behind a gate that counts calls", &gate.ours)
        .aimed(
            "Authorizer::gate with calls_per_peer, the difference",
            &gate.differences(),
            Aim::AtMost(1000.0),
        ))
}

/// Nanoseconds for one decision. The request is made once: making it is the server's business.
fn permit<M: Method>(authorizer: &Authorizer, connection: &Connection, count: u32) -> Result<f64> {
    let mut request = tonic::Request::new(());
    request.extensions_mut().insert(connection.clone());
    let mut permits: u32 = 0;
    let started = Instant::now();
    for _ in 0..count {
        let permit = black_box(authorizer).permit::<M, ()>(black_box(&request));
        permits += u32::from(black_box(permit).is_ok());
    }
    let nanoseconds = per_call(started, count);
    ensure!(permits == 0 || permits == count, "a decision that varies");
    Ok(nanoseconds)
}

/// Nanoseconds for one call, with the making of its request: a service takes it by value.
async fn calls<S>(mut service: S, connection: &Connection, count: u32) -> Result<f64>
where
    S: Service<http::Request<()>, Response = http::Response<()>, Error = Infallible>,
{
    let uri = Uri::from_static(Granted::PATH);
    let started = Instant::now();
    for _ in 0..count {
        let mut request = http::Request::new(());
        *request.uri_mut() = uri.clone();
        request.extensions_mut().insert(connection.clone());
        let Ok(response) = pin!(service.call(black_box(request))).await;
        ensure!(!response.headers().contains_key("grpc-status"), "denied");
        black_box(response);
    }
    Ok(per_call(started, count))
}

fn per_call(started: Instant, count: u32) -> f64 {
    1e9 * started.elapsed().as_secs_f64() / f64::from(count)
}

fn layered(
    decisions: &Arc<Counted>,
) -> impl Service<http::Request<()>, Response = http::Response<()>, Error = Infallible> + use<> {
    AuthorizationLayer::new(table(), decisions.clone()).layer(Nothing)
}

fn gated(
    authorizer: &Authorizer,
) -> impl Service<http::Request<()>, Response = http::Response<()>, Error = Infallible> + use<> {
    authorizer.gate(table()).calls_per_peer(4).layer(Nothing)
}

/// The row that is asked for and others, as many as a node has.
fn table() -> MethodTable {
    let others = OTHER_METHODS.into_iter();
    let table = others.fold(MethodTable::new(), |table, path| {
        table.allow(path, &[Role::Scheduler])
    });
    table.method::<Granted>()
}

/// The server's view of a connection from an executor.
async fn connection() -> Result<Connection> {
    let authority = Authority::new()?;
    let scheduler = authority.issue("scheduler", "scheduler1")?;
    let executor = authority.issue("executor", "executor1")?;
    let server = nodes::mutual(nodes::credentials(&scheduler.texts)?);
    let client = nodes::mutual(nodes::credentials(&executor.texts)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut client = Client::new(nodes::channel(&client, listener.local_addr()?)?);
    let mut incoming = server.incoming(listener);
    // A channel connects when there is something to send; nobody answers here.
    let mut calling = pin!(client.echo());
    let stream = poll_fn(|cx| {
        let _ = calling.as_mut().poll(cx);
        pin!(incoming.next()).poll(cx)
    });
    let stream = stream.await.context("the listener ended")??;
    Ok(stream.connect_info())
}

/// Counts, as the metrics of a node do.
#[derive(Default)]
struct Counted(AtomicU64);

impl Decisions for Counted {
    fn decided(&self, decision: &Decision<'_>) {
        black_box(decision);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Granted;

impl Method for Granted {
    const PATH: &'static str = "/bench.Transport/Granted";
    const ROLES: &'static [Role] = &[Role::Scheduler, Role::Executor];
    const WITHOUT_IDENTITY: WithoutIdentity = WithoutIdentity::Refuse;
}

struct Denied;

impl Method for Denied {
    const PATH: &'static str = "/bench.Transport/Denied";
    const ROLES: &'static [Role] = &[Role::Scheduler];
    const WITHOUT_IDENTITY: WithoutIdentity = WithoutIdentity::Refuse;
}

#[derive(Clone)]
struct Nothing;

impl Service<http::Request<()>> for Nothing {
    type Response = http::Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<()>) -> Self::Future {
        black_box(request);
        ready(Ok(http::Response::new(())))
    }
}

const OTHER_METHODS: [&str; 8] = [
    "/bench.Transport/One",
    "/bench.Transport/Two",
    "/bench.Transport/Three",
    "/bench.Transport/Four",
    "/bench.Transport/Five",
    "/bench.Transport/Six",
    "/bench.Transport/Seven",
    "/bench.Transport/Eight",
];
