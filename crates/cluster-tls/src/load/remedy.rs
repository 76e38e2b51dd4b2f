//! What to do about each fault.

use super::{CredentialFile, LoadFault};
use crate::refusal::RefusalReason;

impl LoadFault {
    pub(super) fn remedy(&self, file: CredentialFile) -> &'static str {
        match self {
            Self::Missing => "check the path, or issue the file first",
            Self::Unreadable(_) => "let the user that runs this process read it",
            Self::NotAFile => "give the path of a file",
            Self::TooLarge { .. } => "check that it is the right file",
            Self::Exposed { .. } => "take the rights of others away (chmod 600)",
            Self::Empty => "write the file again; a copy may have been cut short",
            Self::NotPem {
                looks_like_der: true,
            } => "convert it to PEM (openssl x509, pkey or crl, with -inform der)",
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
            Self::BadRevocationList(_) => {
                "publish the list again, as PEM, in version 2 and with a next update"
            }
            Self::RootWithoutList { .. } => {
                "add the list of every root, or use a deny-list, which needs none"
            }
            Self::ExpiredList { .. } => {
                "publish a new list, or use a deny-list, which does not expire"
            }
            Self::OlderList { .. } => {
                "publish the newest list; restart the node if an older one is really meant"
            }
            Self::BadDenyList { .. } => {
                "write one serial number or SHA-256 fingerprint a line, in hexadecimal"
            }
            Self::Unfit(_) => "issue one that is",
            Self::Unsettled { .. } => "see what keeps writing it",
            Self::Unavailable(_) => "see why the source does not answer",
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
        CredentialFile::Crl => "give the authority's revocation list, and nothing else",
        CredentialFile::DenyList => "give a list of serial numbers, and nothing else",
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
            "issue it with one URI, spiffe://<trust domain>/<role>/<name>, or add a rule for its own form"
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
        RefusalReason::Revoked => "issue a new certificate, if the node is to be a member",
        RefusalReason::RevocationUnknown => "add the revocation list of every issuer",
        RefusalReason::ChainTooLong => "leave only the certificate and its intermediates",
        _ => "issue the certificate anew",
    }
}
