//! What can be wrong with the files, and what to do about it.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};

use crate::refusal::{Refusal, RefusalReason};
use crate::timestamp::Timestamp;

/// A fault in one of the files, with its remedy.
///
/// Displays as one line: the file, the fault, the remedy.
#[derive(Debug)]
pub struct LoadError {
    file: CredentialFile,
    path: PathBuf,
    fault: LoadFault,
}

impl LoadError {
    pub(super) fn new(file: CredentialFile, path: PathBuf, fault: LoadFault) -> Self {
        Self { file, path, fault }
    }

    /// Which of the three files is at fault.
    #[must_use]
    pub fn file(&self) -> CredentialFile {
        self.file
    }

    /// Where that file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> &LoadFault {
        &self.fault
    }

    /// What to do about it, as an imperative sentence.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        self.fault.remedy(self.file)
    }
}

impl Display for LoadError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (file, path, fault) = (self.file, self.path.display(), &self.fault);
        write!(f, "{file} {path}: {fault}; {}", self.remedy())
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

/// One of the three files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialFile {
    /// The file of roots.
    Ca,
    /// The file of this node's certificate and its intermediates.
    Certificate,
    /// The file of this node's private key.
    Key,
}

impl Display for CredentialFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "CA file",
            Self::Certificate => "certificate file",
            Self::Key => "key file",
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
    /// A peer would refuse this certificate, and so do we.
    #[error("{0}")]
    Refused(Refusal),
    /// The TLS library refused the material for a reason of its own.
    #[error("{0}")]
    Unusable(String),
}

impl LoadFault {
    fn remedy(&self, file: CredentialFile) -> &'static str {
        match self {
            Self::Missing => "check the path, or issue the file first",
            Self::Unreadable(_) => "let the user that runs this process read it",
            Self::TooLarge { .. } => "check that it is the right file",
            Self::Exposed { .. } => "take the rights of others away (chmod 600)",
            Self::Empty => "write the file again; a copy may have been cut short",
            Self::NotPem {
                looks_like_der: true,
            } => "convert it with openssl -inform der",
            Self::NotPem { .. } => "check that it is the right file",
            Self::BadPem(_) => "copy the file again, whole and unedited",
            Self::WrongKind { .. } => wrong_kind_remedy(file),
            Self::EncryptedKey => "decrypt it (openssl pkey) or issue a key without a passphrase",
            Self::SeveralKeys { .. } => "leave the one that belongs to the certificate",
            Self::UnusableKey(_) => {
                "issue a new key: P-256, P-384, P-521, Ed25519 or RSA from 2048 bits"
            }
            Self::KeyMismatch => "use the key that was issued together with the certificate",
            Self::ChainOutOfOrder { .. } => "put the node's own certificate first",
            Self::BadCertificate(_) => "copy the file again, or issue the certificate anew",
            Self::RootNotAuthority { .. } => {
                "use the certificate of the authority that issues for the nodes"
            }
            Self::WeakRoot { .. } => "make a new authority with a stronger key",
            Self::NoCurrentRoot { .. } => {
                "check the clock of this machine, then renew the authority"
            }
            Self::Refused(refusal) => refused_remedy(refusal.reason()),
            Self::Unusable(_) => "issue the certificate and key anew",
        }
    }
}

fn wrong_kind_remedy(file: CredentialFile) -> &'static str {
    match file {
        CredentialFile::Ca => "give the authority's certificate, and nothing else",
        CredentialFile::Certificate => {
            "give the issued certificate with its intermediates, and nothing else"
        }
        CredentialFile::Key => "give the private key, and nothing else",
    }
}

fn refused_remedy(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::UnknownIssuer => {
            "use the CA file of the authority that issued it, and add missing intermediates"
        }
        RefusalReason::BadSignature => "use the CA file that was current when it was issued",
        RefusalReason::Expired => "renew the certificate, or check the clock of this machine",
        RefusalReason::NotYetValid => {
            "check the clock of this machine and of the one that issued it"
        }
        RefusalReason::ExpiredRoot => "renew the authority and give its new certificate",
        RefusalReason::WrongUsage => "issue it for both clientAuth and serverAuth",
        RefusalReason::NoNames => "issue it with the node's names as subject alternative names",
        RefusalReason::BadName => "issue it with plain host names and addresses, without wildcards",
        RefusalReason::BadIdentity => {
            "issue it with one URI, spiffe://<trust domain>/<role>/<name>"
        }
        RefusalReason::RoleMissing => "issue it with a role, or admit certificates without one",
        RefusalReason::SigningLeaf => {
            "issue a certificate for the node; keep the authority's to itself"
        }
        RefusalReason::ExcessiveLifetime => "issue it for a year",
        RefusalReason::WeakKey => {
            "issue it for a P-256, P-384, P-521, Ed25519 or RSA key from 2048 bits"
        }
        RefusalReason::WeakSignature => "issue it with a SHA-256 signature or better",
        RefusalReason::ChainTooLong => "leave only the certificate and its intermediates",
        _ => "issue the certificate anew",
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
