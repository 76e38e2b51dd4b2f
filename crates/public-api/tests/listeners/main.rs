//! Claims about the public listeners, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod flight;
mod http;
mod metrics;
mod node;
mod support;
