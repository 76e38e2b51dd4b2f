//! From the errors of rustls and the transport back to reasons.

use std::io;
use std::sync::Arc;

use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
};

use super::{Refusal, RefusalReason};
use crate::verify::Verdict;

impl Refusal {
    /// What stopped a handshake that ended with `error`.
    pub(crate) fn from_handshake(error: &io::Error) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
        {
            Some(error) => Self::from_rustls(error),
            None => Self::from_transport(error),
        }
    }

    /// The reason why the transport failed under the handshake.
    pub(crate) fn from_transport(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::new(
                RefusalReason::Closed,
                "the peer closed the connection in the middle of the handshake",
            ),
            _ => Self::new(RefusalReason::Io, error.to_string()),
        }
    }

    /// The verifier's own words where it refused; what rustls says otherwise.
    pub(crate) fn of_handshake(error: &io::Error, verdict: &Verdict) -> Self {
        match verdict.take() {
            Some(Err(refusal)) => refusal,
            Some(Ok(_)) | None => Self::from_handshake(error),
        }
    }

    fn from_rustls(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner
                .downcast_ref::<Self>()
                .cloned()
                .unwrap_or_else(|| Self::new(RefusalReason::BadCertificate, inner.to_string())),
            Error::InvalidCertificate(error) => Self::from_certificate_error(error),
            Error::NoCertificatesPresented => Self::new(
                RefusalReason::NoCertificate,
                "the peer showed no certificate",
            ),
            Error::PeerIncompatible(error) => Self::from_incompatibility(error),
            Error::AlertReceived(alert) => Self::from_alert(*alert),
            Error::NoApplicationProtocol => Self::new(
                RefusalReason::Alpn,
                "the peer offers application protocols, but not the one that is spoken here",
            ),
            Error::InvalidMessage(error) => Self::from_invalid_message(*error),
            _ => Self::new(RefusalReason::Malformed, error.to_string()),
        }
    }

    /// Stock errors come from the handshake signature: everything else about the certificate is
    /// judged by our own verifier.
    fn from_certificate_error(error: &CertificateError) -> Self {
        let reason =
            match error {
                CertificateError::BadSignature => RefusalReason::BadSignature,
                CertificateError::UnknownIssuer => RefusalReason::UnknownIssuer,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    RefusalReason::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    RefusalReason::NotYetValid
                }
                CertificateError::InvalidPurpose
                | CertificateError::InvalidPurposeContext { .. } => RefusalReason::WrongUsage,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => RefusalReason::WrongName,
                CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                    RefusalReason::WeakSignature
                }
                _ => RefusalReason::BadCertificate,
            };
        Self::new(reason, error.to_string())
    }

    fn from_incompatibility(error: &PeerIncompatible) -> Self {
        match error {
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => Self::new(
                RefusalReason::ProtocolVersion,
                "the peer does not offer TLS 1.3, and nothing older is accepted",
            ),
            _ => Self::new(
                RefusalReason::Incompatible,
                format!("no common ground with the peer ({error:?})"),
            ),
        }
    }

    fn from_alert(alert: AlertDescription) -> Self {
        let reason = match alert {
            AlertDescription::ProtocolVersion => RefusalReason::ProtocolVersion,
            AlertDescription::NoApplicationProtocol => RefusalReason::Alpn,
            _ => RefusalReason::PeerAlert,
        };
        Self::new(
            reason,
            format!("the peer refused us with the alert {}", snake_case(alert)),
        )
        .alerted()
    }

    fn from_invalid_message(error: InvalidMessage) -> Self {
        match error {
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion => {
                Self::new(
                    RefusalReason::Plaintext,
                    "the peer answered with something that is not TLS",
                )
            }
            InvalidMessage::CertificatePayloadTooLarge => Self::new(
                RefusalReason::ChainTooLong,
                "the peer's certificates are larger than 64 KiB",
            ),
            _ => Self::new(RefusalReason::Malformed, format!("{error:?}")),
        }
    }
}

impl Refusal {
    /// The error with which rustls tells the peer, by the alert, what is wrong with its
    /// certificate. The detail stays here: see [`Verdict`](crate::verify::Verdict).
    pub(crate) fn to_alerting_error(&self) -> Error {
        let error = match self.reason() {
            RefusalReason::Expired => CertificateError::Expired,
            RefusalReason::NotYetValid => CertificateError::NotValidYet,
            RefusalReason::Revoked => CertificateError::Revoked,
            RefusalReason::UnknownIssuer
            | RefusalReason::BadSignature
            | RefusalReason::ExpiredRoot
            | RefusalReason::RevocationUnknown => CertificateError::UnknownIssuer,
            RefusalReason::WrongUsage => CertificateError::InvalidPurpose,
            RefusalReason::WrongName => CertificateError::NotValidForName,
            RefusalReason::WrongRole | RefusalReason::RoleMissing => {
                CertificateError::ApplicationVerificationFailure
            }
            _ => return self.to_carrying_error(),
        };
        Error::InvalidCertificate(error)
    }

    /// The error that carries all of the refusal through rustls, where nobody keeps a verdict.
    /// A conversion of the standard library would be public, and rustls with it.
    pub(crate) fn to_carrying_error(&self) -> Error {
        let carried = OtherError(Arc::new(self.clone()));
        Error::InvalidCertificate(CertificateError::Other(carried))
    }
}

/// `UnknownCA` to `unknown_ca`, as RFC 8446 writes the alerts.
fn snake_case(alert: AlertDescription) -> String {
    let mut name = String::new();
    let mut after_lower = false;
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && after_lower {
            name.push('_');
        }
        after_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::RefusedBy;

    #[test]
    fn alerts_are_named_as_in_the_specification() {
        assert_eq!(snake_case(AlertDescription::UnknownCA), "unknown_ca");
        assert_eq!(
            snake_case(AlertDescription::CertificateExpired),
            "certificate_expired"
        );
    }

    #[test]
    fn the_end_that_refused_is_told_from_the_one_that_was_refused() {
        let alert = io::Error::other(Error::AlertReceived(AlertDescription::ProtocolVersion));
        let own = io::Error::other(Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13,
        ));
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let gone = io::Error::from(io::ErrorKind::PermissionDenied);
        for (error, by) in [
            (alert, Some(RefusedBy::Peer)),
            (own, Some(RefusedBy::Us)),
            (reset, Some(RefusedBy::Peer)),
            (gone, None),
        ] {
            assert_eq!(Refusal::from_handshake(&error).refused_by(), by, "{error}");
        }
    }

    #[test]
    fn our_own_refusal_survives_the_way_through_rustls() {
        let original = Refusal::new(RefusalReason::WrongRole, "an executor");
        let error = io::Error::other(original.to_carrying_error());
        let recovered = Refusal::from_handshake(&error);
        assert_eq!(recovered.reason(), RefusalReason::WrongRole);
        assert_eq!(recovered.detail(), "an executor");
    }

    #[test]
    fn a_reset_is_the_peer_closing_and_other_trouble_is_io() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let other = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            Refusal::from_handshake(&reset).reason(),
            RefusalReason::Closed
        );
        assert_eq!(Refusal::from_handshake(&other).reason(), RefusalReason::Io);
    }
}
