//! `spice cluster tls inspect`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType, date_time_ymd};
use serde_json::{Value, json};

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};

fn inspect(home: &Home, args: &[&str]) -> Ended {
    home.spice(&[&["cluster", "tls", "inspect"], args].concat())
}

fn with_node() -> Home {
    let home = Home::with_authority();
    let add = ["cluster", "tls", "add", "executor1", "--no-localhost"];
    home.spice(&add).expect(DONE);
    home
}

fn read(home: &Home, name: &str) -> String {
    fs::read_to_string(home.work().join(name)).unwrap()
}

#[test]
fn a_certificate_reads_as_prose() {
    let home = with_node();
    let told = inspect(&home, &["executor1.pem"]).expect(DONE).stdout;
    for part in [
        "executor1.pem: a certificate\n",
        "  subject      O=cluster.local, CN=executor1\n",
        "  issuer       O=cluster.local, CN=Spice cluster CA 1 ",
        "  role         executor\n",
        "  identity     spiffe://cluster.local/executor/executor1\n",
        "  names        executor1, executor1.cluster.local\n",
        "  key type     ECDSA P-256\n",
        "  usages       digitalSignature, serverAuth, clientAuth\n",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Issued in this very second, or in one before it.
    let left = ["(expires in 365 days)\n", "(expires in 364 days)\n"];
    assert!(left.iter().any(|left| told.contains(left)), "{told}");
    assert!(!told.contains("objection"), "{told}");
    let root = inspect(&home, &["ca.pem"]).expect(DONE).stdout;
    assert!(root.starts_with("ca.pem: a root certificate\n"), "{root}");
    assert!(root.contains("  signed by    itself\n"), "{root}");
    assert!(!root.contains("objection"), "{root}");
}

/// A key with a known secret, Ed25519 because it signs the same in the same way.
const FIXED_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
     MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC\n\
     -----END PRIVATE KEY-----\n";

fn fixed_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "n1");
    params.serial_number = Some(vec![0x5f].into());
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 2);
    params.subject_alt_names = vec![SanType::DnsName("*.example".try_into().unwrap())];
    params
}

fn fixed_certificate(params: &CertificateParams) -> String {
    let key = KeyPair::from_pem(FIXED_KEY).unwrap();
    params.self_signed(&key).unwrap().pem()
}

#[test]
fn a_foreign_certificate_has_stable_keys_and_its_faults() {
    let home = Home::new();
    let pem = fixed_certificate(&fixed_params());
    let path = home.work().join("n1.pem");
    fs::write(&path, pem).unwrap();
    let mut report = inspect(&home, &["n1.pem", "-o", "json"])
        .expect(DONE)
        .json();
    let days = report["sections"][0]["expires_in_days"].take();
    assert!(days.as_i64().unwrap() < -365, "{days}");
    let expected = json!({
        "file": "n1.pem",
        "format": "pem",
        "warnings": [],
        "sections": [{
            "position": 1,
            "label": "CERTIFICATE",
            "kind": "certificate",
            "subject": "CN=n1",
            "issuer": "CN=n1",
            "serial": "5f",
            "fingerprint_sha256": "443d0e68c057617bbe7a64a3998e798659558d209b222c70442ffeb2c91f05ec",
            "not_before": "2020-01-01T00:00:00Z",
            "not_after": "2020-01-02T00:00:00Z",
            "status": "expired",
            "expires_in_days": null,
            "is_authority": false,
            "is_self_signed": true,
            "role": null,
            "uris": [],
            "dns_names": ["*.example"],
            "ip_addresses": [],
            "other_names": [],
            "public_key": {
                "type": "ed25519",
                "bits": 256,
                "sha256": "47dea58ea00fae9417ee19d76755bfef690899021132effb04fe1f9e4f0c8059",
                "weakness": null,
            },
            "signature_algorithm": "ed25519",
            "key_usages": [],
            "extended_key_usages": [],
            "objections": [
                "it is signed by its own key and by no authority",
                "the extended key usage serverAuth is missing",
                "the extended key usage clientAuth is missing",
                "the DNS name *.example: a wildcard names no single node",
                "it expired at 2020-01-02T00:00:00Z",
            ],
            "signed_by": 1,
            "key_of": [],
        }],
    });
    assert_eq!(report, expected);
    let told = inspect(&home, &["n1.pem"]).expect(DONE).stdout;
    assert!(
        told.contains("(expired ") && told.contains(" days ago)"),
        "{told}"
    );
    assert_eq!(told.matches("  objection    ").count(), 5, "{told}");
}

#[test]
fn what_a_certificate_says_does_not_reach_the_terminal() {
    let home = Home::new();
    let mut params = fixed_params();
    let evil = "\u{1b}]0;owned\u{7}\u{9b}2J\r\n\u{202e}";
    params
        .distinguished_name
        .push(DnType::OrganizationName, evil);
    params.subject_alt_names = vec![SanType::DnsName("\u{1b}[31mred".try_into().unwrap())];
    let label = "-----BEGIN \u{1b}[2J-----\nAA==\n-----END \u{1b}[2J-----\n";
    fs::write(
        home.work().join("evil.pem"),
        fixed_certificate(&params) + label,
    )
    .unwrap();
    for args in [&["evil.pem"][..], &["evil.pem", "-o", "json"]] {
        let told = inspect(&home, args).expect(DONE);
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!told.stdout.contains(acts), "{told:?}");
        assert!(told.stdout.contains("u{1b}]0;owned"), "{told:?}");
        assert!(told.stdout.contains("u{1b}[31mred"), "{told:?}");
        assert!(told.stdout.contains("u{202e}"), "{told:?}");
    }
}

