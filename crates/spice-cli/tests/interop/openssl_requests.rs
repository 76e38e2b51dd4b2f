//! Requests from OpenSSL to us and back.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fixture::{Home, REFUSED};
use crate::tool::{done, tls, tool};

#[test]
fn openssl_verifies_our_requests_of_every_key_type() {
    let home = Home::new();
    for key_type in ["p256", "p384", "ed25519"] {
        done(
            &home,
            &format!("csr n1 --key-type {key_type} --host 10.0.0.7 --force"),
        );
        let command = "openssl req -in n1.csr -verify -noout -text";
        let text = tool(&home.work(), command).accepted();
        assert!(text.contains("verify OK"), "{text}");
        for part in ["CN = n1", "DNS:n1.cluster.local", "IP Address:10.0.0.7"] {
            assert!(
                text.replace("CN=", "CN = ").contains(part),
                "{part}: {text}"
            );
        }
        let public = |command: &str| tool(&home.work(), command).accepted();
        assert_eq!(
            public("openssl req -in n1.csr -noout -pubkey"),
            public("openssl pkey -in n1-key.pem -pubout"),
        );
        spoil(&home.work().join("n1.csr"));
        // The exit code does not say it in every version.
        let said = tool(&home.work(), command).said();
        assert!(!said.contains("verify OK"), "{said}");
    }
}

#[test]
fn requests_by_openssl_are_signed_for_keys_that_nodes_accept() {
    let home = Home::with_authority();
    for key in GOOD_KEYS {
        request(&home, key);
        done(&home, "sign n1.csr --yes --force --role executor");
        for purpose in ["sslserver", "sslclient"] {
            let verify =
                format!("openssl verify -x509_strict -CAfile ca.pem -purpose {purpose} n1.pem");
            tool(&home.work(), &verify).accepted();
        }
        let public = |command: &str| tool(&home.work(), command).accepted();
        assert_eq!(
            public("openssl x509 -in n1.pem -noout -pubkey"),
            public("openssl pkey -in n1-key.pem -pubout"),
        );
        done(
            &home,
            "verify --cert n1.pem --key n1-key.pem --role executor --host n1.example",
        );
    }
    for key in BAD_KEYS {
        request(&home, key);
        let ended = tls(&home, "sign n1.csr --yes --force").expect(REFUSED);
        assert!(ended.stderr.contains("which nodes refuse"), "{ended:?}");
    }
}

#[test]
fn a_request_by_openssl_that_was_changed_on_its_way_is_refused() {
    let home = Home::with_authority();
    request(&home, GOOD_KEYS[0]);
    spoil(&home.work().join("n1.csr"));
    let ended = tls(&home, "sign n1.csr --yes").expect(REFUSED);
    assert!(
        ended.next().contains("ask the node for a new one"),
        "{ended:?}"
    );
    request(&home, GOOD_KEYS[0]);
    done(&home, "sign n1.csr --yes");
}

#[test]
fn what_openssl_asks_for_beyond_names_is_not_certified() {
    let home = Home::with_authority();
    let asked = format!(
        "{} -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign",
        GOOD_KEYS[0]
    );
    request(&home, &asked);
    let text = tool(&home.work(), "openssl req -in n1.csr -noout -text").accepted();
    assert!(text.contains("CA:TRUE"), "{text}");
    done(&home, "sign n1.csr --yes");
    let text = tool(&home.work(), "openssl x509 -in n1.pem -noout -text").accepted();
    assert!(
        text.contains("CA:FALSE") && !text.contains("CA:TRUE"),
        "{text}"
    );
    assert!(!text.contains("Certificate Sign"), "{text}");
}

/// Writes `n1.csr` and `n1-key.pem`.
fn request(home: &Home, key: &str) {
    let command = format!(
        "openssl req -new -newkey {key} -nodes -keyout n1-key.pem -out n1.csr -subj /CN=n1 \
         -addext subjectAltName=DNS:n1,DNS:n1.example,IP:10.0.0.7"
    );
    tool(&home.work(), &command).accepted();
}

/// Turns over the last bit, which is the signature's.
fn spoil(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("--"))
        .collect();
    let mut der = STANDARD.decode(body).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let label = "CERTIFICATE REQUEST-----\n";
    let text = format!("-----BEGIN {label}{}\n-----END {label}", lines.join("\n"));
    fs::write(path, text).unwrap();
}

const GOOD_KEYS: [&str; 5] = [
    "ec -pkeyopt ec_paramgen_curve:P-256",
    "ec -pkeyopt ec_paramgen_curve:P-384",
    "ed25519",
    "rsa:2048",
    "rsa:3072",
];

const BAD_KEYS: [&str; 3] = [
    "rsa:1024",
    "ec -pkeyopt ec_paramgen_curve:secp256k1",
    "ed448",
];
