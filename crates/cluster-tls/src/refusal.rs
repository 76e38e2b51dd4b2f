//! Why a handshake was refused, in one word for machines and one sentence for people.

mod handshake;
mod reason;

use std::fmt::{self, Debug, Display, Formatter};

pub use self::reason::RefusalReason;

/// A handshake that did not lead to a connection, and why.
///
/// # Examples
///
/// ```
/// # fn show(refusal: &cluster_tls::Refusal) {
/// println!("{}: {}", refusal.reason(), refusal.detail());
/// for name in refusal.claimed() {
///     println!("the peer says that it is {name}");
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Refusal {
    reason: RefusalReason,
    detail: String,
    claimed: Vec<String>,
    alerted: bool,
}

impl Refusal {
    pub(crate) fn new(reason: RefusalReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            claimed: Vec::new(),
            alerted: false,
        }
    }

    /// Remembers that it was the peer who refused us, and said so by an alert.
    pub(crate) fn alerted(self) -> Self {
        Self {
            alerted: true,
            ..self
        }
    }

    /// Which end refused the other; `None` where neither did, and the way between them or the time
    /// is what failed.
    #[must_use]
    pub fn refused_by(&self) -> Option<RefusedBy> {
        if self.alerted {
            return Some(RefusedBy::Peer);
        }
        match self.reason {
            RefusalReason::PeerAlert | RefusalReason::Closed => Some(RefusedBy::Peer),
            RefusalReason::Plaintext | RefusalReason::Timeout | RefusalReason::Io => None,
            _ => Some(RefusedBy::Us),
        }
    }

    /// Remembers the names that the refused certificate carries.
    pub(crate) fn claiming(self, claimed: Vec<String>) -> Self {
        Self { claimed, ..self }
    }

    /// A server that does not ask for certificates lets anybody in: it is misconfigured, or
    /// something on the way ends TLS in its place. Either way it is no member of this cluster.
    pub(crate) fn not_mutual() -> Self {
        let detail = "the peer did not ask for our certificate, so it admits anybody";
        Self::new(RefusalReason::NotMutual, detail)
    }

    /// The reason as one word.
    #[must_use]
    pub fn reason(&self) -> RefusalReason {
        self.reason
    }

    /// What was found, with the values that show it.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The alternative names of the refused certificate, where one was seen.
    ///
    /// Nobody has vouched for them: they help to find the peer and prove nothing. Control
    /// characters are escaped and the list is cut, so that they can be logged.
    #[must_use]
    pub fn claimed(&self) -> &[String] {
        &self.claimed
    }
}

/// Which end of a connection refused the other; see [`Refusal::refused_by`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedBy {
    /// We refused the peer.
    Us,
    /// The peer refused us, by an alert or by hanging up.
    Peer,
}

impl RefusedBy {
    /// The end as one word, for output that programs read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Peer => "peer",
        }
    }
}

impl Display for RefusedBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

/// The same text: rustls shows the errors of verifiers in their debug form, and tonic shows that to
/// people.
impl Debug for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for Refusal {}
