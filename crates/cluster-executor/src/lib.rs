//! The executor's side of a cluster.
//!
//! [`Executor::boot`] needs nothing but the address of a scheduler and a transport: it asks
//! for the application definition, opens its datasets, and only then can be [served](Executor::serve).
//! While served it learns who the schedulers are, polls each for tasks, keeps a control stream to
//! each, and hands shuffle blocks to the other members over Arrow Flight on its own internal port,
//! behind the same kind of authorization table that the scheduler has.

mod apps;
mod authorization;
mod backoff;
mod boot;
mod control;
mod engine;
mod events;
mod executor;
mod links;
mod metrics;
mod secrets;

pub use authorization::{AUTHORIZATION_TABLE, AuthorizationRow};
pub use boot::BootError;
pub use events::{ExecutorEvents, TaskReport};
pub use executor::{Executor, ExecutorOptions};
pub use links::{LinkState, SchedulerLink, SchedulerLinks};
pub use metrics::MetricsSource;
