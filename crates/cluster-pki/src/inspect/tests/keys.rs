//! Keys, in the clear and not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{KeyPair, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256, PublicKeyData};
use serde_json::{Value, json};

use super::{fixed_key, look, now, root, section};
use crate::inspect::{InspectError, Inspection, InspectionInput, key, shape};

#[test]
fn keys_of_every_kind_and_encoding_show_their_public_half_and_nothing_else() {
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let (p256, p521) = (
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap(),
    );
    let unwrapped = |key: &KeyPair| {
        let parts = key.serialize_der();
        shape::parts(&parts).unwrap()[2].value().to_vec()
    };
    let table = [
        (
            fixed_key(2).serialize_der(),
            "pkcs8",
            "ed25519",
            &fixed_key(2),
        ),
        (p256.serialize_der(), "pkcs8", "p256", &p256),
        (p521.serialize_der(), "pkcs8", "p521", &p521),
        (rsa.serialize_der(), "pkcs8", "rsa", &rsa),
        (unwrapped(&rsa), "pkcs1", "rsa", &rsa),
        (unwrapped(&p256), "sec1", "p256", &p256),
    ];
    for (der, encoding, kind, key) in table {
        let found = section(&der);
        let public = key::read_public(&key.subject_public_key_info()).unwrap();
        let expected = json!({
            "position": 1,
            "label": null,
            "kind": "private_key",
            "encoding": encoding,
            "encrypted": false,
            "public_key": {
                "type": kind,
                "bits": public.bits,
                "sha256": public.sha256,
                "weakness": null,
            },
            "unknown_algorithm": null,
            "signed_by": null,
            "key_of": [],
        });
        assert_eq!(found, expected, "{encoding} {kind}");
    }
}

#[test]
fn keys_that_nodes_do_not_take_are_named() {
    // RSA of 128 bits as PKCS#1, and X25519 as PKCS#8; neither is anybody's.
    let number = |length: u8| [&[2, length][..], &vec![0x41; usize::from(length)]].concat();
    let mut rsa = vec![2, 1, 0];
    rsa.extend(number(16));
    rsa.extend([2, 3, 1, 0, 1]);
    (0..6).for_each(|_| rsa.extend(number(8)));
    let rsa = [&[0x30, u8::try_from(rsa.len()).unwrap()][..], &rsa].concat();
    let found = section(&rsa);
    assert_eq!(found["public_key"]["weakness"], "an RSA key of 127 bits");
    let mut x25519 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20".to_vec();
    x25519.extend([7; 32]);
    let found = section(&x25519);
    assert_eq!(found["public_key"], Value::Null);
    assert_eq!(found["unknown_algorithm"], "1.3.101.110");
}

#[test]
fn an_encrypted_key_shows_as_encrypted() {
    let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0\n\n\
               AAAA\n-----END EC PRIVATE KEY-----\n";
    let found = section(old.as_bytes());
    assert_eq!(
        (&found["encrypted"], &found["encoding"]),
        (&json!(true), &json!("rfc1421"))
    );
    // PBES2 without parameters around one octet.
    let der = b"\x30\x10\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d\x04\x01\x00";
    let found = section(der);
    assert_eq!(
        (&found["kind"], &found["encrypted"]),
        (&json!("private_key"), &json!(true))
    );
    assert_eq!(found["public_key"], Value::Null);
}

#[test]
fn a_pkcs12_store_is_recognized() {
    let der = b"\x30\x10\x02\x01\x03\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    assert_eq!(section(der)["kind"], "pkcs12");
    let mut other = *der;
    other[4] = 2;
    assert!(matches!(look(&other), Err(InspectError::Unknown)));
}

#[test]
fn only_a_key_in_the_clear_is_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let warnings = |text: &str, mode| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let input = InspectionInput::read(&path).unwrap();
        Inspection::of(&input, now()).unwrap().warnings
    };
    let key = fixed_key(2).serialize_pem();
    assert_eq!(warnings(&key, 0o600), [""; 0]);
    assert!(warnings(&key, 0o640)[0].starts_with("its mode is 0640: the group"));
    assert!(warnings(&key, 0o644)[0].contains("nodes refuse it"));
    assert_eq!(warnings(&root().0.pem(), 0o644), [""; 0]);
}
