//! The two ways to tell nodes who is no longer to be believed.
//!
//! A certificate revocation list (RFC 5280, section 5) is signed, is about one root and must be
//! renewed before it ends; a deny-list is a text of serial numbers that never ends. Nodes take
//! either or both.

use std::fmt::Write as _;
use std::time::SystemTime;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};

use crate::keys::CaIssuer;
use crate::mint::{MintError, sign_error};
use crate::policy::Window;
use crate::revocations::{RevocationReason, RevokedRecord};
use crate::timestamp::{Timestamp, offset_date_time};

/// What one revocation list says.
pub(crate) struct CrlPlan<'a> {
    pub(crate) number: u64,
    pub(crate) window: Window,
    /// Certificates of the root that signs the list. They stay on it when they have expired: a
    /// list that shrinks invites the question who was let back in.
    pub(crate) revoked: Vec<&'a RevokedRecord>,
}

/// Signs a revocation list, PEM.
pub(crate) fn mint_crl(plan: &CrlPlan<'_>, issuer: &CaIssuer) -> Result<String, MintError> {
    let time = |time: SystemTime| offset_date_time(time).ok_or(MintError::Time);
    let revoked = plan.revoked.iter().map(|record| {
        Ok(RevokedCertParams {
            serial_number: serial(&record.serial),
            revocation_time: time(record.revoked_at)?,
            reason_code: code(record.reason),
            invalidity_date: None,
        })
    });
    let params = CertificateRevocationListParams {
        this_update: time(plan.window.not_before)?,
        next_update: time(plan.window.not_after)?,
        crl_number: SerialNumber::from_slice(&plan.number.to_be_bytes()),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect::<Result<_, MintError>>()?,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = params.signed_by(issuer).map_err(sign_error)?;
    list.pem().map_err(sign_error)
}

/// Writes the deny-list: a serial number a line, with who it was and why.
pub(crate) fn deny_list(revoked: &[RevokedRecord]) -> String {
    let mut text = format!("{DENY_LIST_HEADER}\n");
    for record in revoked {
        let (when, reason) = (Timestamp(record.revoked_at), record.reason);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}  # {} {when} {reason}", record.serial, record.name);
    }
    text
}

/// The first line of a deny-list that may be replaced: one without it was written by hand, and
/// may hold what no authority knows.
pub(crate) const DENY_LIST_HEADER: &str = "# Written by `spice cluster tls revoke`; what is added by hand is lost with the next revocation.";

fn code(reason: RevocationReason) -> Option<rcgen::RevocationReason> {
    // "Unspecified" is said by leaving the reason out (RFC 5280, section 5.3.1).
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(rcgen::RevocationReason::KeyCompromise),
        RevocationReason::AffiliationChanged => Some(rcgen::RevocationReason::AffiliationChanged),
        RevocationReason::Superseded => Some(rcgen::RevocationReason::Superseded),
        RevocationReason::CessationOfOperation => {
            Some(rcgen::RevocationReason::CessationOfOperation)
        }
        RevocationReason::PrivilegeWithdrawn => Some(rcgen::RevocationReason::PrivilegeWithdrawn),
    }
}

/// The octets of a serial number of ours: hexadecimal digits, two for each.
fn serial(digits: &str) -> SerialNumber {
    let octets: Vec<u8> = (0..digits.len())
        .step_by(2)
        .filter_map(|at| digits.get(at..at + 2))
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect();
    SerialNumber::from_slice(&octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(serial: &str) -> RevokedRecord {
        let line = format!(
            r#"{{"name":"n1","serial":"{serial}","generation":1,"reason":"key-compromise",
                "revoked_at_unix_s":951782400}}"#
        );
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_deny_list_says_who_when_and_why() {
        let text = deny_list(&[record("4f00")]);
        let (header, line) = text.split_once('\n').unwrap();
        assert_eq!(header, DENY_LIST_HEADER);
        assert_eq!(line, "4f00  # n1 2000-02-29T00:00:00Z key-compromise\n");
    }

    #[test]
    fn a_serial_number_keeps_its_octets() {
        assert_eq!(serial("4f00a1").to_bytes(), [0x4f, 0x00, 0xa1]);
    }
}
