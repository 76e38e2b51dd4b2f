//! The one place where a refusal of this crate becomes a gRPC status. Texts are for the
//! operator of the peer; none of them tells what another node holds.

use cluster_tls::tonic::Denied;
use tonic::Status;

/// Why a call on the internal port was not answered.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The caller may not, or names somebody else.
    Denied(Denied),
    /// A field is missing or malformed.
    Malformed(&'static str),
    /// The method is part of the contract but not of this version.
    NotServed(&'static str),
    /// The peer fell silent for longer than a stream may.
    Silent,
    /// A newer stream of the same executor took over.
    Superseded,
    /// This scheduler is shutting down.
    ShuttingDown,
    /// A later poll of the same executor has been answered.
    OldPoll,
    /// The poll is still being worked on.
    PollUnderWay,
    /// The work on a poll ended without an answer.
    PollFailed,
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Denied(denied) => denied.into(),
            Refused::Malformed(what) => Self::invalid_argument(what),
            Refused::NotServed(what) => Self::unimplemented(what),
            Refused::Silent => Self::deadline_exceeded("no heartbeat within the allowed time"),
            Refused::Superseded => {
                Self::aborted("a newer control stream of this executor took over")
            }
            Refused::ShuttingDown => Self::unavailable("the scheduler is shutting down"),
            Refused::OldPoll => Self::failed_precondition("a later poll has been answered"),
            Refused::PollUnderWay => {
                Self::unavailable("the poll is being worked on; send it again for its answer")
            }
            Refused::PollFailed => Self::internal("the poll failed"),
        }
    }
}
