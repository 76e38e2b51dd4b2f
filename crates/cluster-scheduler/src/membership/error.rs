use thiserror::Error;

use crate::state::{OpenError, StateError};

/// A scheduler is not, or no longer, a member of its cluster.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// The place for the shared state cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The shared state cannot be read or changed.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another process has the id, and lives.
    #[error(
        "another scheduler runs as {id} ({holder}): two cannot have one id. Stop that one, or give \
         this one another --node-advertise-address or port"
    )]
    Taken {
        /// The id.
        id: String,
        /// Who has it.
        holder: String,
    },
    /// Another process took the id while this one was silent.
    #[error(
        "another scheduler took {id} over ({holder}) while this one was silent, so this one stops. \
         Where both are to run, give each its own --node-advertise-address or port"
    )]
    Superseded {
        /// The id.
        id: String,
        /// Who has it.
        holder: String,
    },
    /// The store did not answer while the node was stopping.
    #[error("the shared state did not answer in time while this scheduler left")]
    LeaveTimeout,
}
