//! The one verifier: what a peer's certificate must satisfy, in either direction.

mod chain;
mod inbound;
mod outbound;
mod verdict;

use std::sync::Arc;
use std::time::SystemTime;

use rustls::DistinguishedName;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::CertificateDer;
use webpki::CertRevocationList;

use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::identity::Claims;
use crate::policy::{self, PeerPolicy, Usage};
use crate::refusal::{Refusal, RefusalReason};
use crate::revocation::{DenyList, Revocations};
use crate::root::Root;

pub(crate) use self::inbound::Inbound;
pub(crate) use self::outbound::Outbound;
pub(crate) use self::verdict::Verdict;

/// Roots, revocations, policy and clock of one snapshot.
#[derive(Debug)]
pub(crate) struct Verifier {
    roots: Vec<Root>,
    hints: Arc<[DistinguishedName]>,
    revocations: Option<Revocations>,
    denied: Option<DenyList>,
    policy: PeerPolicy,
    clock: Arc<dyn Clock>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Whether revocations are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RevocationCheck {
    /// Of every peer.
    Enforce,
    /// Of ourselves: whether we are revoked is a question apart from whether we are well made.
    Skip,
}

/// A leaf that was accepted, read once.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) claims: Claims,
    pub(crate) certificate: Certificate,
}

impl Verifier {
    pub(crate) fn new(
        roots: Vec<Root>,
        policy: PeerPolicy,
        clock: Arc<dyn Clock>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        let hints = roots.iter().map(Root::distinguished_name).collect();
        Self {
            roots,
            hints,
            revocations: None,
            denied: None,
            policy,
            clock,
            algorithms,
        }
    }

    pub(crate) fn with_revocations(self, revocations: Option<Revocations>) -> Self {
        Self {
            revocations,
            ..self
        }
    }

    pub(crate) fn with_denied(self, denied: Option<DenyList>) -> Self {
        Self { denied, ..self }
    }

    pub(crate) fn revocations(&self) -> Option<&Revocations> {
        self.revocations.as_ref()
    }

    pub(crate) fn denied_count(&self) -> Option<usize> {
        self.denied.as_ref().map(DenyList::len)
    }

    fn revocation_lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.revocations
            .as_ref()
            .map_or_else(Vec::new, Revocations::references)
    }

    /// Whether a root has ended since `earlier`: it vouches for nobody any more.
    pub(crate) fn has_root_ended_since(&self, earlier: SystemTime) -> bool {
        let now = self.now();
        let ends = self.roots.iter().map(|root| root.summary.not_after);
        ends.into_iter().any(|end| earlier <= end && end < now)
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Accepts or refuses the chain of a peer that plays `usage`.
    pub(crate) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        usage: Usage,
        revocation: RevocationCheck,
    ) -> Result<Verified, Refusal> {
        within_bounds(leaf, intermediates)?;
        let certificate = Certificate::parse(leaf)
            .map_err(|detail| Refusal::new(RefusalReason::BadCertificate, detail))?;
        let question = chain::Question {
            leaf,
            intermediates,
            usage,
            certificate: &certificate,
            revocation,
        };
        let judged = question
            .ask(self)
            .and_then(|()| policy::judge(&certificate, usage, &self.policy));
        match judged {
            Ok(claims) => Ok(Verified {
                claims,
                certificate,
            }),
            Err(refusal) => Err(refusal.claiming(certificate.claims())),
        }
    }
}

fn within_bounds(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Refusal> {
    let count = intermediates.len() + 1;
    let bytes = intermediates
        .iter()
        .fold(leaf.len(), |sum, next| sum + next.len());
    if count > CHAIN_CERTIFICATES_MAX || bytes > CHAIN_BYTES_MAX {
        return Err(Refusal::new(
            RefusalReason::ChainTooLong,
            format!(
                "a chain of {count} certificates and {bytes} bytes; at most \
                 {CHAIN_CERTIFICATES_MAX} and {CHAIN_BYTES_MAX} are accepted"
            ),
        ));
    }
    Ok(())
}

/// Real chains have two or three; more is work for us and nothing for the peer.
const CHAIN_CERTIFICATES_MAX: usize = 10;

/// The bound that rustls puts on the message is about the same; this one does not depend on it.
const CHAIN_BYTES_MAX: usize = 64 * 1024;
