//! What the protocol compiler made; never edited by hand.

/// Messages, client and server of `spice.protobuf`.
#[rustfmt::skip]
#[path = "generated/spice.protobuf.rs"]
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code answers to its generator"
)]
pub mod spice_protobuf;
