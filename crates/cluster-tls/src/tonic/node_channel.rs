//! A channel that loses no call when its connection is asked to finish.
//!
//! A server that ends a connection in its own time says so with a GOAWAY, and what is called from
//! then on belongs on another connection (RFC 9113, 6.8). Under tonic 0.14 and hyper 1.12 a call
//! that meets the GOAWAY fails instead: hyper's dispatcher drops it unsent ("operation was
//! canceled"), or the server never looked at its stream. While another call is under way this
//! happens every time. Such calls are sent again here, on a new connection, and no others: the
//! pooled client of hyper-util does the same under the name `retry_canceled_requests`.

use std::error::Error as StdError;
use std::fmt::{self, Debug, Formatter};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::tonic::body::Body;
use ::tonic::transport::{Channel, Error};
use http::request::Parts;
use http::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_service::Service;

use super::channel::Recipe;
use super::recording::{Recording, Returned};

/// A channel to one node, for generated clients; see
/// [`NodeTransport::channel`](super::NodeTransport::channel). Cheap to clone, and clones share
/// their connections.
///
/// Calls that a connection could no longer take because the node has asked it to finish are sent
/// again on a new one; a call that an honest node may have begun is never repeated. When our own
/// certificate changes, calls go out on a new connection, and the old one ends with the calls that it carries:
/// so a renewed certificate is in use everywhere soon after, and an old root can be dropped.
#[derive(Clone)]
pub struct NodeChannel {
    shared: Arc<Shared>,
    inner: Channel,
    generation: u64,
}

struct Shared {
    recipe: Recipe,
    current: Mutex<(u64, Channel)>,
}

impl NodeChannel {
    pub(super) fn new(recipe: Recipe) -> Self {
        let (generation, inner) = (recipe.generation(), recipe.lazy());
        Self {
            shared: Arc::new(Shared {
                recipe,
                current: Mutex::new((generation, inner.clone())),
            }),
            inner,
            generation,
        }
    }

    fn follow_identity(&mut self) {
        let newest = self.shared.recipe.generation();
        if self.generation == newest {
            return;
        }
        let current = self.shared.current.lock();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        if current.0 != newest {
            *current = (newest, self.shared.recipe.lazy());
        }
        (self.generation, self.inner) = (current.0, current.1.clone());
    }
}

impl Debug for NodeChannel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeChannel")
            .field("to", &self.shared.recipe.to)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for NodeChannel {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.follow_identity();
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that has been polled ready goes with the call.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        Box::pin(call(ready, request))
    }
}

async fn call(mut channel: Channel, request: Request<Body>) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    let mut recording = Recording::of(body);
    for _ in 0..RESENDS_MAX {
        let (body, returned) = recording.into_body();
        let error = match channel.call(request_of(&parts, body)).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        match reclaim(&error, returned).await {
            Some(unused) => recording = unused,
            None => return Err(error),
        }
        poll_fn(|cx| channel.poll_ready(cx)).await?;
    }
    let (body, _returned) = recording.into_body();
    channel.call(request_of(&parts, body)).await
}

fn request_of(parts: &Parts, body: Body) -> Request<Body> {
    Request::from_parts(parts.clone(), body)
}

/// The body of a call that the node has certainly not begun, as long as all of it is at hand.
async fn reclaim(error: &Error, returned: oneshot::Receiver<Returned>) -> Option<Recording> {
    if !was_not_begun(error) {
        return None;
    }
    // The connection's task may still hold the body when the call has failed already.
    timeout(RETURN_TIMEOUT, returned).await.ok()?.ok()?
}

/// Whether an error proves that the node has not begun the call: hyper never sent it, or the
/// node's GOAWAY left its stream out.
fn was_not_begun(error: &Error) -> bool {
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        if is_unsent(error) || is_left_out(error) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_unsent(error: &(dyn StdError + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(hyper::Error::is_canceled)
}

/// A stream that a peer's GOAWAY does not cover was not processed in any way (RFC 9113, 6.8).
fn is_left_out(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<h2::Error>().is_some_and(|error| {
        error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
    })
}

/// Every node whose connections come of age can meet a call once; more than a few times in a row
/// means that something else is wrong.
const RESENDS_MAX: usize = 3;

/// A failed connection lets go of its calls at once; this is for a machine that is very busy.
const RETURN_TIMEOUT: Duration = Duration::from_secs(1);
