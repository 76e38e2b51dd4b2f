use std::io;
use std::path::PathBuf;

use crate::causes::is_tls;

/// Why a secret store could not be asked. No variant holds a value, or any part of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store took longer than a lookup may.
    #[error("the secret store `{store}` did not answer within {seconds} seconds")]
    Slow {
        /// The store's name.
        store: String,
        /// The limit.
        seconds: u64,
    },
    /// The node stops.
    #[error("the look at the secret store was interrupted")]
    Interrupted,
    /// A file is there and cannot be read, or its directory is not there.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A directory, a pipe or the like where a file should be.
    #[error("{} is no file", path.display())]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
    /// The file grew while it was read.
    #[error("{} changed while it was read", path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// A secret, or what holds it, is larger than any should be.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// Where it was found.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A secret that is no text cannot be part of a parameter.
    #[error("{what} is not UTF-8 text")]
    NotText {
        /// Where it was found.
        what: String,
    },
    /// A line of a `.env` file is none. It is not shown, for what it may hold.
    #[error("{}: entry {entry} is not of the form KEY=value", path.display())]
    NotAnEntry {
        /// The file.
        path: PathBuf,
        /// Which entry, comments and empty lines not counted, from 1.
        entry: usize,
    },
    /// A `kubernetes:` store outside a cluster.
    #[error(
        "this node runs in no Kubernetes pod: KUBERNETES_SERVICE_HOST and \
         KUBERNETES_SERVICE_PORT are not set"
    )]
    NoCluster,
    /// The API server could not be reached, or is not the one of this cluster.
    #[error("the Kubernetes API at {url} cannot be reached")]
    Unreachable {
        /// The URL of the Secret.
        url: String,
        /// What the HTTP client said.
        #[source]
        source: reqwest::Error,
    },
    /// The API server refused.
    #[error("the Kubernetes API answers {status} for {url}; {hint}")]
    Refused {
        /// The URL of the Secret.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What to do about it.
        hint: &'static str,
    },
    /// The API server answered with something that is no Secret.
    #[error("the Kubernetes API at {url} sent no Secret")]
    NotASecret {
        /// The URL of the Secret.
        url: String,
    },
}

impl StoreError {
    /// Whether the store is out of reach or out of order, and may be there again in a moment.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            StoreError::Slow { .. } | StoreError::Interrupted => true,
            // A client that cannot even be made has roots that are none.
            StoreError::Unreachable { source, .. } => !source.is_builder() && !is_tls(source),
            StoreError::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_out_of_order_is_told_from_one_that_refuses() {
        let answered = |status| StoreError::Refused {
            url: "https://api/".to_owned(),
            status,
            hint: "",
        };
        for status in [429, 500, 503] {
            assert!(answered(status).is_outage(), "{status}");
        }
        for status in [401, 403, 404] {
            assert!(!answered(status).is_outage(), "{status}");
        }
        assert!(!StoreError::NoCluster.is_outage());
        let not_mounted = StoreError::Read {
            path: "/run/secrets".into(),
            source: io::ErrorKind::NotFound.into(),
        };
        assert!(!not_mounted.is_outage());
    }
}
