//! From leaf to root, with the errors of webpki turned into reasons.

use std::time::SystemTime;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

use crate::certificate::{Certificate, fingerprint, serial};
use crate::clock::unix_time;
use crate::policy::Usage;
use crate::refusal::{Refusal, RefusalReason};
use crate::revocation;
use crate::root::Root;
use crate::timestamp::Timestamp;
use crate::verify::{RevocationCheck, Verifier};

/// One chain and what it is to be used for.
pub(super) struct Question<'a> {
    pub(super) leaf: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) usage: Usage,
    pub(super) certificate: &'a Certificate,
    pub(super) revocation: RevocationCheck,
}

/// What a chain that leads to a root says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Sound,
    Denied,
}

impl Question<'_> {
    /// Whether the chain leads to a root that is valid now.
    pub(super) fn ask(&self, verifier: &Verifier) -> Result<(), Refusal> {
        let now = verifier.clock.now();
        let current = anchors(verifier.roots.iter().filter(|root| root.is_valid_at(now)));
        let error = match self.chain_to(&current, verifier, now) {
            Ok(Step::Denied) => return Err(self.denied()),
            Ok(Step::Sound) => return Ok(()),
            Err(error) => error,
        };
        let all = anchors(verifier.roots.iter());
        if all.len() > current.len() && self.chain_to(&all, verifier, now).is_ok() {
            return Err(self.outdated_root(now));
        }
        Err(self.explain(&error, verifier, now))
    }

    fn chain_to(
        &self,
        anchors: &[TrustAnchor<'_>],
        verifier: &Verifier,
        now: SystemTime,
    ) -> Result<Step, Error> {
        let usage = match self.usage {
            Usage::Client => KeyUsage::client_auth(),
            Usage::Server => KeyUsage::server_auth(),
        };
        let lists = match self.revocation {
            RevocationCheck::Enforce => verifier.revocation_lists(),
            RevocationCheck::Skip => Vec::new(),
        };
        let leaf = EndEntityCert::try_from(self.leaf)?;
        let path = leaf.verify_for_usage(
            verifier.algorithms.all,
            anchors,
            self.intermediates,
            unix_time(now),
            usage,
            revocation::options(&lists),
            None,
        )?;
        Ok(match self.revocation {
            RevocationCheck::Enforce if self.is_denied(&path, verifier) => Step::Denied,
            RevocationCheck::Enforce | RevocationCheck::Skip => Step::Sound,
        })
    }

    /// Whether the leaf or an intermediate that vouches for it is on the deny-list.
    fn is_denied(&self, path: &VerifiedPath<'_>, verifier: &Verifier) -> bool {
        let Some(denied) = verifier.denied.as_ref().filter(|list| !list.is_empty()) else {
            return false;
        };
        let leaf = self.certificate;
        denied.holds(&leaf.serial, &leaf.fingerprint)
            || path
                .intermediate_certificates()
                .any(|issuer| denied.holds(&serial(issuer.serial()), &fingerprint(&issuer.der())))
    }

    fn denied(&self) -> Refusal {
        let serial = &self.certificate.serial;
        Refusal::new(
            RefusalReason::Revoked,
            format!("the certificate (serial {serial}) or one of its issuers is on the deny-list"),
        )
    }

    fn outdated_root(&self, now: SystemTime) -> Refusal {
        Refusal::new(
            RefusalReason::ExpiredRoot,
            format!(
                "the certificate was issued by {:?} and leads to a configured root that is \
                 outside its dates; the clock says {}",
                self.certificate.issuer,
                Timestamp(now)
            ),
        )
    }

    fn explain(&self, error: &Error, verifier: &Verifier, now: SystemTime) -> Refusal {
        let detail = match error {
            Error::UnknownIssuer => format!(
                "issued by {:?}, which leads to none of the configured roots: {}; is it another \
                 cluster's certificate, or is an intermediate missing?",
                self.certificate.issuer,
                subjects(&verifier.roots)
            ),
            Error::InvalidSignatureForPublicKey => format!(
                "issued by {:?}: an authority of that name is known here, but with another key; \
                 was the authority made anew under its old name?",
                self.certificate.issuer
            ),
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } => self.dates(now),
            Error::CertRevoked => format!(
                "the certificate (serial {}) or one of its issuers is on a revocation list",
                self.certificate.serial
            ),
            Error::UnknownRevocationStatus => format!(
                "no revocation list here is about the certificate, issued by {:?}",
                self.certificate.issuer
            ),
            Error::CrlExpired { .. } => format!(
                "the revocation list of {:?} is out of date; the clock says {}",
                self.certificate.issuer,
                Timestamp(now)
            ),
            Error::CaUsedAsEndEntity => "an authority's own certificate is used by a node".into(),
            Error::RequiredEkuNotFoundContext(_) => match self.usage {
                Usage::Client => "the extended key usage clientAuth is missing".into(),
                Usage::Server => "the extended key usage serverAuth is missing".into(),
            },
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => format!(
                "the chain is signed with an algorithm that is not accepted (the leaf with {})",
                self.certificate.signature
            ),
            _ => format!("{error:?}"),
        };
        Refusal::new(reason(error), detail)
    }

    fn dates(&self, now: SystemTime) -> String {
        let leaf = self.certificate;
        let whose = if leaf.not_before <= now && now <= leaf.not_after {
            "an issuer of the certificate is outside its dates; the certificate itself is"
        } else {
            "the certificate is"
        };
        format!(
            "{whose} valid from {} to {}; the clock says {}",
            Timestamp(leaf.not_before),
            Timestamp(leaf.not_after),
            Timestamp(now)
        )
    }
}

fn anchors<'a>(roots: impl Iterator<Item = &'a Root>) -> Vec<TrustAnchor<'static>> {
    roots.map(|root| root.anchor.clone()).collect()
}

fn subjects(roots: &[Root]) -> String {
    let subjects: Vec<_> = roots
        .iter()
        .map(|root| format!("{:?}", root.summary.subject))
        .collect();
    subjects.join(", ")
}

fn reason(error: &Error) -> RefusalReason {
    match error {
        Error::UnknownIssuer => RefusalReason::UnknownIssuer,
        Error::InvalidSignatureForPublicKey => RefusalReason::BadSignature,
        Error::CertExpired { .. } => RefusalReason::Expired,
        Error::CertNotValidYet { .. } => RefusalReason::NotYetValid,
        Error::CaUsedAsEndEntity => RefusalReason::SigningLeaf,
        Error::CertRevoked => RefusalReason::Revoked,
        Error::UnknownRevocationStatus
        | Error::CrlExpired { .. }
        | Error::InvalidCrlSignatureForPublicKey
        | Error::IssuerNotCrlSigner => RefusalReason::RevocationUnknown,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            RefusalReason::WrongUsage
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => RefusalReason::WeakSignature,
        Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => RefusalReason::ChainTooLong,
        _ => RefusalReason::BadCertificate,
    }
}
