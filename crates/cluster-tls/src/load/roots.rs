//! The roots of the cluster.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use super::error::Dates;
use super::{LoadFault, pem};
use crate::certificate::{Authority, Certificate};
use crate::root::Root;
use crate::timestamp::Timestamp;

/// Reads every root of a file; one that does not parse is an error and never skipped.
///
/// A bundle may hold roots that are outside their dates beside one that is not: that is how a
/// rotation looks late in its overlap. They count for nothing until their time comes. A bundle in
/// which no root counts is refused.
pub(super) fn read(text: &[u8], now: SystemTime) -> Result<Vec<Root>, LoadFault> {
    pem::expect_only(text, pem::Kind::Certificate)?;
    let ders: Vec<CertificateDer<'static>> = pem::decode(text)?;
    let roots = ders.iter().map(root).collect::<Result<Vec<_>, _>>()?;
    if roots.is_empty() {
        return Err(LoadFault::Empty);
    }
    if roots.iter().any(|root| root.is_valid_at(now)) {
        return Ok(roots);
    }
    let mut dates: Vec<_> = roots.iter().map(|root| dates(root).to_string()).collect();
    dates.push(format!("the clock says {}", Timestamp(now)));
    Err(LoadFault::NoCurrentRoot {
        dates: dates.join("; "),
    })
}

fn root(der: &CertificateDer<'static>) -> Result<Root, LoadFault> {
    let certificate = Certificate::parse(der).map_err(LoadFault::BadCertificate)?;
    may_issue(&certificate)?;
    if let Some(weakness) = certificate.public_key.weakness() {
        return Err(LoadFault::WeakRoot {
            subject: certificate.subject,
            weakness,
        });
    }
    Root::new(der, &certificate).map_err(|error| LoadFault::BadCertificate(format!("{error:?}")))
}

fn may_issue(certificate: &Certificate) -> Result<(), LoadFault> {
    let detail = if certificate.authority == Authority::EndEntity {
        "the CA flag is missing"
    } else if certificate
        .key_usage
        .is_some_and(|usage| !usage.sign_certificates)
    {
        "the key usage keyCertSign is missing"
    } else {
        return Ok(());
    };
    Err(LoadFault::RootNotAuthority {
        subject: certificate.subject.clone(),
        detail,
    })
}

fn dates(root: &Root) -> Dates<'_> {
    Dates {
        subject: &root.summary.subject,
        not_before: root.not_before,
        not_after: root.summary.not_after,
    }
}
