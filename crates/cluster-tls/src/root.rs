//! A root certificate and the dates between which it counts.

use std::time::SystemTime;

use rustls::DistinguishedName;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::certificate::Certificate;

/// One configured root.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) anchor: TrustAnchor<'static>,
    pub(crate) summary: RootSummary,
    pub(crate) not_before: SystemTime,
}

impl Root {
    /// A trust anchor remembers no dates, so they are kept beside it: the stock verifiers accept
    /// expired roots for that reason.
    pub(crate) fn new(
        der: &CertificateDer<'_>,
        certificate: &Certificate,
    ) -> Result<Self, webpki::Error> {
        Ok(Self {
            anchor: webpki::anchor_from_trusted_cert(der)?.to_owned(),
            summary: RootSummary {
                subject: certificate.subject.clone(),
                not_after: certificate.not_after,
            },
            not_before: certificate.not_before,
        })
    }

    pub(crate) fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.summary.not_after
    }

    pub(crate) fn distinguished_name(&self) -> DistinguishedName {
        DistinguishedName::in_sequence(self.anchor.subject.as_ref())
    }
}

/// What there is to say about a root: for status pages, logs and expiry metrics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RootSummary {
    /// The distinguished name, control characters escaped.
    pub subject: String,
    /// When it ends being valid.
    pub not_after: SystemTime,
}
