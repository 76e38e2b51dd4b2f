//! What a node would object to in a certificate at first sight.
//!
//! `verify` and `connect` run the code of nodes and say what a node does say; this is for a look
//! at a certificate alone, without roots and without its key.

use cluster_tls::{Name, Role};
use x509_parser::certificate::X509Certificate;

use crate::inspect::certificate::CertificateReport;
use crate::inspect::validity::ValidityStatus;

/// Every objection, the gravest first.
pub(super) fn of(report: &CertificateReport, parsed: &X509Certificate<'_>) -> Vec<String> {
    let mut objections = Vec::new();
    if report.is_authority {
        authority(report, &mut objections);
    } else {
        leaf(report, parsed, &mut objections);
    }
    let names_itself = parsed.issuer().as_raw() == parsed.subject().as_raw();
    if names_itself && !report.is_self_signed {
        let text =
            "it names itself as its issuer, and its key did not sign it in a way nodes believe";
        objections.push(text.to_owned());
    }
    if let Some(weakness) = &report.public_key.weakness {
        objections.push(format!("it holds {weakness}"));
    }
    let validity = &report.validity;
    match validity.status {
        ValidityStatus::Expired => objections.push(format!("it expired at {}", validity.not_after)),
        ValidityStatus::NotYetValid => {
            objections.push(format!("it is valid from {} on", validity.not_before));
        }
        ValidityStatus::Valid => {}
    }
    objections
}

/// The role that an identity URI gives: `spiffe://<trust domain>/<role>/<name>`.
pub(super) fn role(uris: &[String]) -> Option<Role> {
    let [uri] = uris else { return None };
    let mut parts = uri.strip_prefix("spiffe://")?.split('/');
    let (domain, role, name) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none();
    let plain = |text: &str| {
        let legal = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
        !text.is_empty() && !matches!(text, "." | "..") && text.bytes().all(legal)
    };
    let is_lower = !domain.bytes().any(|octet| octet.is_ascii_uppercase());
    let role = role.parse().ok().filter(|role| *role != Role::Unspecified);
    role.filter(|_| is_whole && is_lower && plain(domain) && plain(name))
}

/// An authority is what roots are; one that looks like a node's certificate is a mistake.
fn authority(report: &CertificateReport, objections: &mut Vec<String>) {
    let has_names = !(report.dns_names.is_empty() && report.ip_addresses.is_empty());
    if has_names || !report.extended_key_usages.is_empty() {
        let text = "it may sign certificates, which a node's own must not";
        objections.push(text.to_owned());
    }
}

fn leaf(report: &CertificateReport, parsed: &X509Certificate<'_>, objections: &mut Vec<String>) {
    let mut object = |text: &str| objections.push(text.to_owned());
    if report.is_self_signed {
        object("it is signed by its own key and by no authority");
    }
    for usage in ["keyCertSign", "cRLSign"] {
        if report.key_usages.contains(&usage) {
            object(&format!(
                "it has the key usage {usage}, which a node must not have"
            ));
        }
    }
    if !report.key_usages.is_empty() && !report.key_usages.contains(&"digitalSignature") {
        object("its key usage does not allow digital signatures");
    }
    for purpose in ["serverAuth", "clientAuth"] {
        if !report
            .extended_key_usages
            .iter()
            .any(|known| known == purpose)
        {
            object(&format!("the extended key usage {purpose} is missing"));
        }
    }
    names(report, objections);
    let validity = parsed.validity();
    let lifetime = validity.not_after.timestamp() - validity.not_before.timestamp();
    if lifetime > LEAF_LIFETIME_MAX_S {
        objections.push("it is valid for more than ten years".to_owned());
    }
}

fn names(report: &CertificateReport, objections: &mut Vec<String>) {
    let has_names = !(report.dns_names.is_empty() && report.ip_addresses.is_empty());
    if !has_names && report.uris.is_empty() {
        let text = "it has no DNS name, address or URI; common names are not looked at";
        objections.push(text.to_owned());
    }
    for text in &report.dns_names {
        match text.parse::<Name>() {
            Ok(Name::Dns(_)) => {}
            Ok(Name::Ip(_)) => {
                objections.push(format!("the address {text} is written as a DNS name"));
            }
            Err(error) => objections.push(format!("the DNS name {text}: {error}")),
        }
    }
    match report.uris.as_slice() {
        [] => {}
        [uri] if report.role.is_none() => objections.push(format!(
            "{uri} gives no role: it is not spiffe://DOMAIN/ROLE/NAME, and takes an identity rule"
        )),
        [_] => {}
        several => objections.push(format!("{} URIs, and an identity is one", several.len())),
    }
}

/// What nodes accept: ten years and a little clock skew.
const LEAF_LIFETIME_MAX_S: i64 = 3_660 * 86_400;
