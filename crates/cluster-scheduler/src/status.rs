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
    /// The secret is not given. Why is in the audit event, and nowhere else.
    Secret,
    /// A secret store could not be asked. How it failed is in this scheduler's log.
    SecretStore,
    /// It could not be kept who is given the secret.
    SecretWithheld,
    /// The peer fell silent for longer than a stream may.
    Silent,
    /// A newer stream of the same executor took over.
    Superseded,
    /// This scheduler is shutting down.
    ShuttingDown,
    /// A query over the task history that is wrong or not taken.
    NoSuchQuery(String),
    /// What was asked for does not fit into an answer.
    TooLarge(String),
    /// What was asked for was not there in time.
    TooSlow(String),
    /// Something on this side broke.
    Failed(String),
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
            Refused::Secret => Self::invalid_argument("no such secret"),
            Refused::SecretStore => Self::internal("the secret cannot be read now"),
            Refused::SecretWithheld => Self::unavailable(
                "the secret is not given while it cannot be written down who has it; ask again",
            ),
            Refused::Silent => Self::deadline_exceeded("no heartbeat within the allowed time"),
            Refused::Superseded => {
                Self::aborted("a newer control stream of this executor took over")
            }
            Refused::ShuttingDown => Self::unavailable("the scheduler is shutting down"),
            Refused::NoSuchQuery(text) => Self::invalid_argument(text),
            Refused::TooLarge(text) => Self::resource_exhausted(text),
            Refused::TooSlow(text) => Self::deadline_exceeded(text),
            Refused::Failed(text) => Self::internal(text),
            Refused::OldPoll => Self::failed_precondition("a later poll has been answered"),
            Refused::PollUnderWay => {
                Self::unavailable("the poll is being worked on; send it again for its answer")
            }
            Refused::PollFailed => Self::internal("the poll failed"),
        }
    }
}
