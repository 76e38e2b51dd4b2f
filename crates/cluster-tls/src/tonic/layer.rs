//! The same decision as a tower layer, for services whose handlers take no permit.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tonic::Status;
use ::tonic::server::NamedService;
use http::{Request, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tower_layer::Layer;
use tower_service::Service;

use super::authorization::may_call;
use super::seats::Seats;
use super::{Connection, Decision, Decisions, Denied, MethodTable};

/// A tower layer that lets through what a [`MethodTable`] allows, and answers everything else with
/// `PERMISSION_DENIED` and constant text.
///
/// It decides by the identity of the connection that the request came in on, and by nothing in the
/// request but its path, when the headers of a call are there: of the body of a denied call nothing
/// is read, so that it costs no more than the flow control of HTTP/2 lets a peer send unread. On a
/// plaintext transport nobody has an identity, and only the rows of methods that admit this let
/// anything through.
///
/// Where handlers are your own, prefer the [`Authorizer`](super::Authorizer): a handler that takes a
/// permit cannot be reached past it. Its [`gate`](super::Authorizer::gate) is this layer for in
/// front of such handlers.
///
/// # Examples
///
/// ```no_run
/// # use std::sync::Arc;
/// # use cluster_tls::tonic::{AuthorizationLayer, Decision, Decisions, MethodTable, NodeTransport};
/// # async fn serve<S>(transport: NodeTransport, listener: tokio::net::TcpListener, service: S)
/// # where
/// #     S: tower_service::Service<http::Request<tonic::body::Body>, Response = http::Response<tonic::body::Body>, Error = std::convert::Infallible>
/// #         + tonic::server::NamedService + Clone + Send + Sync + 'static,
/// #     S::Future: Send + 'static,
/// # {
/// use cluster_tls::Role;
/// use tower_layer::Layer;
///
/// struct Audit;
/// impl Decisions for Audit {
///     fn decided(&self, decision: &Decision<'_>) {
///         println!("{}: {:?}", decision.method, decision.outcome);
///     }
/// }
///
/// let table = MethodTable::new().allow("/hello.Greeter/SayHello", &[Role::Executor]);
/// let authorized = AuthorizationLayer::new(table, Arc::new(Audit)).layer(service);
/// let router = cluster_tls::tonic::server_builder().add_service(authorized);
/// transport.serve(listener, router, std::future::pending()).await;
/// # }
/// ```
#[derive(Clone)]
pub struct AuthorizationLayer {
    rules: Arc<Rules>,
    bounds: Bounds,
}

/// What one call may take, and all of a peer's together.
#[derive(Clone, Default)]
struct Bounds {
    seats: Option<Arc<Seats>>,
    time: Option<Duration>,
}

struct Rules {
    table: MethodTable,
    decisions: Arc<dyn Decisions>,
    reported: Reported,
}

/// Which decisions are reported here: each is to be reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reported {
    All,
    /// The handler asks for a permit, which reports what is granted.
    Denials,
}

impl AuthorizationLayer {
    /// A layer that decides by `table` and reports every decision to `decisions`.
    pub fn new(table: MethodTable, decisions: Arc<dyn Decisions>) -> Self {
        Self::reporting(table, decisions, Reported::All)
    }

    /// See [`Authorizer::gate`](super::Authorizer::gate).
    pub(super) fn before_permits(table: MethodTable, decisions: Arc<dyn Decisions>) -> Self {
        Self::reporting(table, decisions, Reported::Denials)
    }

    fn reporting(table: MethodTable, decisions: Arc<dyn Decisions>, reported: Reported) -> Self {
        Self {
            rules: Arc::new(Rules {
                table,
                decisions,
                reported,
            }),
            bounds: Bounds::default(),
        }
    }

    /// Lets one certificate have so many calls under way until they are answered, over all its
    /// connections to the services behind this layer. More wait, unread, and are denied with
    /// `RESOURCE_EXHAUSTED` when that takes five seconds.
    ///
    /// A call is read before it is answered, so this and the size of a message bound the memory
    /// that one key can take up; connections and streams multiply to far more than a node has. A
    /// call that is answered by a stream has been answered when the stream begins. Without
    /// identities, callers cannot be told apart and are not counted.
    #[must_use]
    pub fn calls_per_peer(self, calls: usize) -> Self {
        let bounds = Bounds {
            seats: Some(Arc::new(Seats::new(calls))),
            ..self.bounds
        };
        Self { bounds, ..self }
    }

