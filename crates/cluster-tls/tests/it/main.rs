//! What the crate promises, shown through real sockets with certificates minted per test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accept;
#[cfg(feature = "tonic")]
mod authorization;
mod dial;
mod load;
mod loaded;
mod meeting;
mod pki;
mod raw;
mod swap;
#[cfg(feature = "tonic")]
mod tonic;
