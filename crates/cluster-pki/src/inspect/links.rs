//! What the things in one file have to do with each other: which key belongs to which
//! certificate, and which certificate signed which.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::inspect::certificate::is_signed_by;
use crate::inspect::{Found, InspectedContent, InspectedSection};
use crate::signature::Signature;

/// The sections with their links; nothing but what is public stays.
pub(super) fn sections(found: &[Found]) -> Vec<InspectedSection> {
    let certificates = certificates(found);
    let section = |(index, item): (usize, &Found)| InspectedSection {
        position: index + 1,
        label: item.label.clone(),
        content: item.content.clone(),
        signed_by: signer(item, &certificates),
        key_of: made_for(item, found),
    };
    found.iter().enumerate().map(section).collect()
}

type Positioned<'a> = (usize, X509Certificate<'a>);

fn certificates(found: &[Found]) -> Vec<Positioned<'_>> {
    let mut certificates = Vec::new();
    for (index, item) in found.iter().enumerate() {
        if matches!(item.content, InspectedContent::Certificate(_))
            && let Ok((_, parsed)) = X509Certificate::from_der(&item.der)
        {
            certificates.push((index + 1, parsed));
        }
    }
    certificates
}

fn signer(item: &Found, certificates: &[Positioned<'_>]) -> Option<usize> {
    match item.content {
        InspectedContent::Certificate(_) => {
            let (_, parsed) = X509Certificate::from_der(&item.der).ok()?;
            let issuer = parsed.issuer().as_raw();
            find(certificates, issuer, |authority| {
                is_signed_by(&parsed, authority)
            })
        }
        InspectedContent::RevocationList(_) => {
            let (_, parsed) = CertificateRevocationList::from_der(&item.der).ok()?;
            let signature = Signature {
                algorithm: &parsed.signature_algorithm,
                value: &parsed.signature_value,
                message: parsed.tbs_cert_list.as_ref(),
            };
            let issuer = parsed.issuer().as_raw();
            find(certificates, issuer, |authority| {
                signature.is_by(authority.public_key())
            })
        }
        _ => None,
    }
}

/// The first of the certificates with a subject that passes the test.
fn find(
    certificates: &[Positioned<'_>],
    subject: &[u8],
    is_signer: impl Fn(&X509Certificate<'_>) -> bool,
) -> Option<usize> {
    certificates
        .iter()
        .filter(|(_, certificate)| certificate.subject().as_raw() == subject)
        .take(NAMESAKES_MAX)
        .find(|(_, certificate)| is_signer(certificate))
        .map(|(position, _)| *position)
}

fn made_for(item: &Found, found: &[Found]) -> Vec<usize> {
    let InspectedContent::PrivateKey(key) = &item.content else {
        return Vec::new();
    };
    let Some(public) = &key.public_key else {
        return Vec::new();
    };
    let is_of_key = |(_, other): &(usize, &Found)| {
        let candidate = match &other.content {
            InspectedContent::Certificate(certificate) => &certificate.public_key,
            InspectedContent::Request(request) => &request.public_key,
            _ => return false,
        };
        candidate.sha256 == public.sha256
    };
    let positions = found.iter().enumerate().filter(is_of_key);
    positions.map(|(index, _)| index + 1).collect()
}

/// Roots of a rotation may share a subject; a file of a thousand namesakes is not to keep us
/// busy with a million signatures.
const NAMESAKES_MAX: usize = 8;
