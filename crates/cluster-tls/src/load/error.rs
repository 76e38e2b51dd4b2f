//! What can be wrong with the files, and what to do about it.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};

use super::CredentialSource;
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// A fault in one part of the credentials, with its remedy.
///
/// Displays as one line: the part and its path, the fault, the remedy.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use cluster_tls::{CredentialPaths, PeerPolicy, SystemClock, load};
///
/// let paths = CredentialPaths {
///     ca: "nowhere/ca.pem".into(),
///     certificate: "nowhere/node.pem".into(),
///     key: "nowhere/node-key.pem".into(),
/// };
/// let error = load(&paths, Arc::new(SystemClock), PeerPolicy::default()).unwrap_err();
/// assert_eq!(error.fault().code(), "missing");
/// assert_eq!(
///     error.to_string(),
///     "CA file nowhere/ca.pem: no such file; check the path, or issue the file first"
/// );
/// ```
#[derive(Debug)]
pub struct LoadError {
    file: CredentialFile,
    path: Option<PathBuf>,
    fault: LoadFault,
    /// What the other parts were, so that a change of theirs is no old news.
    beside: Option<[u8; 32]>,
}

impl LoadError {
    pub(crate) fn new(file: CredentialFile, fault: LoadFault) -> Self {
        Self {
            file,
            path: None,
            fault,
            beside: None,
        }
    }

    pub(crate) fn beside(self, others: [u8; 32]) -> Self {
        Self {
            beside: Some(others),
            ..self
        }
    }

    pub(crate) fn others(&self) -> Option<[u8; 32]> {
        self.beside
    }

    /// What a source of your own says when it cannot be read.
    pub fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::new(CredentialFile::Ca, LoadFault::Unavailable(Box::new(error)))
    }

    /// Remembers where the faulty part is.
    pub(crate) fn located(self, source: &(impl CredentialSource + ?Sized)) -> Self {
        let path = self
            .path
            .or_else(|| source.path(self.file).map(Path::to_owned));
        Self { path, ..self }
    }

    /// Which part is at fault.
    #[must_use]
    pub fn file(&self) -> CredentialFile {
        self.file
    }

    /// Where that part is; none if it does not come from a file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> &LoadFault {
        &self.fault
    }

    /// The part, its path and the fault, without the remedy.
    pub(crate) fn description(&self) -> String {
        let (file, fault) = (self.file, &self.fault);
        match (fault, &self.path) {
            (LoadFault::Unavailable(_), _) => fault.to_string(),
            (_, Some(path)) => format!("{file} {}: {fault}", path.display()),
            (_, None) => format!("{file}: {fault}"),
        }
    }

    /// What to do about it, as an imperative sentence.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        self.fault.remedy(self.file)
    }
}

impl Display for LoadError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.description(), self.remedy())
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

/// One part of a node's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialFile {
    /// The file of roots.
    Ca,
    /// The file of this node's certificate and its intermediates.
    Certificate,
    /// The file of this node's private key.
    Key,
    /// The file of certificate revocation lists.
    Crl,
    /// The file of denied certificates.
    DenyList,
}

