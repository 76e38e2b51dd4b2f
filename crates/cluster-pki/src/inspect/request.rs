//! Certificate requests.

use cluster_tls::Name;
use serde::Serialize;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::name::Host;
use crate::public_key::PublicKeySummary;
use crate::request::{Contents, RefusedName, SigningRequest, own_signature};
use crate::signature::Verdict;
use crate::text::{distinguished_name, object_name};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestReport {
    /// The subject it asks for; only a node's name is taken from it.
    pub subject: String,
    /// The node's name, as signing it would take it.
    pub name: Option<String>,
    /// The DNS names that may be certified.
    pub dns_names: Vec<String>,
    /// The addresses that may be certified.
    pub ip_addresses: Vec<String>,
    /// The names that will not be.
    pub refused: Vec<RefusedName>,
    /// Whatever else it asks for, which is ignored.
    pub ignored: Vec<String>,
    /// Its key.
    pub public_key: PublicKeySummary,
    /// With what it was signed.
    pub signature_algorithm: String,
    /// Whether it was signed with that key.
    pub is_self_signed: bool,
    /// Why it would not be signed.
    pub objections: Vec<String>,
}

impl RequestReport {
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let Ok(([], parsed)) = X509CertificationRequest::from_der(der) else {
            return None;
        };
        let info = &parsed.certification_request_info;
        let contents = Contents::read(info);
        let signature = own_signature(&parsed);
        let is_dns = |name: &&Name| matches!(name, Name::Dns(_));
        let names = contents.names.iter().map(Host::name);
        let (dns_names, ip_addresses): (Vec<_>, Vec<_>) = names.partition(is_dns);
        let texts = |names: Vec<&Name>| names.into_iter().map(Name::to_string).collect();
        let mut report = Self {
            subject: distinguished_name(&info.subject),
            name: contents.suggestion().map(String::from),
            dns_names: texts(dns_names),
            ip_addresses: texts(ip_addresses),
            public_key: PublicKeySummary::read(&info.subject_pki),
            signature_algorithm: object_name(&parsed.signature_algorithm.algorithm),
            is_self_signed: signature == Verdict::Genuine,
            objections: Vec::new(),
            refused: Vec::new(),
            ignored: Vec::new(),
        };
        report.objections = objections(&report, &contents, signature);
        report.refused = contents.refused;
        report.ignored = contents.ignored;
        Some(report)
    }
}

fn objections(report: &RequestReport, contents: &Contents, signature: Verdict) -> Vec<String> {
    let mut objections = Vec::new();
    match (&report.public_key.weakness, signature) {
        (Some(weakness), _) => objections.push(format!("it holds {weakness}")),
        (None, Verdict::Genuine) => {}
        (None, Verdict::Forged) => {
            objections.push("it is not signed with the key that it holds".to_owned());
        }
        (None, Verdict::Unsupported) => objections.push(format!(
            "it is signed by way of {}, which nodes do not believe",
            report.signature_algorithm
        )),
    }
    if contents.is_damaged {
        objections.push("what it asks for cannot be read".to_owned());
    }
    if contents.count > SigningRequest::NAMES_LIMIT {
        let (count, limit) = (contents.count, SigningRequest::NAMES_LIMIT);
        objections.push(format!(
            "it asks for {count} names, at most {limit} are allowed"
        ));
    }
    objections
}
