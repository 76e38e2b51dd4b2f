//! `spice cluster tls csr`.

use std::collections::BTreeSet;
use std::fs;

use cluster_pki::SigningRequest;
use serde_json::json;

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE, mode};

fn csr(home: &Home, args: &[&str]) -> Ended {
    home.spice(&[&["cluster", "tls", "csr"], args].concat())
}

#[test]
fn a_node_makes_its_key_and_request_without_an_authority() {
    let home = Home::new();
    let told = csr(&home, &["executor1", "--host", "e.example"]).expect(DONE);
    assert_eq!(home.files(), ["executor1-key.pem", "executor1.csr"]);
    assert!(!home.pki().exists());
    assert_eq!(mode(&home.work().join("executor1-key.pem")), 0o600);
    for part in [
        "made a key and a request for executor1",
        "executor1, executor1.cluster.local, e.example, localhost, 127.0.0.1, ::1",
        "executor1-key.pem (readable by its owner only)",
        "next: send executor1.csr to the administrator",
        "spice cluster tls sign executor1.csr",
        "executor1.pem and ca.pem",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
}

#[test]
fn the_request_asks_for_the_names_that_add_would_certify() {
    let home = Home::new();
    let args = [
        "n1",
        "--domain",
        "spice.example",
        "--host",
        "10.0.0.7",
        "--no-localhost",
        "--key-type",
        "p384",
        "-o",
        "json",
    ];
    let report = csr(&home, &args).expect(DONE).json();
    let expected = [
        "dns_names",
        "files",
        "ip_addresses",
        "key_type",
        "name",
        "public_key_sha256",
    ];
    let keys = report.as_object().unwrap().keys().map(String::as_str);
    assert_eq!(keys.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    assert_eq!(report["name"], "n1");
    assert_eq!(report["dns_names"], json!(["n1", "n1.spice.example"]));
    assert_eq!(report["ip_addresses"], json!(["10.0.0.7"]));
    assert_eq!(report["key_type"], "p384");
    assert_eq!(
        report["files"],
        json!({"request": "n1.csr", "key": "n1-key.pem"})
    );

    let request = SigningRequest::read(&home.work().join("n1.csr")).unwrap();
    let names: Vec<_> = request.names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["n1", "n1.spice.example", "10.0.0.7"]);
    assert_eq!(request.name().unwrap().as_str(), "n1");
    assert_eq!(request.key().kind, "p384");
    assert_eq!(report["public_key_sha256"], json!(request.key().sha256));
}

#[test]
fn files_in_the_way_are_refused_unless_forced() {
    let home = Home::new();
    csr(&home, &["n1"]).expect(DONE);
    let key = || fs::read(home.work().join("n1-key.pem")).unwrap();
    let before = key();
    let ended = csr(&home, &["n1"]).expect(REFUSED);
    assert!(ended.stderr.contains("n1.csr exists already"), "{ended:?}");
    assert!(ended.next().contains("`spice cluster tls csr n1 --force`"));
    assert_eq!(key(), before);
    fs::remove_file(home.work().join("n1.csr")).unwrap();
    let ended = csr(&home, &["n1"]).expect(REFUSED);
    assert!(
        ended.stderr.contains("n1-key.pem exists already"),
        "{ended:?}"
    );
    assert_eq!(home.files(), ["n1-key.pem"]);
    csr(&home, &["n1", "--force"]).expect(DONE);
    assert_ne!(key(), before);
    assert_eq!(home.files(), ["n1-key.pem", "n1.csr"]);
}

#[test]
fn an_authoritys_key_is_not_replaced_even_when_forced() {
    let home = Home::with_authority();
    let key = || fs::read(home.pki().join("ca-1-key.pem")).unwrap();
    let before = key();
    let pki = home.pki();
    let args = ["ca-1", "--force", "--out", pki.to_str().unwrap()];
    let ended = csr(&home, &args).expect(REFUSED);
    assert!(ended.stderr.contains("is the authority's own directory"));
    assert!(ended.next().contains("--out DIR"));
    assert_eq!(key(), before);
}

#[test]
fn what_no_authority_would_sign_is_not_asked_for() {
    let home = Home::new();
    for args in [
        &["ca"][..],
        &["n1-key"],
        &["*"],
        &["n1", "--host", "*.example"],
        &["n1", "--host", "0.0.0.0"],
        &["n1", "--key-type", "rsa"],
        &["n1", "--role", "executor"],
        &[],
    ] {
        csr(&home, args).expect(USAGE);
    }
    assert_eq!(home.files(), [""; 0]);
}

#[test]
fn the_help_has_examples() {
    let home = Home::new();
    let help = csr(&home, &["--help"]).expect(DONE).stdout;
    assert!(help.starts_with("Make a node's key on the node"), "{help}");
    assert!(
        help.contains("Examples:\n  spice cluster tls csr "),
        "{help}"
    );
}

#[test]
fn what_is_forced_is_in_the_directory_that_was_named() {
    let home = Home::new();
    csr(&home, &["n1", "--out", "next"]).expect(DONE);
    let ended = csr(&home, &["n1", "--out", "next"]).expect(REFUSED);
    home.typed(ended.commands()[0]).expect(DONE);
    assert_eq!(home.files(), ["next"]);
}
