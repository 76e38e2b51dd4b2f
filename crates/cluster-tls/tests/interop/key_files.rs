//! Private keys in every form that OpenSSL and certtool write, plain and encrypted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cluster_tls::{CredentialFile, CredentialPaths};
use tempfile::TempDir;

use crate::certtool;
use crate::node::loaded;
use crate::openssl::{Authority, EXECUTOR, Leaf, P256};
use crate::tool::run;

const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";

/// A node of the authority in `place` whose key is of the kind `key`.
fn node(place: &Path, key: &'static str) -> CredentialPaths {
    Authority::new(place, "root").issue(Leaf { key, ..EXECUTOR })
}

/// What becomes of the node when `openssl` has written its key anew with `arguments`: the fault,
/// if there is one. The file must begin a section with `label`, or the case tests another form.
fn rewritten(
    place: &Path,
    paths: &CredentialPaths,
    arguments: &str,
    label: &str,
) -> Option<String> {
    let key = place.join("rewritten.pem");
    let from = paths.key.display();
    run(
        place,
        &format!("openssl {arguments} -in {from} -out rewritten.pem"),
    );
    must_hold(&key, label);
    fault(&CredentialPaths {
        key,
        ..paths.clone()
    })
}

fn must_hold(key: &Path, label: &str) {
    let text = fs::read_to_string(key).unwrap();
    let begin = format!("-----BEGIN {label}-----\n");
    assert!(text.contains(&begin), "no {label} in {}", key.display());
}

fn fault(paths: &CredentialPaths) -> Option<String> {
    fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o600)).unwrap();
    let error = loaded(paths).err()?;
    assert_eq!(error.file(), CredentialFile::Key, "{error}");
    Some(error.fault().code().to_owned())
}

#[test]
fn rsa_keys_are_read_as_pkcs8_and_as_pkcs1() {
    let place = TempDir::new().unwrap();
    let paths = node(place.path(), RSA);
    let written = |arguments, label| rewritten(place.path(), &paths, arguments, label);
    assert_eq!(written("pkcs8 -topk8 -nocrypt", "PRIVATE KEY"), None);
    assert_eq!(written("rsa -traditional", "RSA PRIVATE KEY"), None);
}

#[test]
fn elliptic_curve_keys_are_read_as_pkcs8_and_as_sec1() {
    let place = TempDir::new().unwrap();
    let paths = node(place.path(), P256);
    let written = |arguments, label| rewritten(place.path(), &paths, arguments, label);
    assert_eq!(written("pkcs8 -topk8 -nocrypt", "PRIVATE KEY"), None);
    assert_eq!(written("ec", "EC PRIVATE KEY"), None);
    // RFC 5915 has the public key as an option.
    assert_eq!(written("ec -no_public", "EC PRIVATE KEY"), None);
}

/// What `openssl ecparam -genkey` writes, as many instructions have it: parameters, then the key.
#[test]
fn parameters_before_an_elliptic_curve_key_do_no_harm() {
    let place = TempDir::new().unwrap();
    run(
        place.path(),
        "openssl ecparam -name prime256v1 -genkey -out executor1-key.pem",
    );
    let key = place.path().join("executor1-key.pem");
    must_hold(&key, "EC PARAMETERS");
    must_hold(&key, "EC PRIVATE KEY");
    let paths = Authority::new(place.path(), "root").issue_for_key(EXECUTOR);
    assert_eq!(fault(&paths), None);
}

#[test]
fn encrypted_keys_are_refused_as_such_in_either_form() {
    let place = TempDir::new().unwrap();
    for key in [P256, RSA] {
        let paths = node(place.path(), key);
        let written = |arguments, label| rewritten(place.path(), &paths, arguments, label);
        let fault = written(
            "pkcs8 -topk8 -v2 aes256 -passout pass:secret",
            "ENCRYPTED PRIVATE KEY",
        );
        assert_eq!(fault.as_deref(), Some("encrypted_key"));
        let (arguments, label) = if key == RSA {
            (
                "rsa -traditional -aes256 -passout pass:secret",
                "RSA PRIVATE KEY",
            )
        } else {
            ("ec -aes256 -passout pass:secret", "EC PRIVATE KEY")
        };
        let fault = written(arguments, label);
        assert_eq!(fault.as_deref(), Some("encrypted_key"), "{label}");
        assert_eq!(written("pkcs8 -topk8 -nocrypt", "PRIVATE KEY"), None);
    }
}

#[test]
fn the_key_of_another_certificate_and_a_public_key_are_refused() {
    let place = TempDir::new().unwrap();
    let root = Authority::new(place.path(), "root");
    let paths = root.issue(EXECUTOR);
    let other = root.issue(Leaf {
        name: "other",
        ..EXECUTOR
    });
    let swapped = CredentialPaths {
        key: other.key,
        ..paths.clone()
    };
    assert_eq!(fault(&swapped).as_deref(), Some("key_mismatch"));
    let written = rewritten(place.path(), &paths, "pkey -pubout", "PUBLIC KEY");
    assert_eq!(written.as_deref(), Some("wrong_kind"));
    assert_eq!(fault(&paths), None);
}

/// certtool writes a text before the key; and half of its SEC1 keys have a zero before the number,
/// which RFC 5915 does not have. Sixteen keys are all of one kind once in 32768 runs.
#[test]
fn keys_made_by_certtool_are_read_with_and_without_a_leading_zero() {
    let place = TempDir::new().unwrap();
    let root = certtool::Authority::new(place.path(), "root");
    for _ in 0..16 {
        let paths = root.issue(certtool::EXECUTOR);
        must_hold(&paths.key, "EC PRIVATE KEY");
        assert_eq!(fault(&paths), None);
    }
}

#[test]
fn a_key_that_certtool_has_encrypted_is_refused_as_such() {
    let place = TempDir::new().unwrap();
    let root = certtool::Authority::new(place.path(), "root");
    let paths = root.issue(certtool::EXECUTOR);
    let from = paths.key.display();
    let command =
        format!("certtool --to-p8 --load-privkey {from} --password secret --outfile encrypted.pem");
    run(place.path(), &command);
    let encrypted = CredentialPaths {
        key: place.path().join("encrypted.pem"),
        ..paths.clone()
    };
    assert_eq!(fault(&encrypted).as_deref(), Some("encrypted_key"));
    assert_eq!(fault(&paths), None);
}
