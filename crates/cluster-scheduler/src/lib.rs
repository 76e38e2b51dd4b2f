//! The scheduler's side of the internal port 50052.
//!
//! A [`Scheduler`] serves two gRPC services over one [`NodeTransport`](cluster_tls::tonic::NodeTransport):
//! the cluster service (application definition, membership, control streams) and Ballista's
//! scheduler service, which trusts the sender ids in its messages and therefore stands behind
//! a guard. Every method of both has a row in one authorization table, and every handler needs
//! the permit of its row.
//!
//! What runs is recorded, and shared with the other schedulers, as are metrics: each node is asked
//! within a bound, and one that does not answer is told of rather than waited for.
//!
//! What the schedulers of a cluster share is in an object store; a [`Membership`] is one
//! scheduler's place among them, and a [`SchedulerList`] tells who the others are.
//!
//! Queries enter through [`Scheduler::distributor`], in process: no client ever speaks to the
//! internal port.

mod app_change;
mod authorization;
mod cluster_service;
mod control;
mod engine;
mod events;
mod history;
mod members;
mod membership;
mod metrics;
mod peers;
mod scheduler;
mod state;
mod status;
mod told;

pub use app_change::{AppChangeError, AppChanged};
pub use authorization::{AUTHORIZATION_TABLE, AuthorizationRow};
pub use events::{
    CommandEnd, CommandKind, ExecutorDeparture, SchedulerEvents, SecretAnswer, SecretOutcome,
};
pub use members::{AppFailure, MemberSummary};
pub use membership::{
    Access, DEFAULT_MEMBER_TTL, Departure, MIN_MEMBER_TTL, Membership, MembershipError,
    MembershipEvents, MembershipOptions, SchedulerList, SchedulerSummary, ServedApp,
};
pub use metrics::{MetricsSource, NodeMetrics};
pub use peers::Missing;
pub use scheduler::{Scheduler, SchedulerOptions, StartError};
pub use state::{OpenError, S3Keys, S3Location, StateError, StateLocation, StoreError};
