//! The internal wire of a Spice cluster: the `spice.protobuf.ClusterService` of port 50052.
//!
//! The generated code is checked in (`cargo xtask codegen` makes it, `--check` compares), so
//! that building needs no protocol compiler. It carries neither transport nor TLS: channels
//! come from `cluster-tls`, which is the only place that can open one between nodes.
//!
//! Ids are words of the wire too: [`NodeId`] is how a node is named in every message, and
//! [`ExecutorRun`] tells one start of an executor's work from the next.

mod generated;
mod ids;
mod secret;

pub use generated::spice_protobuf as pb;
pub use ids::{ExecutorRun, InvalidNodeId, NodeId};
pub use secret::REQUEST_ID_HEADER;

/// The header that numbers the polls of one executor run, from 1 on and without gaps. A poll that
/// is sent again has the number that it had before, and is then answered as it was before.
pub const POLL_NUMBER_HEADER: &str = "spice-poll-number";
