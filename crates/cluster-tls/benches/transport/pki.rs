//! Certificates, minted for this run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// An authority with a P-256 key, as are those of its members.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a node has: its own certificate and key, and the root.
pub(crate) struct Issued {
    pub(crate) texts: Texts,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

/// The same as PEM.
#[derive(Clone)]
pub(crate) struct Texts {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = dated();
        params.distinguished_name = named("bench root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A member on this machine, as `spice cluster tls` would issue it.
    pub(crate) fn issue(&self, role: &str, name: &str) -> Result<Issued> {
        let mut params = dated();
        params.distinguished_name = named(name);
        params.subject_alt_names = vec![
            SanType::DnsName(format!("{name}.cluster.local").try_into()?),
            SanType::IpAddress([127, 0, 0, 1].into()),
            SanType::URI(format!("spiffe://cluster.local/{role}/{name}").try_into()?),
        ];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            texts: Texts {
                ca: self.issuer.pem(),
                certificate: certificate.pem(),
                key: key.serialize_pem(),
            },
            certificate: certificate.der().clone(),
            key,
        })
    }
}

impl Issued {
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    pub(crate) fn key_der(&self) -> Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::try_from(self.key.serialize_der()).map_err(anyhow::Error::msg)
    }
}

/// Valid now: the stock verifiers that we are compared with look at the machine's clock.
fn dated() -> CertificateParams {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = date_time_ymd(1970, 1, 1) + now.unwrap_or_default();
    let mut params = CertificateParams::default();
    params.not_before = now - DAY;
    params.not_after = now + 30 * DAY;
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

const DAY: Duration = Duration::from_secs(86_400);