    /// Gives a call this long to be answered, once it has begun; then it is denied with
    /// `DEADLINE_EXCEEDED`, and what was read of it is let go.
    ///
    /// Without this a peer that never ends its message keeps its call, and its seat, for as long as
    /// its connection lives. A call that is answered by a stream has been answered when the stream
    /// begins.
    #[must_use]
    pub fn answered_within(self, limit: Duration) -> Self {
        let bounds = Bounds {
            time: Some(limit),
            ..self.bounds
        };
        Self { bounds, ..self }
    }
}

impl Debug for AuthorizationLayer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationLayer")
            .field("table", &self.rules.table)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for AuthorizationLayer {
    type Service = Authorized<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authorized {
            inner,
            rules: Arc::clone(&self.rules),
            bounds: self.bounds.clone(),
        }
    }
}

/// A service behind an [`AuthorizationLayer`].
#[derive(Clone)]
pub struct Authorized<S> {
    inner: S,
    rules: Arc<Rules>,
    bounds: Bounds,
}

impl<S: Debug> Debug for Authorized<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S: NamedService> NamedService for Authorized<S> {
    const NAME: &'static str = S::NAME;
}

type Answer<R, E> = Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send>>;

impl<S, B, R> Service<Request<B>> for Authorized<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answer<R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Err(denied) = self.rules.decide(&request) {
            let denial = Status::from(denied).into_http();
            return Box::pin(async move { Ok(denial) });
        }
        if self.bounds.seats.is_none() && self.bounds.time.is_none() {
            return Box::pin(self.inner.call(request));
        }
        self.bounded(request)
    }
}

impl<S> Authorized<S> {
    /// Calls once the peer has a call fewer under way than it may, and for no longer than it may.
    fn bounded<B, R>(&mut self, request: Request<B>) -> Answer<R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: 'static,
        B: Send + 'static,
        R: Default + Send + 'static,
    {
        // Ready is the one that was asked, not its clone.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (rules, bounds) = (Arc::clone(&self.rules), self.bounds.clone());
        Box::pin(async move {
            let call = Call {
                connection: request.extensions().get::<Connection>().cloned(),
                method: rules.method(&request),
            };
            let _seat = match bounds.seat(&call).await {
                Ok(seat) => seat,
                Err(denied) => return Ok(rules.refuse(&call, denied)),
            };
            match bounds.in_time(inner.call(request)).await {
                Ok(answer) => answer,
                Err(denied) => Ok(rules.refuse(&call, denied)),
            }
        })
    }
}

impl Bounds {
    /// A seat, where seats are counted and the peer is somebody.
    async fn seat(&self, call: &Call) -> Result<Option<OwnedSemaphorePermit>, Denied> {
        let peer = call.connection.as_ref().and_then(Connection::peer);
        match (&self.seats, peer) {
            (Some(seats), Some(peer)) => seats.take(peer).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn in_time<F: Future>(&self, answer: F) -> Result<F::Output, Denied> {
        match self.time {
            Some(limit) => timeout(limit, answer).await.map_err(|_| Denied::NotInTime),
            None => Ok(answer.await),
        }
    }
}

/// What is said of a call when it is denied, also after its request was given away.
struct Call {
    connection: Option<Connection>,
    method: &'static str,
}

impl Rules {
    fn decide<B>(&self, request: &Request<B>) -> Result<(), Denied> {
        let connection = request.extensions().get::<Connection>();
        let row = self.table.row(request.uri().path());
        let outcome = match (connection, row) {
            (None, _) => Err(Denied::UnknownConnection),
            (Some(_), None) => Err(Denied::UnknownMethod),
            (Some(connection), Some((_, row))) => {
                may_call(connection, row.roles, row.without_identity)
            }
        };
        if outcome.is_err() || self.reported == Reported::All {
            self.report(connection, self.method(request), outcome);
        }
        outcome
    }

    /// A path without a row is a stranger's text, and no name to count by.
    fn method<B>(&self, request: &Request<B>) -> &'static str {
        let row = self.table.row(request.uri().path());
        row.map_or(NO_ROW, |(method, _)| method)
    }

    /// Denies a call that was let through at first.
    fn refuse<R: Default>(&self, call: &Call, denied: Denied) -> Response<R> {
        self.report(call.connection.as_ref(), call.method, Err(denied));
        Status::from(denied).into_http()
    }

    fn report(
        &self,
        connection: Option<&Connection>,
        method: &'static str,
        outcome: Result<(), Denied>,
    ) {
        self.decisions.decided(&Decision {
            method,
            remote: connection.map(Connection::remote),
            peer: connection.and_then(Connection::peer).map(Arc::as_ref),
            outcome,
        });
    }
}

const NO_ROW: &str = "(no row)";
