//! What a manifest says about the nodes rather than about their data.

use std::time::Duration;

use crate::param::ParamValue;
use crate::source::S3Auth;

/// The manifest's `runtime.scheduler`: how this scheduler finds the others.
///
/// It is for the node that reads the manifest: no other one receives it, so it is neither in an
/// application's JSON nor in its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchedulerSettings {
    pub(crate) state_location: Option<StateLocation>,
    pub(crate) member_ttl: Option<Duration>,
}

/// Where the schedulers of a cluster keep what they share (`state_location`). Exhaustive, so that
/// whoever opens it handles a new kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateLocation {
    /// A directory on the node itself.
    File {
        /// Absolute.
        path: String,
    },
    /// Objects of a store that speaks S3.
    S3(S3State),
}

/// A prefix in a store that speaks S3, and what it takes to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3State {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The URL of the store (`s3_endpoint`).
    pub endpoint: Option<ParamValue>,
    /// The region (`s3_region`).
    pub region: Option<ParamValue>,
    /// Who the node is to the store; without a key, whoever its environment says.
    pub auth: S3Auth,
    /// Whether the endpoint may be one without TLS (`allow_http`).
    pub allow_http: bool,
}

impl SchedulerSettings {
    /// Where the state is; the node has a place of its own where this is `None`.
    #[must_use]
    pub fn state_location(&self) -> Option<&StateLocation> {
        self.state_location.as_ref()
    }

    /// How long a scheduler may be silent before the others take it for dead, after a grace.
    #[must_use]
    pub fn member_ttl(&self) -> Option<Duration> {
        self.member_ttl
    }
}
