//! Support for tests: a throw-away PKI, a clock that stands still, TPC-H data, and a cluster of
//! real `spiced` processes whose log events can be waited for.
//!
//! Nothing here is part of a product. Nothing waits by sleeping: processes are started on free
//! ports, say in their log where they listen, and are waited for by that event.

mod binaries;
mod clock;
mod cluster;
mod exposition;
mod http;
mod log;
mod metrics;
mod node;
mod pki;
pub mod process;
pub mod quickstart;
mod servers;
mod sql;
pub mod tpch;

pub use binaries::binary;
pub use clock::ManualClock;
pub use cluster::{ClusterPlan, NodeArguments, NodePlan, Ports, Protection, Security, TestCluster};
pub use http::{HttpReply, http_get, http_post, http_post_accepting};
pub use log::{Log, LogLine};
pub use metrics::Metrics;
pub use node::{Launch, Listener, Node, Signals};
pub use pki::{Issued, KeyKind, Kind, Leaf, TestPki, Usage};
pub use servers::{Credentials, HeldFile, PostgresServer, S3Server, StoppedS3Server};
pub use sql::SqlClient;
