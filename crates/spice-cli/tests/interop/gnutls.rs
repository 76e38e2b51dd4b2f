//! GnuTLS reads and verifies what we write.

use crate::fixture::Home;
use crate::tool::{done, secret_file, tool};

#[test]
fn certtool_verifies_leaves_of_every_key_type_and_none_of_another_authority() {
    for key_type in ["p256", "p384", "ed25519"] {
        let (home, other) = (Home::new(), Home::new());
        for home in [&home, &other] {
            done(home, &format!("init --key-type {key_type}"));
            done(home, "add n1");
        }
        let roots = home.work().join("ca.pem");
        let command = format!(
            "certtool --verify --verify-profile medium --verify-purpose 1.3.6.1.5.5.7.3.1 \
             --load-ca-certificate {} --infile n1.pem",
            roots.display()
        );
        let hostname = |name: &str| format!("{command} --verify-hostname {name}");
        tool(&home.work(), &hostname("n1.cluster.local")).accepted();
        tool(&home.work(), &hostname("n2.cluster.local")).refused("NOT trusted");
        tool(&other.work(), &command).refused("NOT trusted");
    }
}

#[test]
fn certtool_verifies_both_leaves_during_a_rotation_and_the_new_one_after_it() {
    let home = Home::with_authority();
    done(&home, "add n1");
    done(&home, "rotate-ca start");
    done(&home, "add n2");
    let verify = |name: &str| {
        let command = "certtool --verify --verify-profile medium --load-ca-certificate ca.pem";
        tool(&home.work(), &format!("{command} --infile {name}.pem"))
    };
    verify("n1").accepted();
    verify("n2").accepted();
    done(&home, "rotate-ca finish --yes --abandon n1");
    verify("n1").refused("NOT trusted");
    verify("n2").accepted();
}

#[test]
fn certtool_reads_names_usages_and_serial_of_a_certificate() {
    let home = Home::with_authority();
    let issued = done(&home, "add n1 --host 10.0.0.7 -o json").json();
    let text = tool(&home.work(), "certtool --certificate-info --infile n1.pem").accepted();
    let serial = issued["serial"].as_str().unwrap();
    for part in [
        "Version: 3",
        serial,
        "DNSname: n1.cluster.local",
        "IPAddress: 10.0.0.7",
        "IPAddress: ::1",
        "URI: spiffe://cluster.local/node/n1",
        "Key Usage (critical):\n\t\t\tDigital signature.\n",
        "TLS WWW Server.\n\t\t\tTLS WWW Client.\n",
        "Certificate Authority (CA): FALSE",
        issued["fingerprint_sha256"].as_str().unwrap(),
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
}

#[test]
fn certtool_follows_the_revocation_list_and_verifies_it() {
    let (home, other) = (Home::with_authority(), Home::with_authority());
    done(&home, "add n1");
    done(&home, "add n2");
    let revoked = done(&home, "revoke n1 --yes -o json").json();
    let serial = revoked["revoked"][0]["serial"].as_str().unwrap();
    let text = tool(&home.work(), "certtool --crl-info --infile crl.pem").accepted();
    for part in ["Version: 2", "Revoked certificates (1)", serial] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
    let verify = |name: &str| {
        let command = "certtool --verify --verify-profile medium --load-ca-certificate ca.pem";
        tool(
            &home.work(),
            &format!("{command} --load-crl crl.pem --infile {name}.pem"),
        )
    };
    verify("n1").refused("revoked");
    verify("n2").accepted();
    let list = home.work().join("crl.pem");
    let command = format!(
        "certtool --verify-crl --load-ca-certificate ca.pem --infile {}",
        list.display()
    );
    tool(&home.work(), &command).accepted();
    tool(&other.work(), &command).refused("NOT trusted");
}

#[test]
fn certtool_opens_a_bundle_with_its_passphrase_alone() {
    let home = Home::with_authority();
    done(&home, "add n1");
    secret_file(&home.work().join("passphrase"), "correct-horse-battery\n");
    done(
        &home,
        "bundle n1 --format p12 --bundle-passphrase-file passphrase",
    );
    let open = |passphrase: &str| {
        let command = "certtool --p12-info --inder --infile n1.p12 --password";
        tool(&home.work(), &format!("{command} {passphrase}"))
    };
    let text = open("correct-horse-battery").accepted();
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2, "{text}");
    assert!(text.contains("Friendly name: n1"), "{text}");
    open("another").refused("verification failed");
}
