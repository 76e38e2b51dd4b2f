//! Revocation lists and deny-lists.

use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use cluster_tls::{CredentialPaths, FileSource, PeerPolicy, SystemClock};
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use serde_json::json;
use time::OffsetDateTime;

use super::{day, look, root, section, sections};
use crate::authority::{Authority, InitRequest, LeafRequest};

fn revocation_list(next_update: OffsetDateTime) -> String {
    let revoked = |serial: u8, reason_code| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&[serial]),
        revocation_time: day(-1),
        reason_code,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: day(-1),
        next_update,
        crl_number: SerialNumber::from_slice(&[0x01, 0x00]),
        issuing_distribution_point: None,
        revoked_certs: vec![
            revoked(0x5f, Some(RevocationReason::KeyCompromise)),
            revoked(0x60, None),
        ],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&root().1).unwrap().pem().unwrap()
}

#[test]
fn a_revocation_list_names_its_entries_and_its_signer() {
    let text = revocation_list(day(1)) + &root().0.pem();
    let found = sections(text.as_bytes()).remove(0);
    let expected = json!({
        "position": 1,
        "label": "X509 CRL",
        "kind": "revocation_list",
        "issuer": "CN=root",
        "number": "256",
        "this_update": "2027-01-14T08:00:00Z",
        "next_update": "2027-01-16T08:00:00Z",
        "signature_algorithm": "ed25519",
        "entries": [
            {"serial": "5f", "revoked_at": "2027-01-14T08:00:00Z", "reason": "keyCompromise"},
            {"serial": "60", "revoked_at": "2027-01-14T08:00:00Z", "reason": null},
        ],
        "objections": [],
        "signed_by": 2,
        "key_of": [],
    });
    assert_eq!(found, expected);
    let late = section(revocation_list(day(0) - time::Duration::SECOND).as_bytes());
    assert_eq!(
        late["objections"],
        json!(["it is out of date since 2027-01-15T07:59:59Z"])
    );
}

#[test]
fn deny_lists_are_read_as_nodes_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let pki = dir.path().join("pki");
    let mut authority = Authority::init(&pki, &InitRequest::default(), now).unwrap();
    let request = LeafRequest::new("n1".parse().unwrap(), dir.path());
    let files = authority.issue(&request, now).unwrap().files;
    let path = dir.path().join("denied");
    let node_takes = |text: &str| {
        fs::write(&path, text).unwrap();
        let paths = CredentialPaths {
            ca: files.ca.clone(),
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        };
        let mut source = FileSource::new(paths).with_deny_list(&path);
        cluster_tls::load_from(&mut source, Arc::new(SystemClock), PeerPolicy::default()).is_ok()
    };
    let (long, fingerprint) = ("7f".repeat(20), "AB".repeat(32));
    for (text, shown) in [
        ("5F:3A", "5f3a"),
        ("0x5f3a  # executor7", "5f3a"),
        ("\n\n1\r\n", "01"),
        ("0", "00"),
        (long.as_str(), long.as_str()),
        (fingerprint.as_str(), &fingerprint.to_lowercase()),
    ] {
        assert!(node_takes(text), "{text}");
        assert_eq!(section(text.as_bytes())["entries"][0]["value"], shown);
    }
    let (negative, longer) = ("ff".repeat(20), "7f".repeat(21));
    for text in ["executor7", "5f3g", &negative, &longer, "\u{feff}5f3a"] {
        assert!(!node_takes(text), "{text}");
        assert!(look(text.as_bytes()).is_err(), "{text}");
    }
    assert!(node_takes("# nobody yet\n"));
    assert_eq!(section(b"# nobody yet\n")["entries"], json!([]));
}
