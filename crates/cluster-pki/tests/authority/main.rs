//! What an authority promises, through its public interface and the files it leaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accepted;
mod bundles;
mod certificates;
mod crashes;
mod fixture;
mod keeping;
mod passphrases;
