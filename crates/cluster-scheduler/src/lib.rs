//! The scheduler's side of the internal port 50052.
//!
//! A [`Scheduler`] serves two gRPC services over one [`NodeTransport`](cluster_tls::tonic::NodeTransport):
//! the cluster service (application definition, membership, control streams) and Ballista's
//! scheduler service, which trusts the sender ids in its messages and therefore stands behind
//! a guard. Every method of both has a row in one authorization table, and every handler needs
//! the permit of its row.
//!
//! What the schedulers of a cluster share is in an object store; a [`Membership`] is one
//! scheduler's place among them, and a [`SchedulerList`] tells who the others are.
//!
//! Queries enter through [`Scheduler::distributor`], in process: no client ever speaks to the
//! internal port.

mod authorization;
mod cluster_service;
mod control;
mod engine;
mod events;
mod members;
mod membership;
mod scheduler;
mod state;
mod status;

pub use authorization::{AUTHORIZATION_TABLE, AuthorizationRow};
pub use events::SchedulerEvents;
pub use members::MemberSummary;
pub use membership::{
    Access, DEFAULT_MEMBER_TTL, MIN_MEMBER_TTL, Membership, MembershipError, MembershipEvents,
    MembershipOptions, SchedulerList, SchedulerSummary,
};
pub use scheduler::{Scheduler, SchedulerOptions, StartError};
pub use state::{OpenError, S3Keys, S3Location, StateError, StateLocation, StoreError};