#[test]
fn a_bundle_on_the_standard_input_tells_what_belongs_together() {
    let home = with_node();
    let text = ["executor1.pem", "executor1-key.pem", "ca.pem"]
        .map(|name| read(&home, name))
        .concat();
    let args = ["cluster", "tls", "inspect", "-"];
    let told = home.spice_with_input(&args, &text).expect(DONE);
    for part in [
        "standard input, 1 of 3: a certificate\n",
        "  signed by    3 of this file\n",
        "standard input, 2 of 3: a private key, not encrypted\n",
        "  key of      1\n",
        "standard input, 3 of 3: a root certificate\n",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    assert_eq!(told.stderr, "");
    let json = home.spice_with_input(&[&args[..], &["-o", "json"]].concat(), &text);
    let sections = json.expect(DONE).json()["sections"].take();
    let links = |key| {
        let sections = sections.as_array().unwrap();
        sections.iter().map(|it| it[key].clone()).collect::<Value>()
    };
    assert_eq!(links("signed_by"), json!([3, null, 3]));
    assert_eq!(links("key_of"), json!([[], [1], []]));
}

#[test]
fn a_key_shows_which_certificate_is_its_own_and_no_secret() {
    let home = with_node();
    let told = |name: &str| inspect(&home, &[name, "-o", "json"]).expect(DONE);
    let key = told("executor1-key.pem");
    let mark = |report: &Value| report["sections"][0]["public_key"]["sha256"].clone();
    assert_eq!(mark(&key.json()), mark(&told("executor1.pem").json()));
    assert_ne!(mark(&key.json()), mark(&told("ca.pem").json()));
    let table = inspect(&home, &["executor1-key.pem"]).expect(DONE).stdout;
    for line in read(&home, "executor1-key.pem").lines().skip(1) {
        assert!(!key.stdout.contains(line) && !table.contains(line));
    }
}

#[test]
fn a_key_that_others_may_read_is_warned_about() {
    let home = with_node();
    let path = home.work().join("executor1-key.pem");
    assert_eq!(
        inspect(&home, &["executor1-key.pem"]).expect(DONE).stderr,
        ""
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = inspect(&home, &["executor1-key.pem"]);
    assert_eq!(ended.code, DONE);
    let warning = "warning: executor1-key.pem: its mode is 0644: every user of this machine";
    assert!(ended.stderr.starts_with(warning), "{ended:?}");
}

#[test]
fn a_request_shows_what_signing_it_would_take() {
    let home = Home::new();
    home.spice(&["cluster", "tls", "csr", "n1", "--no-localhost"])
        .expect(DONE);
    let told = inspect(&home, &["n1.csr"]).expect(DONE).stdout;
    for part in [
        "n1.csr: a certificate request\n",
        "  node         n1\n",
        "  names        n1, n1.cluster.local\n",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("objection"), "{told}");
}

#[test]
fn what_is_nothing_known_is_refused_with_what_was_expected() {
    let home = Home::new();
    for (content, reason) in [
        ("", "the file is empty"),
        ("hello", "is no certificate, key, request"),
    ] {
        fs::write(home.work().join("file"), content).unwrap();
        let ended = inspect(&home, &["file"]).expect(REFUSED);
        assert!(ended.stderr.contains(reason), "{ended:?}");
        assert!(ended.next().contains("-----BEGIN ..."), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }
    let ended = inspect(&home, &["missing.pem"]).expect(REFUSED);
    assert!(
        ended.stderr.contains("cannot read missing.pem: "),
        "{ended:?}"
    );
    inspect(&home, &["."]).expect(REFUSED);
    inspect(&home, &[]).expect(USAGE);
}

#[test]
fn what_is_damaged_is_a_failure_and_the_rest_is_shown() {
    let home = with_node();
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(home.work().join("a.pem"), read(&home, "ca.pem") + damaged).unwrap();
    let ended = inspect(&home, &["a.pem"]).expect(REFUSED);
    assert!(ended.stdout.contains("a.pem, 1 of 2: a root certificate"));
    assert!(
        ended
            .stderr
            .contains("section 2 (CERTIFICATE) cannot be read")
    );
}

#[test]
fn a_store_that_takes_a_passphrase_is_named_with_what_to_do() {
    let home = with_node();
    let passphrase = home.work().join("passphrase");
    fs::write(&passphrase, "correct horse battery\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let flags = ["--format", "p12", "--bundle-passphrase-file", "passphrase"];
    let bundle = [&["cluster", "tls", "bundle", "executor1"][..], &flags].concat();
    home.spice(&bundle).expect(DONE);
    let told = inspect(&home, &["executor1.p12"]).expect(DONE).stdout;
    assert!(told.starts_with("executor1.p12: a PKCS#12 store"), "{told}");
    assert!(told.contains("openssl pkcs12 -in executor1.p12"), "{told}");
}

#[test]
fn a_deny_list_is_shown_entry_by_entry() {
    let home = Home::new();
    fs::write(home.work().join("denied"), "5F:3A # executor7\n").unwrap();
    let told = inspect(&home, &["denied"]).expect(DONE).stdout;
    assert_eq!(told, "denied: a deny-list\n  serial  5f3a  # executor7\n");
}

#[test]
fn the_help_has_examples() {
    let home = Home::new();
    let help = inspect(&home, &["--help"]).expect(DONE).stdout;
    assert!(help.starts_with("Show what is in a file"), "{help}");
    assert!(
        help.contains("Examples:\n  spice cluster tls inspect "),
        "{help}"
    );
}
