//! Why a listener ended before it was told to.

use std::io;

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listening socket itself is broken; single failed connections do not end a listener.
    #[error("the listening socket failed")]
    Accept {
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The gRPC server failed.
    #[error("the flight server failed")]
    Flight {
        /// What the server said.
        #[source]
        source: tonic::transport::Error,
    },
}
