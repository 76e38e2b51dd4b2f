//! What an authority promises, through its public interface and the files it leaves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accepted;
mod batch;
mod bundles;
mod certificates;
mod crashes;
mod fixture;
mod keeping;
mod node;
mod passphrases;
mod renewal;
mod revocation;
mod rotation;
mod sequences;
mod signing;
mod torn;
