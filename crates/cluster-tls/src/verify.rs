//! The one verifier: what a peer's certificate must satisfy, in either direction.

mod chain;
mod inbound;
mod outbound;

use std::sync::Arc;

use rustls::DistinguishedName;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::CertificateDer;

use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::identity::Claims;
use crate::policy::{self, PeerPolicy, Usage};
use crate::refusal::{Refusal, RefusalReason};
use crate::root::Root;

pub(crate) use self::inbound::Inbound;
pub(crate) use self::outbound::Outbound;

/// Roots, policy and clock of one snapshot.
#[derive(Debug)]
pub(crate) struct Verifier {
    roots: Vec<Root>,
    hints: Vec<DistinguishedName>,
    policy: PeerPolicy,
    clock: Arc<dyn Clock>,
    algorithms: WebPkiSupportedAlgorithms,
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
            policy,
            clock,
            algorithms,
        }
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
    ) -> Result<Claims, Refusal> {
        within_bounds(leaf, intermediates)?;
        let certificate = Certificate::parse(leaf)
            .map_err(|detail| Refusal::new(RefusalReason::BadCertificate, detail))?;
        chain::Question {
            leaf,
            intermediates,
            usage,
            certificate: &certificate,
        }
        .ask(self)
        .and_then(|()| policy::judge(&certificate, usage, self.policy))
        .map_err(|refusal| refusal.claiming(certificate.claims()))
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
