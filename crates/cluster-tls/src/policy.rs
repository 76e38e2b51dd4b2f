//! What a node's certificate must look like beyond a valid chain.
//!
//! The stock verifiers of rustls accept leaves that a cluster must not; these rules are applied at
//! load to our own certificate and at every handshake to the peer's.

use std::borrow::Cow;
use std::time::Duration;

use crate::certificate::{Authority, Certificate};
use crate::identity::{Claims, IdentityRule};
use crate::refusal::{Refusal, RefusalReason};
use crate::role::Role;
use crate::timestamp::Timestamp;

/// The rules that an operator can choose.
///
/// # Examples
///
/// Certificates of another issuer, whose identity URIs look different, and HTTP/1.1:
///
/// ```
/// use cluster_tls::{ApplicationProtocol, PeerPolicy};
///
/// let policy = PeerPolicy {
///     identity_rules: vec!["spiffe://corp.example/ns/*/sa/spice-executor=executor".parse()?],
///     application_protocol: ApplicationProtocol::HTTP_1_1,
///     ..PeerPolicy::default()
/// };
/// # Ok::<(), cluster_tls::IdentityRuleError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerPolicy {
    /// What to make of certificates that carry no identity URI.
    pub unspecified_role: UnspecifiedRole,
    /// What role identity URIs give; the first rule that matches counts. URIs of our own form,
    /// `spiffe://<trust domain>/<role>/<name>`, need no rule, and obey one that matches them.
    pub identity_rules: Vec<IdentityRule>,
    /// What both ends speak inside TLS; they agree on it by ALPN, or there is no connection.
    pub application_protocol: ApplicationProtocol,
}

/// What is spoken inside TLS, under its ALPN name (RFC 7301).
///
/// A connection on which both ends have not agreed on it is refused: a peer that wants something
/// else is not a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationProtocol(Cow<'static, str>);

impl ApplicationProtocol {
    /// HTTP/2, and with it gRPC: the default.
    pub const HTTP_2: Self = Self(Cow::Borrowed("h2"));
    /// HTTP/1.1.
    pub const HTTP_1_1: Self = Self(Cow::Borrowed("http/1.1"));

    /// A protocol of your own, for example `my-service/1`.
    ///
    /// # Panics
    ///
    /// Panics if the name is empty or longer than 255 bytes, which ALPN cannot carry.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        assert!(
            (1..=ALPN_BYTES_MAX).contains(&name.len()),
            "an ALPN name has 1 to 255 bytes"
        );
        Self(Cow::Borrowed(name))
    }

    /// The name as it goes over the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ApplicationProtocol {
    fn default() -> Self {
        Self::HTTP_2
    }
}

/// What to make of certificates that carry no identity URI, and so name no role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnspecifiedRole {
    /// They are members that may act as any member: certificates of other issuers look like this.
    #[default]
    Admit,
    /// They are refused.
    Refuse,
}

/// The part that a certificate's holder plays in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// It dialled, and shows a client certificate.
    Client,
    /// It was dialled, and shows a server certificate.
    Server,
}

/// Judges a leaf whose chain is already known to be good.
pub(crate) fn judge(
    leaf: &Certificate,
    usage: Usage,
    policy: &PeerPolicy,
) -> Result<Claims, Refusal> {
    signs_nothing(leaf)?;
    serves_the_direction(leaf, usage)?;
    is_strong(leaf)?;
    ends_in_reason(leaf)?;
    let claims = Claims::read(leaf, &policy.identity_rules)?;
    match (claims.role, policy.unspecified_role) {
        (Role::Unspecified, UnspecifiedRole::Refuse) => Err(Refusal::new(
            RefusalReason::RoleMissing,
            "the certificate carries no role, and this node asks for one",
        )),
        _ => Ok(claims),
    }
}

/// SPIFFE X.509-SVID, 4.1 and 4.3: a leaf is no authority and signs no certificates or lists.
fn signs_nothing(leaf: &Certificate) -> Result<(), Refusal> {
    let usage = leaf.key_usage;
    let power = if leaf.authority == Authority::Issuer {
        "the CA flag"
    } else if usage.is_some_and(|usage| usage.sign_certificates) {
        "the key usage keyCertSign"
    } else if usage.is_some_and(|usage| usage.sign_revocations) {
        "the key usage cRLSign"
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        RefusalReason::SigningLeaf,
        format!("the certificate carries {power}, which a node must not have"),
    ))
}

fn serves_the_direction(leaf: &Certificate, usage: Usage) -> Result<(), Refusal> {
    let wrong = |detail: &str| Err(Refusal::new(RefusalReason::WrongUsage, detail));
    // RFC 8446, 4.4.2.2: a key usage, where present, allows digital signatures.
    if leaf.key_usage.is_some_and(|usage| !usage.digital_signature) {
        return wrong("the key usage does not allow digital signatures");
    }
    // Stricter than RFC 5280, where a missing extension allows everything: a certificate made for
    // something else altogether is no reason to be in the cluster.
    let Some(purposes) = leaf.purposes else {
        return wrong("the certificate has no extended key usage");
    };
    match usage {
        Usage::Client if !purposes.client_auth => {
            wrong("the extended key usage clientAuth is missing")
        }
        Usage::Server if !purposes.server_auth => {
            wrong("the extended key usage serverAuth is missing")
        }
        Usage::Client | Usage::Server => Ok(()),
    }
}

/// The key's strength. The signature's strength is the chain's business: weak algorithms are
/// simply not among the supported ones there.
fn is_strong(leaf: &Certificate) -> Result<(), Refusal> {
    match leaf.public_key.weakness() {
        Some(weakness) => Err(Refusal::new(
            RefusalReason::WeakKey,
            format!("the certificate holds {weakness}"),
        )),
        None => Ok(()),
    }
}

fn ends_in_reason(leaf: &Certificate) -> Result<(), Refusal> {
    let lifetime = leaf.not_after.duration_since(leaf.not_before);
    if lifetime.is_ok_and(|lifetime| lifetime <= LEAF_LIFETIME_MAX) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalReason::ExcessiveLifetime,
        format!(
            "the certificate is valid from {} to {}, more than ten years",
            Timestamp(leaf.not_before),
            Timestamp(leaf.not_after)
        ),
    ))
}

const ALPN_BYTES_MAX: usize = 255;

/// Ten years and a little clock skew. The point is not to enforce rotation, but to refuse the
/// leaves that tools make when nobody told them a date.
const LEAF_LIFETIME_MAX: Duration = Duration::from_secs(3_660 * 86_400);
