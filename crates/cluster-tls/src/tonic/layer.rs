//! The same decision as a tower layer, for services whose handlers take no permit.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tonic::Status;
use ::tonic::server::NamedService;
use http::{Request, Response};
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
    seats: Option<Arc<Seats>>,
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
            seats: None,
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
        Self {
            seats: Some(Arc::new(Seats::new(calls))),
            ..self
        }
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
            seats: self.seats.clone(),
        }
    }
}

/// A service behind an [`AuthorizationLayer`].
#[derive(Clone)]
pub struct Authorized<S> {
    inner: S,
    rules: Arc<Rules>,
    seats: Option<Arc<Seats>>,
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
        match &self.seats {
            None => Box::pin(self.inner.call(request)),
            Some(seats) => {
                let seats = Arc::clone(seats);
                self.seated(seats, request)
            }
        }
    }
}

impl<S> Authorized<S> {
    /// Calls once the peer has a call fewer under way than it may.
    fn seated<B, R>(&mut self, seats: Arc<Seats>, request: Request<B>) -> Answer<R, S::Error>
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
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            let peer = request.extensions().get::<Connection>();
            let peer = peer.and_then(Connection::peer).cloned();
            let seat = match peer {
                Some(peer) => seats.take(&peer).await.map(Some),
                None => Ok(None),
            };
            match seat {
                Ok(_seat) => inner.call(request).await,
                Err(denied) => {
                    rules.report(&request, Err(denied));
                    Ok(Status::from(denied).into_http())
                }
            }
        })
    }
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
            self.report(request, outcome);
        }
        outcome
    }

    fn report<B>(&self, request: &Request<B>, outcome: Result<(), Denied>) {
        let connection = request.extensions().get::<Connection>();
        let row = self.table.row(request.uri().path());
        self.decisions.decided(&Decision {
            // A path without a row is a stranger's text, and no name to count by.
            method: row.map_or(NO_ROW, |(method, _)| method),
            remote: connection.map(Connection::remote),
            peer: connection.and_then(Connection::peer).map(Arc::as_ref),
            outcome,
        });
    }
}

const NO_ROW: &str = "(no row)";
