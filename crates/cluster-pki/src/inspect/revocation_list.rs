//! Certificate revocation lists.

use std::time::SystemTime;

use serde::Serialize;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::{CertificateRevocationList, RevokedCertificate};
use x509_parser::x509::ReasonCode;

use crate::inspect::certificate::serial;
use crate::inspect::validity::{moment, seconds};
use crate::text::{distinguished_name, object_name};

/// What a revocation list says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RevocationListReport {
    /// Who signed it.
    pub issuer: String,
    /// Its number, decimal: a newer list has a higher one.
    pub number: Option<String>,
    /// When it was made, RFC 3339 in UTC.
    pub this_update: String,
    /// Until when it may be believed, RFC 3339 in UTC.
    pub next_update: Option<String>,
    /// With what it was signed.
    pub signature_algorithm: String,
    /// The certificates that are revoked, in the list's order.
    pub entries: Vec<RevokedEntry>,
    /// What a node would object to at first sight.
    pub objections: Vec<String>,
}

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RevokedEntry {
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// Since when, RFC 3339 in UTC.
    pub revoked_at: String,
    /// Why, in the words of RFC 5280.
    pub reason: Option<&'static str>,
}

impl RevocationListReport {
    pub(super) fn read(der: &[u8], now: SystemTime) -> Option<Self> {
        let Ok(([], parsed)) = CertificateRevocationList::from_der(der) else {
            return None;
        };
        Some(Self {
            issuer: distinguished_name(parsed.issuer()),
            number: number(&parsed),
            this_update: moment(parsed.last_update()),
            next_update: parsed.next_update().map(moment),
            signature_algorithm: object_name(&parsed.signature_algorithm.algorithm),
            entries: parsed.iter_revoked_certificates().map(entry).collect(),
            objections: objections(&parsed, seconds(now)),
        })
    }
}

fn number(list: &CertificateRevocationList<'_>) -> Option<String> {
    let number = list.crl_number()?;
    // To write a longer one in decimal would take more time than a file should cost.
    if number.bits() > NUMBER_BITS_MAX {
        return Some("(longer than 20 octets)".to_owned());
    }
    Some(number.to_string())
}

fn entry(revoked: &RevokedCertificate<'_>) -> RevokedEntry {
    RevokedEntry {
        serial: serial(revoked.raw_serial()),
        revoked_at: moment(revoked.revocation_date),
        reason: revoked.reason_code().map(|(_, code)| reason(code)),
    }
}

/// RFC 5280, section 5.3.1.
fn reason(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::Unspecified => "unspecified",
        ReasonCode::KeyCompromise => "keyCompromise",
        ReasonCode::CACompromise => "cACompromise",
        ReasonCode::AffiliationChanged => "affiliationChanged",
        ReasonCode::Superseded => "superseded",
        ReasonCode::CessationOfOperation => "cessationOfOperation",
        ReasonCode::CertificateHold => "certificateHold",
        ReasonCode::RemoveFromCRL => "removeFromCRL",
        ReasonCode::PrivilegeWithdrawn => "privilegeWithdrawn",
        ReasonCode::AACompromise => "aACompromise",
        _ => "unknown",
    }
}

fn objections(list: &CertificateRevocationList<'_>, now_s: i64) -> Vec<String> {
    let made = list.last_update();
    let mut objections = Vec::new();
    if made.timestamp() > now_s {
        objections.push(format!("it was made at {}, which is to come", moment(made)));
    }
    match list.next_update() {
        None => {
            let text = "it says no next update, and so never ends being believed";
            objections.push(text.to_owned());
        }
        Some(next) if next.timestamp() < now_s => {
            objections.push(format!("it is out of date since {}", moment(next)));
        }
        Some(_) => {}
    }
    objections
}

/// RFC 5280, section 5.2.3: at most 20 octets.
const NUMBER_BITS_MAX: u64 = 160;
