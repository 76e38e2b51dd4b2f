//! The same decision as a tower layer, for services whose handlers take no permit.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tonic::Status;
use ::tonic::server::NamedService;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::authorization::may_call;
use super::{Connection, Decision, Decisions, Denied, Method, WithoutIdentity};
use crate::role::Role;

/// Which roles may call which methods. A method without a row may be called by nobody.
///
/// # Examples
///
/// ```
/// use cluster_tls::Role;
/// use cluster_tls::tonic::MethodTable;
///
/// let table = MethodTable::new()
///     .allow("/grpc.health.v1.Health/Check", &[Role::Scheduler, Role::Executor])
///     .allow("/hello.Greeter/SayHello", &[Role::Client]);
/// assert!(table.roles("/hello.Greeter/SayGoodbye").is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct MethodTable {
    rows: HashMap<&'static str, Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    roles: &'static [Role],
    without_identity: WithoutIdentity,
}

impl MethodTable {
    /// A table without rows: nobody may call anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `roles`, and those who may act as one of them, call `method`, written
    /// `/package.Service/Method`, and nobody without an identity. A second row of the same method
    /// replaces the first.
    #[must_use]
    pub fn allow(self, method: &'static str, roles: &'static [Role]) -> Self {
        let without_identity = WithoutIdentity::Refuse;
        self.with(
            method,
            Row {
                roles,
                without_identity,
            },
        )
    }

    /// Adds the row of `M`, so that the table decides about it as a permit for it does.
    #[must_use]
    pub fn method<M: Method>(self) -> Self {
        self.with(
            M::PATH,
            Row {
                roles: M::ROLES,
                without_identity: M::WITHOUT_IDENTITY,
            },
        )
    }

    /// The roles that may call `method`.
    #[must_use]
    pub fn roles(&self, method: &str) -> &'static [Role] {
        self.rows.get(method).map_or(&[], |row| row.roles)
    }

    fn with(mut self, method: &'static str, row: Row) -> Self {
        self.rows.insert(method, row);
        self
    }
}

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
        }
    }
}

/// A service behind an [`AuthorizationLayer`].
#[derive(Clone)]
pub struct Authorized<S> {
    inner: S,
    rules: Arc<Rules>,
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

impl<S, B, R> Service<Request<B>> for Authorized<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.rules.decide(&request) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(denied) => {
                let denial = Status::from(denied).into_http();
                Box::pin(async move { Ok(denial) })
            }
        }
    }
}

impl Rules {
    fn decide<B>(&self, request: &Request<B>) -> Result<(), Denied> {
        let connection = request.extensions().get::<Connection>();
        let row = self.table.rows.get_key_value(request.uri().path());
        let outcome = match (connection, row) {
            (None, _) => Err(Denied::UnknownConnection),
            (Some(_), None) => Err(Denied::UnknownMethod),
            (Some(connection), Some((_, row))) => {
                may_call(connection, row.roles, row.without_identity)
            }
        };
        if outcome.is_ok() && self.reported == Reported::Denials {
            return outcome;
        }
        self.decisions.decided(&Decision {
            // A path without a row is a stranger's text, and no name to count by.
            method: row.map_or(NO_ROW, |(method, _)| method),
            remote: connection.map(Connection::remote),
            peer: connection.and_then(Connection::peer).map(Arc::as_ref),
            outcome,
        });
        outcome
    }
}

const NO_ROW: &str = "(no row)";
