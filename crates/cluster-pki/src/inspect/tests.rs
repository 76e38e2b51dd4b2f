//! Everything that can be in a file, made in the test, and looked at.

mod keys;
mod lists;

use std::io::Cursor;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;

const NOW_S: u64 = 1_800_000_000;
const DAY_S: i64 = 86_400;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_S)
}

/// Noon of the day that is so many days from now.
fn day(days: i64) -> OffsetDateTime {
    let seconds = i64::try_from(NOW_S).unwrap() + days * DAY_S;
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn look(octets: &[u8]) -> Result<Inspection, InspectError> {
    let input = InspectionInput::from_reader(Cursor::new(octets)).unwrap();
    Inspection::of(&input, now())
}

fn sections(octets: &[u8]) -> Vec<Value> {
    let inspection = serde_json::to_value(look(octets).unwrap()).unwrap();
    inspection["sections"].as_array().unwrap().clone()
}

fn section(octets: &[u8]) -> Value {
    let [only] = <[Value; 1]>::try_from(sections(octets)).unwrap();
    only
}

/// An Ed25519 key whose secret is one octet 32 times, so that what it signs is always the same.
fn fixed_key(octet: u8) -> KeyPair {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([octet; 32]);
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(der)).unwrap()
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let subject = &mut params.distinguished_name;
    subject.push(DnType::OrganizationName, "cluster.local");
    subject.push(DnType::CommonName, "executor1");
    params.not_before = day(-1);
    params.not_after = day(364);
    params.serial_number = Some(SerialNumber::from_slice(&[0x5f, 0x3a]));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.subject_alt_names = vec![
        SanType::DnsName("executor1".try_into().unwrap()),
        SanType::IpAddress([10, 0, 0, 7].into()),
        SanType::URI(
            "spiffe://cluster.local/executor/executor1"
                .try_into()
                .unwrap(),
        ),
    ];
    params
}

fn root() -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = day(-2);
    params.not_after = day(3000);
    let certificate = params.self_signed(&fixed_key(1)).unwrap();
    (certificate, Issuer::new(params, fixed_key(1)))
}

fn leaf(params: &CertificateParams) -> rcgen::Certificate {
    params.signed_by(&fixed_key(2), &root().1).unwrap()
}

fn objections(params: &CertificateParams) -> Vec<String> {
    let found = section(leaf(params).pem().as_bytes());
    let objections = found["objections"].as_array().unwrap();
    let texts = objections.iter().map(|text| text.as_str().unwrap());
    texts.map(str::to_owned).collect()
}

#[test]
fn a_certificate_is_shown_whole_with_stable_keys() {
    let found = section(leaf(&leaf_params()).der());
    let expected = json!({
        "position": 1,
        "label": null,
        "kind": "certificate",
        "subject": "O=cluster.local, CN=executor1",
        "issuer": "CN=root",
        "serial": "5f3a",
        "fingerprint_sha256": "508f4e147b6dc6813ba40ffa390602cb0b737464b195114cfcb4eb1b02956972",
        "not_before": "2027-01-14T08:00:00Z",
        "not_after": "2028-01-14T08:00:00Z",
        "status": "valid",
        "expires_in_days": 364,
        "is_authority": false,
        "is_self_signed": false,
        "role": "executor",
        "uris": ["spiffe://cluster.local/executor/executor1"],
        "dns_names": ["executor1"],
        "ip_addresses": ["10.0.0.7"],
        "other_names": [],
        "public_key": {
            "type": "ed25519",
            "bits": 256,
            "sha256": "47dea58ea00fae9417ee19d76755bfef690899021132effb04fe1f9e4f0c8059",
            "weakness": null,
        },
        "signature_algorithm": "ed25519",
        "key_usages": ["digitalSignature"],
        "extended_key_usages": ["serverAuth", "clientAuth"],
        "objections": [],
        "signed_by": null,
        "key_of": [],
    });
    assert_eq!(found, expected);
}

