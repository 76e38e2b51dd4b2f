//! OpenSSL believes our revocation lists.

use std::fs;

use crate::fixture::Home;
use crate::tool::{Said, done, tool};

#[test]
fn openssl_refuses_a_revoked_leaf_and_no_other() {
    for key_type in ["p256", "p384", "ed25519"] {
        let home = Home::new();
        done(&home, &format!("init --key-type {key_type}"));
        done(&home, "add n1");
        done(&home, "add n2");
        done(&home, "crl");
        checked(&home, "n1").accepted();
        done(&home, "revoke n1 --yes --reason key-compromise");
        checked(&home, "n1").refused("certificate revoked");
        checked(&home, "n2").accepted();
        // Without the list nothing is known of it.
        tool(&home.work(), "openssl verify -CAfile ca.pem n1.pem").accepted();
        done(&home, "add n1 --force");
        checked(&home, "n1").accepted();
    }
}

#[test]
fn openssl_finds_a_list_for_each_root_during_a_rotation() {
    let home = Home::with_authority();
    let work = home.work();
    for name in ["n1", "n2", "n3"] {
        done(&home, &format!("add {name}"));
    }
    done(&home, "rotate-ca start");
    done(&home, "renew n2");
    done(&home, "renew n3");
    fs::copy(work.join("n2.pem"), work.join("n2-renewed.pem")).unwrap();
    done(&home, "revoke n2 --yes");
    checked(&home, "n1").accepted();
    checked(&home, "n2").refused("certificate revoked");
    checked(&home, "n3").accepted();
    done(&home, "revoke n1 --yes");
    checked(&home, "n1").refused("certificate revoked");
    done(&home, "rotate-ca finish --yes");
    done(&home, "crl");
    checked(&home, "n2").refused("certificate revoked");
    checked(&home, "n3").accepted();
}

#[test]
fn openssl_reads_the_list_and_verifies_its_signature() {
    let home = Home::with_authority();
    done(&home, "add n1");
    let revoked = done(
        &home,
        "revoke n1 --yes --reason superseded --crl-days 30 -o json",
    )
    .json();
    let command = "openssl crl -in crl.pem -noout -text -CAfile ca.pem";
    let text = tool(&home.work(), command).accepted();
    let serial = revoked["revoked"][0]["serial"].as_str().unwrap();
    for part in ["verify OK", "Version 2", "Superseded", "X509v3 CRL Number"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains(&serial.to_uppercase()), "{serial}: {text}");
    let stranger = Home::with_authority();
    let roots = stranger.work().join("ca.pem");
    let command = format!("openssl crl -in crl.pem -noout -CAfile {}", roots.display());
    tool(&home.work(), &command).refused("issuer");
}

fn checked(home: &Home, name: &str) -> Said {
    let command = format!(
        "openssl verify -x509_strict -crl_check -CRLfile crl.pem -CAfile ca.pem {name}.pem"
    );
    tool(&home.work(), &command)
}
