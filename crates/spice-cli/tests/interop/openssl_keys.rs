//! Keys under a passphrase, from us to OpenSSL and back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::fixture::{Home, REFUSED};
use crate::tool::{Said, done, secret_file, tls, tool};

#[test]
fn openssl_opens_the_authoritys_key_with_the_passphrase_alone() {
    for key_type in ["p256", "p384", "ed25519"] {
        let home = sealed(&format!("--key-type {key_type}"));
        let pem = fs::read_to_string(home.pki().join("ca-1-key.pem")).unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let public = opened(&home, "right").accepted();
        let certificate = "openssl x509 -in ca.pem -noout -pubkey";
        assert_eq!(public, tool(&home.work(), certificate).accepted());
        opened(&home, "wrong").refused("Could not read key");
    }
}

#[test]
fn an_authority_whose_key_openssl_encrypted_again_signs_with_the_new_passphrase() {
    for cipher in ["-v2 aes-256-cbc", "-scrypt", "-v2 aes-128-cbc -iter 100000"] {
        let home = sealed("");
        done(&home, "add n1 --passphrase-file right");
        encrypt_again(&home, &format!("-passout file:new {cipher}"));
        let ended = tls(&home, "add n2 --passphrase-file right").expect(REFUSED);
        assert!(ended.next().contains("--passphrase-file"), "{ended:?}");
        done(&home, "add n2 --passphrase-file new");
        verified(&home, "n2");
    }
}

#[test]
fn an_authority_whose_key_openssl_decrypted_signs_without_a_passphrase() {
    let home = sealed("");
    tls(&home, "add n1").expect(REFUSED);
    encrypt_again(&home, "-nocrypt");
    done(&home, "add n1");
    verified(&home, "n1");
}

#[test]
fn openssl_opens_a_bundle_with_its_passphrase_alone() {
    for key_type in ["p256", "p384", "ed25519"] {
        let home = Home::new();
        done(&home, &format!("init --key-type {key_type}"));
        done(&home, "add n1");
        passphrases(&home);
        done(
            &home,
            "bundle n1 --format p12 --bundle-passphrase-file right",
        );
        let open = |more: &str| {
            tool(
                &home.work(),
                &format!("openssl pkcs12 -in n1.p12 -nodes {more}"),
            )
        };
        let text = open("-passin file:right").accepted();
        for (part, count) in [("BEGIN PRIVATE KEY", 1), ("BEGIN CERTIFICATE", 2)] {
            assert_eq!(text.matches(part).count(), count, "{text}");
        }
        open("-passin file:right -nocerts -out opened-key.pem").accepted();
        let public = |file: &str| tool(&home.work(), &format!("openssl pkey -in {file} -pubout"));
        assert_eq!(
            public("opened-key.pem").accepted(),
            public("n1-key.pem").accepted()
        );
        open("-passin file:wrong").refused("invalid password");
    }
}

/// An authority whose key has the passphrase in the file `right`.
fn sealed(more: &str) -> Home {
    let home = Home::new();
    passphrases(&home);
    done(
        &home,
        &format!("init --encrypt --passphrase-file right {more}"),
    );
    home
}

fn passphrases(home: &Home) {
    for (name, text) in [
        ("right", "correct horse battery\n"),
        ("wrong", "incorrect horse battery\n"),
        ("new", "four other words here\n"),
    ] {
        secret_file(&home.work().join(name), text);
    }
}

fn opened(home: &Home, passphrase: &str) -> Said {
    let key = home.pki().join("ca-1-key.pem");
    let command = format!(
        "openssl pkey -in {} -passin file:{passphrase} -pubout",
        key.display()
    );
    tool(&home.work(), &command)
}

/// As an administrator exchanges a passphrase.
fn encrypt_again(home: &Home, how: &str) {
    let key = home.pki().join("ca-1-key.pem");
    let command = format!(
        "openssl pkcs8 -topk8 -in {} -passin file:right -out changed.pem {how}",
        key.display()
    );
    tool(&home.work(), &command).accepted();
    let changed = home.work().join("changed.pem");
    fs::set_permissions(&changed, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(changed, key).unwrap();
}

fn verified(home: &Home, name: &str) {
    let command = format!("openssl verify -CAfile ca.pem -purpose sslserver {name}.pem");
    tool(&home.work(), &command).accepted();
}
