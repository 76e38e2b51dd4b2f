//! Garbage and half-garbage: nothing that anybody can put into a file may panic, act on a
//! terminal, or show a secret.

use std::io::Cursor;
use std::time::SystemTime;

use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, KeyPair};

use crate::inspect::{Inspection, InspectionInput};
use crate::request::SigningRequest;

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Looks at it in every way there is, and returns what people and scripts would be shown.
fn shown(octets: &[u8]) -> String {
    let signing = SigningRequest::from_pem(octets);
    let input = InspectionInput::from_reader(Cursor::new(octets)).unwrap();
    match Inspection::of(&input, SystemTime::UNIX_EPOCH) {
        Ok(inspection) => format!(
            "{signing:?} {}",
            serde_json::to_string(&inspection).unwrap()
        ),
        Err(error) => format!("{signing:?} {error}"),
    }
}

fn is_harmless(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// One object of each kind, DER.
fn objects() -> Vec<Vec<u8>> {
    let key = KeyPair::generate().unwrap();
    let names = ["n1".to_owned(), "*.example".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "\u{1b}[2J");
    vec![
        params.self_signed(&key).unwrap().der().to_vec(),
        params.serialize_request(&key).unwrap().der().to_vec(),
        key.serialize_der(),
    ]
}

fn armoured(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

const LABELS: [&str; 7] = [
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "PRIVATE KEY",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "PUBLIC KEY",
    "X509 CRL",
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_octets_do_no_harm(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(is_harmless(&shown(&octets)));
        for label in LABELS {
            prop_assert!(is_harmless(&shown(armoured(label, &octets).as_bytes())));
        }
    }

    #[test]
    fn random_text_between_the_lines_of_pem_does_no_harm(text in "(-----BEGIN |-----END |A|\n|-----|:|\u{1b}|é){0,40}") {
        prop_assert!(is_harmless(&shown(text.as_bytes())));
    }

    #[test]
    fn changed_objects_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        for mut der in objects() {
            for (position, octet) in &changes {
                let position = position.index(der.len());
                der[position] = *octet;
            }
            let cut = &der[..end.index(der.len())];
            for octets in [&der[..], cut] {
                prop_assert!(is_harmless(&shown(octets)));
                for label in LABELS {
                    prop_assert!(is_harmless(&shown(armoured(label, octets).as_bytes())));
                }
            }
        }
    }

    #[test]
    fn no_secret_of_a_key_is_ever_shown(seed: [u8; 32]) {
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend(seed);
        let shown = shown(&der).to_lowercase();
        prop_assert!(shown.contains("ed25519"));
        prop_assert!(!shown.contains(&crate::mint::hex(&seed[..8])));
    }
}
