//! Who the peer is, once a handshake has proven it.

mod rule;
mod spiffe;

use std::fmt::{self, Display, Formatter};
use std::time::SystemTime;

use crate::certificate::{Alternative, Certificate, printable};
use crate::name::Name;
use crate::refusal::{Refusal, RefusalReason};
use crate::role::Role;
use crate::timestamp::Timestamp;

pub use self::rule::{IdentityRule, IdentityRuleError};

/// A proven identity: it exists only after a completed handshake on that very connection.
///
/// There is no public constructor; holding a `PeerIdentity` is the proof.
#[derive(Clone, Debug)]
pub struct PeerIdentity {
    claims: Claims,
    serial: String,
    fingerprint: String,
    not_before: SystemTime,
    not_after: SystemTime,
    generation: u64,
}

impl PeerIdentity {
    /// The identity in a certificate that has been verified under snapshot `generation`.
    pub(crate) fn new(claims: Claims, certificate: &Certificate, generation: u64) -> Self {
        Self {
            claims,
            serial: certificate.serial.clone(),
            fingerprint: certificate.fingerprint.clone(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            generation,
        }
    }

    /// One short name, for log lines and labels: the URI, or else the first name.
    #[must_use]
    pub fn label(&self) -> String {
        let name = || self.claims.names.first().map(Name::to_string);
        self.claims.uri.clone().or_else(name).unwrap_or_default()
    }

    pub(crate) fn at_generation(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// The DNS names and addresses at which the peer may be reached, in the certificate's order.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.claims.names
    }

    /// Whether `host` is one of [`names`](Self::names), compared in canonical form.
    #[must_use]
    pub fn has_name(&self, host: &str) -> bool {
        host.parse::<Name>()
            .is_ok_and(|name| self.claims.names.contains(&name))
    }

    /// The identity URI, `spiffe://<trust domain>/<role>/<name>`, where there is one.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        self.claims.uri.as_deref()
    }

    /// What the peer may be.
    #[must_use]
    pub fn role(&self) -> Role {
        self.claims.role
    }

    /// The certificate's serial number, lower-case hexadecimal.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// SHA-256 over the certificate, lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// When the certificate began to be valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// When the certificate ends being valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The generation of the snapshot that verified the certificate, counted from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl Display for PeerIdentity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.claims.role)?;
        if let Some(uri) = &self.claims.uri {
            write!(f, " {uri}")?;
        }
        for name in &self.claims.names {
            write!(f, " {name}")?;
        }
        write!(
            f,
            " (serial {}, valid until {})",
            self.serial,
            Timestamp(self.not_after)
        )
    }
}

/// The part of an identity that the alternative names spell out.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) names: Vec<Name>,
    pub(crate) uri: Option<String>,
    pub(crate) role: Role,
}

impl Claims {
    /// Reads names and role, or says why they identify no node.
    pub(crate) fn read(certificate: &Certificate, rules: &[IdentityRule]) -> Result<Self, Refusal> {
        if certificate.alternatives.is_empty() {
            return Err(Refusal::new(
                RefusalReason::NoNames,
                format!(
                    "the certificate of {:?} has no subject alternative name; common names are \
                     not looked at",
                    certificate.subject
                ),
            ));
        }
        let uri = identity_uri(&certificate.alternatives)?;
        let role = match &uri {
            Some(uri) => spiffe::role(uri, rules)
                .map_err(|detail| Refusal::new(RefusalReason::BadIdentity, detail))?,
            None => Role::Unspecified,
        };
        let names = names(&certificate.alternatives)?;
        if names.is_empty() && uri.is_none() {
            return Err(Refusal::new(
                RefusalReason::NoNames,
                "none of the subject alternative names is a DNS name, an address or a URI",
            ));
        }
        Ok(Self { names, uri, role })
    }

    /// The same as text, for events.
    pub(crate) fn to_strings(&self) -> Vec<String> {
        let names = self.names.iter().map(Name::to_string);
        names.chain(self.uri.clone()).collect()
    }
}

fn identity_uri(alternatives: &[Alternative]) -> Result<Option<String>, Refusal> {
    let uris: Vec<_> = alternatives
        .iter()
        .filter(|name| matches!(name, Alternative::Uri(_) | Alternative::UndecodableUri))
        .collect();
    match uris.as_slice() {
        [] => Ok(None),
        [Alternative::Uri(uri)] => Ok(Some(uri.clone())),
        [_] => Err(Refusal::new(
            RefusalReason::BadIdentity,
            "the identity URI is not text",
        )),
        several => Err(Refusal::new(
            RefusalReason::BadIdentity,
            format!("{} URIs, and an identity is at most one", several.len()),
        )),
    }
}

fn names(alternatives: &[Alternative]) -> Result<Vec<Name>, Refusal> {
    let mut names = Vec::new();
    for alternative in alternatives {
        match alternative {
            Alternative::Dns(text) => names.push(Name::from_dns_san(text).map_err(|error| {
                let detail = format!("the DNS name {:?}: {error}", printable(text));
                Refusal::new(RefusalReason::BadName, detail)
            })?),
            Alternative::Ip(address) => names.push(Name::Ip(*address)),
            Alternative::Undecodable => {
                return Err(Refusal::new(
                    RefusalReason::BadName,
                    "a subject alternative name cannot be decoded",
                ));
            }
            Alternative::Uri(_) | Alternative::UndecodableUri | Alternative::Other => {}
        }
    }
    Ok(names)
}
