//! TCP connections of a listener, whatever it goes through.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

use crate::event::Events;

/// A listener whose errors are waited out.
#[derive(Debug)]
pub(crate) struct TcpConnections {
    listener: TcpListener,
    pause: Option<Pin<Box<Sleep>>>,
}

impl TcpConnections {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            pause: None,
        }
    }

    /// The next TCP connection, if the last error is long enough ago.
    pub(crate) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        events: &dyn Events,
    ) -> Poll<(TcpStream, SocketAddr)> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((tcp, remote)) => {
                    // Nagle's delay would slow down small requests; a socket that refuses is used
                    // as is.
                    let _ = tcp.set_nodelay(true);
                    return Poll::Ready((tcp, remote));
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    events.accept_failed(&error);
                    self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

/// A peer that is gone again before it was accepted says nothing about the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Without descriptors or memory the next attempt fails as well, and at once: spinning would take
/// the time that other tasks need to give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
