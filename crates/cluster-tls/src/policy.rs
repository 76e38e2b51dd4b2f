//! What a node's certificate must look like beyond a valid chain.
//!
//! The stock verifiers of rustls accept leaves that a cluster must not; these rules are applied at
//! load to our own certificate and at every handshake to the peer's.

use std::time::Duration;

use crate::certificate::{Authority, Certificate};
use crate::identity::Claims;
use crate::refusal::{Refusal, RefusalReason};
use crate::role::Role;
use crate::timestamp::Timestamp;

/// The rules that an operator can choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerPolicy {
    /// What to make of certificates that carry no identity URI.
    pub unspecified_role: UnspecifiedRole,
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
    policy: PeerPolicy,
) -> Result<Claims, Refusal> {
    signs_nothing(leaf)?;
    serves_the_direction(leaf, usage)?;
    is_strong(leaf)?;
    ends_in_reason(leaf)?;
    let claims = Claims::read(leaf)?;
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

/// Ten years and a little clock skew. The point is not to enforce rotation, but to refuse the
/// leaves that tools make when nobody told them a date.
const LEAF_LIFETIME_MAX: Duration = Duration::from_secs(3_660 * 86_400);
