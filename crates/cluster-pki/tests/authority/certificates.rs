//! What the certificates say, read by another parser than the one that wrote them.

use std::time::{Duration, SystemTime};

use cluster_pki::{Authority, Days, InitRequest, KeyType, Localhost, Warning};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::fixture::{Fixture, der, now};

fn root_der(authority: &Authority) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(authority.ca_pem().as_bytes()).unwrap()
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    certificate
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Vec<u8>, Vec<u8>) {
    let mut ids = (Vec::new(), Vec::new());
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => ids.0 = id.0.to_vec(),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                ids.1 = id.key_identifier.as_ref().unwrap().0.to_vec();
            }
            _ => {}
        }
    }
    ids
}

#[test]
fn the_root_may_sign_leaves_and_revocation_lists_only() {
    let authority = Fixture::new().init();
    let der = root_der(&authority);
    let root = parse(&der);
    let constraints = root.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = root.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(
        usage.value.flags,
        (1 << 5) | (1 << 6),
        "keyCertSign, cRLSign"
    );
    assert!(root.subject_alternative_name().unwrap().is_none());
    assert!(root.extended_key_usage().unwrap().is_none());
    let (subject, authority_id) = key_ids(&root);
    assert!(!subject.is_empty() && subject == authority_id);
}

#[test]
fn the_root_lasts_ten_years_from_five_minutes_ago() {
    let authority = Fixture::new().init();
    let der = root_der(&authority);
    let validity = parse(&der).validity().clone();
    assert_eq!(validity.not_before.timestamp(), seconds(now()) - 300);
    assert_eq!(
        validity.not_after.timestamp(),
        seconds(now()) + 3650 * 86_400
    );
    assert_eq!(
        authority.not_after(),
        now() + Days::AUTHORITY_DEFAULT.duration()
    );
}

#[test]
fn two_roots_made_in_one_moment_have_different_subjects() {
    let (first, second) = (Fixture::new().init(), Fixture::new().init());
    for authority in [&first, &second] {
        assert!(authority.subject().contains("cluster.local"));
        assert!(authority.subject().contains("CA 1 2030-03-17"));
    }
    assert_ne!(first.subject(), second.subject());
}

#[test]
fn the_leaf_authenticates_both_sides_and_signs_nothing() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let issued = authority
        .issue(&fixture.request("executor1"), now())
        .unwrap();
    let der = der(&issued.files.certificate);
    let leaf = parse(&der);
    let constraints = leaf.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && !constraints.value.ca);
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 1, "digitalSignature");
    let purposes = leaf.extended_key_usage().unwrap().unwrap();
    assert!(purposes.value.server_auth && purposes.value.client_auth);
    assert!(!purposes.value.any && purposes.value.other.is_empty());
    let root_der = root_der(&authority);
    let root = parse(&root_der);
    assert_eq!(leaf.issuer(), root.subject());
    assert_eq!(key_ids(&leaf).1, key_ids(&root).0);
    assert_ne!(key_ids(&leaf).0, key_ids(&root).0);
}

#[test]
fn the_leaf_names_the_node_once_in_every_form() {
    let fixture = Fixture::new();
    let mut request = fixture.request("executor1");
    request.hosts = vec!["10.0.0.7".parse().unwrap(), "e.example".parse().unwrap()];
    request.localhost = Localhost::Omitted;
    let issued = fixture.init().issue(&request, now()).unwrap();
    let der = der(&issued.files.certificate);
    let leaf = parse(&der);
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let expected = [
        GeneralName::DNSName("executor1"),
        GeneralName::DNSName("executor1.cluster.local"),
        GeneralName::IPAddress(&[10, 0, 0, 7]),
        GeneralName::DNSName("e.example"),
        GeneralName::URI("spiffe://cluster.local/executor/executor1"),
    ];
    assert_eq!(names.value.general_names, expected);
}

#[test]
fn the_record_says_what_the_certificate_says() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let issued = authority.issue(&fixture.request("n1"), now()).unwrap();
    let der = der(&issued.files.certificate);
    let leaf = parse(&der);
    let record = &issued.record;
    let serial: String = leaf
        .raw_serial()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(record.serial, serial);
    assert_eq!(
        (leaf.raw_serial().len(), leaf.raw_serial()[0] & 0x80),
        (20, 0)
    );
    assert_eq!(
        seconds(record.not_before),
        leaf.validity().not_before.timestamp()
    );
    assert_eq!(
        seconds(record.not_after),
        leaf.validity().not_after.timestamp()
    );
    assert_eq!(authority.issued(), std::slice::from_ref(record));
}

#[test]
fn a_leaf_lasts_a_year_and_never_longer_than_its_root() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let year = authority.issue(&fixture.request("n1"), now()).unwrap();
    assert_eq!(year.record.not_after, now() + Days::LEAF_DEFAULT.duration());
    let mut request = fixture.request("n2");
    request.days = Days::AUTHORITY_DEFAULT;
    let later = now() + Duration::from_secs(1);
    let longest = authority.issue(&request, later).unwrap();
    assert_eq!(longest.record.not_after, authority.not_after());
    assert!(matches!(
        longest.warnings[..],
        [Warning::EndsWithAuthority { .. }]
    ));
}

#[test]
fn every_key_type_signs_and_is_used_for_leaves() {
    let table = [
        (KeyType::P256, "1.2.840.10045.4.3.2"),
        (KeyType::P384, "1.2.840.10045.4.3.3"),
        (KeyType::Ed25519, "1.3.101.112"),
    ];
    for (key_type, oid) in table {
        let fixture = Fixture::new();
        let request = InitRequest {
            key_type,
            ..InitRequest::default()
        };
        drop(Authority::init(&fixture.pki(), &request, now()).unwrap());
        let mut authority = Authority::open(&fixture.pki()).unwrap();
        let issued = authority.issue(&fixture.request("n1"), now()).unwrap();
        let (root, leaf) = (root_der(&authority), der(&issued.files.certificate));
        let (root, leaf) = (parse(&root), parse(&leaf));
        for certificate in [&root, &leaf] {
            let used = certificate.signature_algorithm.algorithm.to_id_string();
            assert_eq!(used, oid, "{key_type}");
        }
        assert_eq!(leaf.public_key().algorithm, root.public_key().algorithm);
    }
}
