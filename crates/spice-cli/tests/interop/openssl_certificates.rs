//! OpenSSL reads our certificates and believes them, and those of others not.

use std::collections::BTreeSet;
use std::fs;

use crate::fixture::Home;
use crate::tool::{done, tool};

#[test]
fn openssl_verifies_leaves_of_every_key_type_for_both_ends_and_nothing_else() {
    for key_type in ["p256", "p384", "ed25519"] {
        let home = Home::new();
        done(&home, &format!("init --key-type {key_type}"));
        done(&home, "add n1 --host 10.0.0.7");
        let verify = |more: &str| {
            let command = format!("openssl verify -x509_strict -CAfile ca.pem {more} n1.pem");
            tool(&home.work(), &command)
        };
        verify("-purpose sslserver").accepted();
        verify("-purpose sslclient").accepted();
        verify("-purpose smimesign").refused("unsuitable certificate purpose");
        for name in ["n1", "n1.cluster.local", "localhost"] {
            verify(&format!("-verify_hostname {name}")).accepted();
        }
        verify("-verify_hostname n2.cluster.local").refused("hostname mismatch");
        for address in ["10.0.0.7", "127.0.0.1", "::1"] {
            verify(&format!("-verify_ip {address}")).accepted();
        }
        verify("-verify_ip 10.0.0.8").refused("IP address mismatch");
    }
}

#[test]
fn openssl_refuses_a_leaf_of_another_authority() {
    let (home, other) = (Home::with_authority(), Home::with_authority());
    done(&home, "add n1");
    done(&other, "add n1");
    let roots = other.work().join("ca.pem");
    let command = format!("openssl verify -CAfile {} n1.pem", roots.display());
    tool(&other.work(), &command).accepted();
    tool(&home.work(), &command).refused("unable to get local issuer certificate");
}

#[test]
fn openssl_verifies_old_and_new_leaves_during_a_rotation_and_only_new_ones_after_it() {
    let home = Home::with_authority();
    let work = home.work();
    done(&home, "add n1");
    fs::copy(work.join("n1.pem"), work.join("old.pem")).unwrap();
    fs::copy(work.join("ca.pem"), work.join("old-ca.pem")).unwrap();
    let verify = |roots: &str, leaf: &str| {
        let command =
            format!("openssl verify -x509_strict -purpose sslserver -CAfile {roots} {leaf}");
        tool(&work, &command)
    };
    done(&home, "rotate-ca start --key-type p384");
    done(&home, "add n2");
    done(&home, "csr n3");
    done(&home, "sign n3.csr --yes");
    done(&home, "renew --retiring");
    for leaf in ["old.pem", "n1.pem", "n2.pem", "n3.pem"] {
        verify("ca.pem", leaf).accepted();
    }
    verify("old-ca.pem", "old.pem").accepted();
    verify("old-ca.pem", "n1.pem").refused("unable to get local issuer certificate");
    done(&home, "rotate-ca finish --yes");
    for leaf in ["n1.pem", "n2.pem", "n3.pem"] {
        verify("ca.pem", leaf).accepted();
    }
    verify("ca.pem", "old.pem").refused("unable to get local issuer certificate");
}

#[test]
fn openssl_reads_in_a_certificate_what_add_said_and_nothing_more() {
    let home = Home::with_authority();
    let issued = done(
        &home,
        "add n1 --host e.example --host 10.0.0.7 --role executor -o json",
    )
    .json();
    let text = tool(&home.work(), "openssl x509 -in n1.pem -noout -text").accepted();
    let below = |heading: &str| {
        let after = text
            .split_once(heading)
            .map(|(_, after)| after.trim_start());
        after.unwrap_or_else(|| panic!("no {heading}: {text}"))
    };
    for (heading, value) in [
        ("Version:", "3 (0x2)"),
        ("Public Key Algorithm:", "id-ecPublicKey"),
        ("X509v3 Key Usage: critical", "Digital Signature"),
        (
            "X509v3 Extended Key Usage:",
            "TLS Web Server Authentication, TLS Web Client Authentication",
        ),
        ("X509v3 Basic Constraints: critical", "CA:FALSE"),
    ] {
        assert_eq!(below(heading).lines().next(), Some(value), "{text}");
    }
    let names = below("X509v3 Subject Alternative Name:")
        .lines()
        .next()
        .unwrap();
    let names: BTreeSet<_> = names.split(", ").collect();
    assert_eq!(names, BTreeSet::from(NAMES));
    // And the line above them all.
    assert_eq!(
        text.matches("X509v3 ").count(),
        7,
        "an extension more or less: {text}"
    );
    let serial = tool(&home.work(), "openssl x509 -in n1.pem -noout -serial").accepted();
    let serial = serial
        .trim()
        .strip_prefix("serial=")
        .unwrap()
        .to_lowercase();
    assert_eq!(issued["serial"], serial.as_str());
}

#[test]
fn openssl_reads_serial_numbers_of_twenty_octets_that_are_positive() {
    let home = Home::with_authority();
    let list: String = (0..40).map(|number| format!("n{number}\n")).collect();
    fs::write(home.work().join("nodes.csv"), format!("name\n{list}")).unwrap();
    done(&home, "add --from nodes.csv");
    for number in 0..40 {
        let command = format!("openssl x509 -in n{number}.pem -noout -serial");
        let serial = tool(&home.work(), &command).accepted();
        let digits = serial.trim().strip_prefix("serial=").unwrap();
        // OpenSSL would print a negative one with a sign, and drop leading octets of zero.
        assert_eq!(digits.len(), 40, "{serial}");
        assert!(("1".."8").contains(&&digits[..1]), "{serial}");
    }
}

const NAMES: [&str; 8] = [
    "DNS:n1",
    "DNS:n1.cluster.local",
    "DNS:e.example",
    "DNS:localhost",
    "IP Address:10.0.0.7",
    "IP Address:127.0.0.1",
    "IP Address:0:0:0:0:0:0:0:1",
    "URI:spiffe://cluster.local/executor/n1",
];