impl Display for CredentialFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "CA file",
            Self::Certificate => "certificate file",
            Self::Key => "key file",
            Self::Crl => "CRL file",
            Self::DenyList => "deny-list file",
        })
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadFault {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// The file is there, but cannot be read.
    #[error("cannot be read ({})", .0.kind())]
    Unreadable(#[source] io::Error),
    /// There is something of that name, but no file.
    #[error("not a file")]
    NotAFile,
    /// The file is larger than any credentials are.
    #[error("larger than {limit_bytes} bytes")]
    TooLarge {
        /// The largest size that is accepted.
        limit_bytes: u64,
    },
    /// The private key may be read or written by every user of the machine.
    #[error("open to every user of this machine (mode {mode:04o})")]
    Exposed {
        /// The permission bits.
        mode: u32,
    },
    /// There is nothing in the file.
    #[error("empty")]
    Empty,
    /// The file is not PEM text.
    #[error("not PEM{}", if *.looks_like_der { ", but looks like DER" } else { "" })]
    NotPem {
        /// Whether the bytes look like the binary form.
        looks_like_der: bool,
    },
    /// The PEM armour or its base64 content is damaged.
    #[error("damaged PEM ({0})")]
    BadPem(String),
    /// The file holds PEM, but of something else.
    #[error("holds {found} where {expected} belongs")]
    WrongKind {
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The private key needs a passphrase.
    #[error("the private key is encrypted")]
    EncryptedKey,
    /// There are several private keys.
    #[error("holds {count} private keys")]
    SeveralKeys {
        /// How many.
        count: usize,
    },
    /// The private key is damaged, too weak, or of an unknown kind.
    #[error("the private key cannot be used ({0})")]
    UnusableKey(String),
    /// The private key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The private key belongs to a later certificate of the file.
    #[error(
        "the private key belongs to certificate {position} of the certificate file, not to the first"
    )]
    ChainOutOfOrder {
        /// Which certificate it belongs to, counted from 1.
        position: usize,
    },
    /// A certificate does not parse.
    #[error("a certificate that does not parse: {0}")]
    BadCertificate(String),
    /// A certificate in the CA file is not of an authority.
    #[error("{subject:?} is not a certificate authority ({detail})")]
    RootNotAuthority {
        /// Whose certificate it is.
        subject: String,
        /// What is missing.
        detail: &'static str,
    },
    /// A root's key is too weak.
    #[error("the root {subject:?} holds {weakness}")]
    WeakRoot {
        /// Whose certificate it is.
        subject: String,
        /// What is weak.
        weakness: String,
    },
    /// None of the roots is valid at this time.
    #[error("no root is valid now: {dates}")]
    NoCurrentRoot {
        /// Each root's dates, and the clock.
        dates: String,
    },
    /// A certificate revocation list does not parse.
    #[error("a revocation list that does not parse: {0}")]
    BadRevocationList(String),
    /// Revocation lists are in use, and none is of this root.
    #[error("no revocation list of the root {subject:?}")]
    RootWithoutList {
        /// Whose list is missing.
        subject: String,
    },
    /// The newest revocation list of this root is out of date.
    #[error("the revocation list of the root {subject:?} is out of date: {dates}")]
    ExpiredList {
        /// Whose list it is.
        subject: String,
        /// When it ended, and the clock.
        dates: String,
    },
    /// A revocation list is older than the one in use.
    #[error("the revocation list of {subject:?} is older than the one in use")]
    OlderList {
        /// Whose list it is.
        subject: String,
    },
    /// A line of the deny-list names no certificate.
    #[error("line {line} is {detail}")]
    BadDenyList {
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The program asks more of its own certificate than that peers would accept it.
    #[error("not for this node: {0}")]
    Unfit(String),
    /// The source says something else at every look.
    #[error("does not stand still ({reads} reads in a row were different)")]
    Unsettled {
        /// How often it was read.
        reads: usize,
    },
    /// The source has nothing to offer.
    #[error("the credentials cannot be had ({0})")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A peer would refuse this certificate, and so do we.
    #[error("{0}")]
    Refused(Refusal),
    /// The TLS library refused the material for a reason of its own.
    #[error("{0}")]
    Unusable(String),
}

impl LoadFault {
    /// A stable code, for logs and metric labels: of a refused certificate the refusal's reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::NotAFile => "not_a_file",
            Self::TooLarge { .. } => "too_large",
            Self::Exposed { .. } => "exposed",
            Self::Empty => "empty",
            Self::NotPem { .. } | Self::BadPem(_) => "bad_pem",
            Self::WrongKind { .. } => "wrong_kind",
            Self::EncryptedKey => "encrypted_key",
            Self::SeveralKeys { .. } => "several_keys",
            Self::UnusableKey(_) => "unusable_key",
            Self::KeyMismatch => "key_mismatch",
            Self::ChainOutOfOrder { .. } => "chain_out_of_order",
            Self::BadCertificate(_) => "bad_certificate",
            Self::RootNotAuthority { .. } => "root_not_authority",
            Self::WeakRoot { .. } => "weak_root",
            Self::NoCurrentRoot { .. } => "no_current_root",
            Self::BadRevocationList(_) => "bad_revocation_list",
            Self::RootWithoutList { .. } => "root_without_list",
            Self::ExpiredList { .. } => "expired_list",
            Self::OlderList { .. } => "older_list",
            Self::BadDenyList { .. } => "bad_deny_list",
            Self::Unfit(_) => "unfit",
            Self::Unsettled { .. } => "unsettled",
            Self::Unavailable(_) => "unavailable",
            Self::Refused(refusal) => refusal.reason().as_str(),
            Self::Unusable(_) => "unusable",
        }
    }
}

/// The dates of a root beside the clock, for [`LoadFault::NoCurrentRoot`].
pub(super) struct Dates<'a> {
    pub(super) subject: &'a str,
    pub(super) not_before: std::time::SystemTime,
    pub(super) not_after: std::time::SystemTime,
}

impl Display for Dates<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (from, to) = (Timestamp(self.not_before), Timestamp(self.not_after));
        write!(f, "{:?} is valid from {from} to {to}", self.subject)
    }
}
