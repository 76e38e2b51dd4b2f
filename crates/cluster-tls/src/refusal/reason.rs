//! The reasons, one word each.

use std::fmt::{self, Display, Formatter};

/// Why a handshake did not lead to a connection.
///
/// The codes of [`as_str`](Self::as_str) are stable: dashboards and alerts are built on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The peer showed no certificate.
    NoCertificate,
    /// The peer's chain leads to none of the configured roots.
    UnknownIssuer,
    /// A root has the subject that the chain asks for, but another key signed.
    BadSignature,
    /// The certificate, or one of its issuers, is past its dates.
    Expired,
    /// The certificate, or one of its issuers, is before its dates.
    NotYetValid,
    /// The chain leads to a configured root that is itself outside its dates.
    ExpiredRoot,
    /// The certificate, or one of its issuers, is on a revocation list or the deny-list.
    Revoked,
    /// Revocation lists are in use, and none that is current and sound is about the certificate.
    RevocationUnknown,
    /// Key usage or extended key usage does not allow this direction.
    WrongUsage,
    /// No subject alternative name at all; common names are never looked at.
    NoNames,
    /// A subject alternative name identifies no node: a wildcard, or malformed.
    BadName,
    /// The identity URI is not one, or there are several.
    BadIdentity,
    /// The certificate carries no role and policy asks for one.
    RoleMissing,
    /// The certificate may sign certificates or revocation lists.
    SigningLeaf,
    /// The certificate is valid for longer than any leaf should be.
    ExcessiveLifetime,
    /// The public key is too small or of an unaccepted kind.
    WeakKey,
    /// The certificate is signed with an unaccepted algorithm.
    WeakSignature,
    /// The chain holds more certificates or bytes than accepted.
    ChainTooLong,
    /// The certificate does not parse or holds what nobody understands.
    BadCertificate,
    /// The certificate does not carry the name that was dialled.
    WrongName,
    /// The certificate's role is not the one that was dialled.
    WrongRole,
    /// The peer that was dialled asked for no certificate, and so admits anybody.
    NotMutual,
    /// The peer does not speak TLS 1.3.
    ProtocolVersion,
    /// The peer shares no key exchange, cipher suite or signature scheme with us.
    Incompatible,
    /// The peer does not speak TLS at all.
    Plaintext,
    /// The peer did not agree to our application protocol through ALPN.
    Alpn,
    /// The handshake did not end in time.
    Timeout,
    /// Too many handshakes were under way for too long.
    Overloaded,
    /// The peer has too many live connections already.
    TooManyConnections,
    /// The peer refused us with an alert.
    PeerAlert,
    /// The peer broke the protocol.
    Malformed,
    /// The peer closed the connection before the handshake was complete.
    Closed,
    /// The transport failed.
    Io,
}

impl RefusalReason {
    /// The stable code, for logs and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::UnknownIssuer => "unknown_issuer",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::ExpiredRoot => "expired_root",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation_unknown",
            Self::WrongUsage => "wrong_usage",
            Self::NoNames => "no_names",
            Self::BadName => "bad_name",
            Self::BadIdentity => "bad_identity",
            Self::RoleMissing => "role_missing",
            Self::SigningLeaf => "signing_leaf",
            Self::ExcessiveLifetime => "excessive_lifetime",
            Self::WeakKey => "weak_key",
            Self::WeakSignature => "weak_signature",
            Self::ChainTooLong => "chain_too_long",
            Self::BadCertificate => "bad_certificate",
            Self::WrongName => "wrong_name",
            Self::WrongRole => "wrong_role",
            Self::NotMutual => "not_mutual",
            Self::ProtocolVersion => "protocol_version",
            Self::Incompatible => "incompatible",
            Self::Plaintext => "plaintext",
            Self::Alpn => "alpn",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::TooManyConnections => "too_many_connections",
            Self::PeerAlert => "peer_alert",
            Self::Malformed => "malformed",
            Self::Closed => "closed",
            Self::Io => "io",
        }
    }
}

impl Display for RefusalReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
