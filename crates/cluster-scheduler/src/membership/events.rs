use std::error::Error;
use std::time::Duration;

use cluster_proto::NodeId;

/// What a membership tells its composition. Must not block.
pub trait MembershipEvents: Send + Sync + 'static {
    /// Another process holds this scheduler's id, and whether it lives is found out: it is waited
    /// for up to `at_most`.
    fn waiting_for_id(&self, id: &NodeId, holder: &str, at_most: Duration);

    /// This scheduler took its id over from `holder`, for the `reason` that that one is gone.
    fn took_over(&self, id: &NodeId, holder: &str, reason: &'static str);

    /// The others had removed this scheduler while it was silent, and it is a member again.
    fn joined_again(&self, id: &NodeId);

    /// This scheduler removed itself.
    fn left(&self);

    /// This scheduler could not remove itself; the others will.
    fn not_left(&self, error: &(dyn Error + 'static));

    /// Another scheduler is a member; `live` are, with this one.
    fn scheduler_joined(&self, id: &NodeId, live: usize);

    /// Another process answers for a scheduler that was a member before.
    fn scheduler_restarted(&self, id: &NodeId);

    /// Another scheduler is no member any more, or silent for too long; `live` are left, with
    /// this one.
    fn scheduler_left(&self, id: &NodeId, live: usize, departure: Departure);

    /// Another scheduler serves the application `theirs` while this one serves `own`, and has for
    /// a while.
    fn app_differs(&self, id: &NodeId, own: &str, theirs: &str);

    /// A scheduler that served another application serves `digest` as this one does.
    fn app_agrees(&self, id: &NodeId, digest: &str);

    /// The shared state could not be reached, for the first time since it was.
    fn state_failed(&self, access: Access, error: &(dyn Error + 'static));

    /// The shared state is reached again, `after` it last was.
    fn state_recovered(&self, access: Access, after: Duration);

    /// The shared state was reached, which took as long.
    fn state_reached(&self, access: Access, took: Duration);
}

/// How another scheduler came to be none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It left by itself.
    Announced,
    /// Nothing was heard of it for so long.
    Silent(Duration),
}

/// What the shared state was reached for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// To show a sign of life.
    Heartbeat,
    /// To look at the others.
    Discovery,
}

impl Access {
    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Discovery => "discovery",
        }
    }
}
