//! A request body that can be sent once more.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tonic::Status;
use ::tonic::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;

/// A body, and what has been read of it so far.
///
/// The frames are kept by reference count and not copied, up to a bound: a call that has got
/// further than that has met no GOAWAY on its way out.
pub(super) struct Recording {
    body: Body,
    seen: Vec<Bytes>,
    seen_bytes: usize,
}

/// What comes back when a body is dropped: all of it, or nothing when too much was read.
pub(super) type Returned = Option<Recording>;

impl Recording {
    pub(super) fn of(body: Body) -> Self {
        Self {
            body,
            seen: Vec::new(),
            seen_bytes: 0,
        }
    }

    /// The body from its beginning, and where it comes back to.
    pub(super) fn into_body(self) -> (Body, oneshot::Receiver<Returned>) {
        let (back, returned) = oneshot::channel();
        let player = Player {
            recording: Some(self),
            next: 0,
            complete: true,
            back: Some(back),
        };
        (Body::new(player), returned)
    }

    fn note(&mut self, data: &Bytes) -> bool {
        self.seen_bytes += data.len();
        if self.seen_bytes > KEPT_BYTES_MAX {
            self.seen = Vec::new();
            return false;
        }
        self.seen.push(data.clone());
        true
    }
}

/// Reads what was seen before, then the rest.
struct Player {
    /// Present until this is dropped.
    recording: Option<Recording>,
    next: usize,
    /// Whether everything that was read is kept.
    complete: bool,
    back: Option<oneshot::Sender<Returned>>,
}

impl HttpBody for Player {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let player = &mut *self;
        let Some(recording) = &mut player.recording else {
            return Poll::Ready(None);
        };
        if let Some(data) = recording.seen.get(player.next).filter(|_| player.complete) {
            player.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        let frame = ready!(Pin::new(&mut recording.body).poll_frame(cx));
        if player.complete && player.back.as_ref().is_none_or(oneshot::Sender::is_closed) {
            // The call was answered: a stream that goes on is not kept.
            player.complete = false;
            recording.seen = Vec::new();
        }
        if player.complete {
            match frame
                .as_ref()
                .map(|frame| frame.as_ref().map(Frame::data_ref))
            {
                Some(Ok(Some(data))) => {
                    player.complete = recording.note(data);
                    player.next += 1;
                }
                // Trailers and errors do not come twice.
                Some(_) => player.complete = false,
                None => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.recording.as_ref().is_none_or(|recording| {
            let played = !self.complete || self.next >= recording.seen.len();
            played && recording.body.is_end_stream()
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.recording {
            Some(recording) if self.next == 0 && recording.seen.is_empty() => {
                recording.body.size_hint()
            }
            _ => SizeHint::default(),
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        if let (Some(back), Some(recording)) = (self.back.take(), self.recording.take()) {
            // Nobody waits for it where the call went well.
            let _ = back.send(self.complete.then_some(recording));
        }
    }
}

/// Several messages of an ordinary call; what is larger streams anyway.
const KEPT_BYTES_MAX: usize = 256 * 1024;