#[test]
fn what_nodes_refuse_is_objected_to_and_the_rest_is_not() {
    assert_eq!(objections(&leaf_params()), [""; 0]);
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    type Change = fn(&mut CertificateParams);
    let table: [(Change, &str); 8] = [
        (
            |it| it.subject_alt_names.clear(),
            "no DNS name, address or URI",
        ),
        (
            |it| it.not_after = day(-3),
            "it expired at 2027-01-12T08:00:00Z",
        ),
        (
            |it| it.not_before = day(1),
            "it is valid from 2027-01-16T08:00:00Z on",
        ),
        (|it| it.not_after = day(3700), "more than ten years"),
        (
            |it| it.key_usages.push(KeyUsagePurpose::KeyCertSign),
            "keyCertSign",
        ),
        (
            |it| it.key_usages = vec![KeyUsagePurpose::KeyAgreement],
            "digital signatures",
        ),
        (
            |it| drop(it.extended_key_usages.pop()),
            "clientAuth is missing",
        ),
        (
            |it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            "may sign certificates",
        ),
    ];
    for (change, objection) in table {
        let mut params = leaf_params();
        change(&mut params);
        let found = objections(&params);
        assert_eq!(found.len(), 1, "{objection}: {found:?}");
        assert!(found[0].contains(objection), "{objection}: {found:?}");
    }
    for (name, objection) in [
        (dns("*.example"), "a wildcard names no single node"),
        (dns("10.0.0.1"), "is written as a DNS name"),
        (uri("spiffe://a/executor/b"), "2 URIs"),
    ] {
        let mut params = leaf_params();
        params.subject_alt_names.push(name);
        assert!(objections(&params)[0].contains(objection), "{objection}");
    }
    let mut params = leaf_params();
    params.subject_alt_names = vec![uri("spiffe://a/executor")];
    assert!(objections(&params)[0].contains("gives no role"));
    let own = leaf_params().self_signed(&fixed_key(2)).unwrap();
    let found = section(own.der());
    assert_eq!(
        found["objections"][0],
        "it is signed by its own key and by no authority"
    );
    assert_eq!(found["signed_by"], 1);
}

#[test]
fn a_bundle_tells_what_belongs_together() {
    let (root, _) = root();
    let text = [
        leaf(&leaf_params()).pem(),
        fixed_key(2).serialize_pem(),
        root.pem(),
        fixed_key(3).serialize_pem(),
        fixed_key(2).public_key_pem(),
    ]
    .concat();
    let found = sections(text.as_bytes());
    let links: Vec<_> = found
        .iter()
        .map(|section| {
            let kind = section["kind"].as_str().unwrap();
            (
                kind,
                section["signed_by"].clone(),
                section["key_of"].clone(),
            )
        })
        .collect();
    let expected = [
        ("certificate", json!(3), json!([])),
        ("private_key", json!(null), json!([1])),
        ("certificate", json!(3), json!([])),
        ("private_key", json!(null), json!([])),
        ("public_key", json!(null), json!([])),
    ];
    assert_eq!(links, expected);
    assert_eq!(found[2]["is_authority"], true);
    assert_eq!(found[2]["is_self_signed"], true);
    assert_eq!(found[2]["objections"], json!([]));
}

#[test]
fn an_authority_of_the_same_name_with_another_key_has_not_signed() {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let namesake = params.self_signed(&fixed_key(9)).unwrap();
    let text = leaf(&leaf_params()).pem() + &namesake.pem();
    assert_eq!(sections(text.as_bytes())[0]["signed_by"], Value::Null);
}

#[test]
fn a_request_shows_what_would_be_signed_and_what_would_not() {
    let mut params = leaf_params();
    params.serial_number = None;
    let request = params.serialize_request(&fixed_key(2)).unwrap();
    let found = section(request.pem().unwrap().as_bytes());
    assert_eq!(found["kind"], "request");
    assert_eq!(found["name"], "executor1");
    assert_eq!(found["dns_names"], json!(["executor1"]));
    assert_eq!(found["ip_addresses"], json!(["10.0.0.7"]));
    assert_eq!(found["refused"][0]["kind"], "URI");
    assert_eq!(found["ignored"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&found["is_self_signed"], &found["objections"]),
        (&json!(true), &json!([]))
    );
    let mut forged = request.der().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let found = section(&forged);
    assert_eq!(found["is_self_signed"], false);
    let objection = "it is not signed with the key that it holds";
    assert_eq!(found["objections"], json!([objection]));
}

#[test]
fn a_file_that_is_nothing_known_is_refused() {
    let with_trailing = [leaf(&leaf_params()).der().as_ref(), &[0]].concat();
    for (octets, expected) in [
        (&b""[..], "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"hello\n", "is no certificate, key"),
        (b"\x30\x03\x02\x01\x07", "is no certificate, key"),
        (b"\xff\xfe", "is no certificate, key"),
        (&with_trailing, "is no certificate, key"),
        (b"5f3a\nexecutor7\n", "line 2 of the deny-list"),
    ] {
        let error = look(octets).unwrap_err();
        assert!(error.to_string().contains(expected), "{octets:?}: {error}");
    }
    let large = vec![b' '; InspectionInput::SIZE_LIMIT_BYTES + 1];
    let input = InspectionInput::from_reader(Cursor::new(large));
    assert!(matches!(input, Err(InspectError::TooLarge)));
}

#[test]
fn a_damaged_section_does_not_hide_the_others() {
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n\
                   -----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n";
    let text = damaged.to_owned() + &root().0.pem();
    let found = sections(text.as_bytes());
    let kinds: Vec<_> = found.iter().map(|section| &section["kind"]).collect();
    assert_eq!(kinds, ["damaged", "unknown", "certificate"]);
}
