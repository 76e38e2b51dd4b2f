//! What the crate promises, shown through real sockets with certificates minted per test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accept;
mod admission;
#[cfg(feature = "tonic")]
mod authorization;
#[cfg(feature = "tonic")]
mod calls;
mod diagnose;
mod dial;
mod door;
#[cfg(feature = "tonic")]
mod floods;
mod following;
#[cfg(feature = "tonic")]
mod frames;
#[cfg(feature = "tonic")]
mod gate;
mod hostile;
#[cfg(feature = "tonic")]
mod layer;
mod lifetime;
mod listener;
mod load;
mod loaded;
mod meeting;
#[cfg(unix)]
mod mounted;
mod observed;
mod pki;
mod policy;
mod port;
mod properties;
mod raw;
mod reload;
mod revocation;
#[cfg(all(feature = "tonic", unix))]
mod rotation;
#[cfg(feature = "tonic")]
mod seats;
mod sources;
mod swap;
#[cfg(feature = "tonic")]
mod tonic;
