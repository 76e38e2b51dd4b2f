//! Certificate revocation lists, and whether they cover every root.

use std::time::SystemTime;

use rustls_pki_types::CertificateRevocationListDer;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::{LoadFault, pem};
use crate::certificate::printable;
use crate::revocation::{RevocationList, RevocationListSummary, Revocations};
use crate::root::Root;
use crate::timestamp::{Timestamp, from_unix_seconds};

/// Reads every list of a file; one that does not parse is an error and never skipped.
pub(crate) fn read(text: &[u8]) -> Result<Revocations, LoadFault> {
    pem::expect_only(text, pem::Kind::RevocationList)?;
    let ders: Vec<CertificateRevocationListDer<'static>> = pem::decode(text)?;
    let lists = ders
        .iter()
        .map(list)
        .collect::<Result<Vec<_>, _>>()
        .map_err(LoadFault::BadRevocationList)?;
    if lists.is_empty() {
        return Err(LoadFault::Empty);
    }
    Ok(Revocations::new(lists))
}

fn list(der: &CertificateRevocationListDer<'_>) -> Result<RevocationList, String> {
    let (_, parsed) = CertificateRevocationList::from_der(der)
        .map_err(|_| "not an X.509 revocation list".to_owned())?;
    let next_update = parsed
        .next_update()
        .ok_or("it says no next update, and so never ends being believed")?;
    let owned =
        webpki::OwnedCertRevocationList::from_der(der).map_err(|error| format!("{error:?}"))?;
    Ok(RevocationList {
        list: owned.into(),
        summary: RevocationListSummary {
            issuer: printable(&parsed.issuer().to_string()),
            not_after: from_unix_seconds(next_update.timestamp()),
        },
        not_before: from_unix_seconds(parsed.last_update().timestamp()),
    })
}

/// Refuses lists that leave a root without a current one: every certificate of that root would be
/// refused for want of an answer, and the operator should know before the first connection does.
pub(super) fn must_cover(
    lists: &Revocations,
    roots: &[Root],
    now: SystemTime,
) -> Result<(), LoadFault> {
    for root in roots.iter().filter(|root| now <= root.summary.not_after) {
        let subject = root.summary.subject.clone();
        let newest = lists
            .newest_of(root.anchor.subject.as_ref())
            .map(|list| list.summary.not_after);
        match newest {
            None => return Err(LoadFault::RootWithoutList { subject }),
            Some(not_after) if not_after < now => {
                return Err(LoadFault::ExpiredList {
                    subject,
                    dates: format!(
                        "its next update was due at {}; the clock says {}",
                        Timestamp(not_after),
                        Timestamp(now)
                    ),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}
