//! What a certificate should say.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use cluster_tls::Role;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

/// The description of a certificate: one that works, unless a test makes it worse.
#[derive(Clone, Debug)]
pub struct Leaf {
    subject: String,
    names: Vec<String>,
    uris: Vec<String>,
    not_before: SystemTime,
    not_after: SystemTime,
    usages: Vec<Usage>,
    kind: Kind,
    key: KeyKind,
}

/// What the holder may do with its certificate in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Accept connections.
    Server,
    /// Make connections.
    Client,
}

/// Whether the certificate can sign others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It cannot, as it should be.
    EndEntity,
    /// It says that it can.
    Authority,
}

/// The algorithm of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits; slow to make.
    Rsa2048,
}

impl Leaf {
    /// A certificate for `name`, `localhost` and both loopback addresses, valid from five
    /// minutes ago until tomorrow, for both directions, without a role.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let now = SystemTime::now();
        Self {
            subject: name.to_owned(),
            names: [name, "localhost", "127.0.0.1", "::1"]
                .map(str::to_owned)
                .to_vec(),
            uris: Vec::new(),
            not_before: now - CLOCK_SKEW,
            not_after: now + DAY,
            usages: vec![Usage::Server, Usage::Client],
            kind: Kind::EndEntity,
            key: KeyKind::P256,
        }
    }

    /// Gives the holder a role, by the URI that our own PKI writes.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        let uri = format!("spiffe://{TRUST_DOMAIN}/{role}/{}", self.subject);
        self.with_uri(&uri)
    }

    /// Adds a URI; two of them are something that peers refuse.
    #[must_use]
    pub fn with_uri(mut self, uri: &str) -> Self {
        self.uris.push(uri.to_owned());
        self
    }

    /// Replaces all names: DNS names, and IP addresses where they read as such.
    #[must_use]
    pub fn with_names<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.names = names.map(str::to_owned).to_vec();
        self
    }

    /// Replaces the validity.
    #[must_use]
    pub fn valid(mut self, not_before: SystemTime, not_after: SystemTime) -> Self {
        self.not_before = not_before;
        self.not_after = not_after;
        self
    }

    /// Replaces the directions; an empty list leaves the extension out.
    #[must_use]
    pub fn with_usages<const N: usize>(mut self, usages: [Usage; N]) -> Self {
        self.usages = usages.to_vec();
        self
    }

    /// Says whether it can sign others.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Chooses the algorithm of the key.
    #[must_use]
    pub fn with_key(mut self, key: KeyKind) -> Self {
        self.key = key;
        self
    }

    pub(super) fn generate_key(&self) -> Result<KeyPair> {
        let algorithm = match self.key {
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
            KeyKind::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
        };
        KeyPair::generate_for(algorithm).context("cannot make a key")
    }

    pub(super) fn params(&self) -> Result<CertificateParams> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, self.subject.as_str());
        params.subject_alt_names = self.alternative_names()?;
        params.not_before = self.not_before.into();
        params.not_after = self.not_after.into();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.usages.iter().copied().map(purpose).collect();
        params.is_ca = match self.kind {
            Kind::EndEntity => IsCa::ExplicitNoCa,
            Kind::Authority => {
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
                IsCa::Ca(BasicConstraints::Unconstrained)
            }
        };
        Ok(params)
    }

    fn alternative_names(&self) -> Result<Vec<SanType>> {
        let names = self.names.iter().map(|name| match name.parse::<IpAddr>() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => Ok(SanType::DnsName(
                name.as_str()
                    .try_into()
                    .with_context(|| format!("{name:?} is no DNS name"))?,
            )),
        });
        let uris = self.uris.iter().map(|uri| {
            Ok(SanType::URI(
                uri.as_str()
                    .try_into()
                    .with_context(|| format!("{uri:?} is no URI"))?,
            ))
        });
        names.chain(uris).collect()
    }
}

fn purpose(usage: Usage) -> ExtendedKeyUsagePurpose {
    match usage {
        Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }
}

/// What our own PKI takes when `init` is given no domain.
const TRUST_DOMAIN: &str = "cluster.local";

/// As far back as our own PKI dates its certificates.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
