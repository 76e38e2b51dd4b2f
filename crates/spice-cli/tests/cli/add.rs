//! `spice cluster tls add`.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use cluster_tls::{CredentialPaths, PeerPolicy, Role, SystemClock};
use serde_json::{Value, json};

use crate::fixture::{DONE, Home, REFUSED, TLS, USAGE, keys, mode, tls};

#[test]
fn a_node_accepts_what_add_made() {
    let home = Home::with_authority();
    let table = [
        (&["add", "scheduler1"][..], "scheduler1", Role::Scheduler),
        (&["add", "executor1"], "executor1", Role::Executor),
        (&["add", "n1"], "n1", Role::Node),
        (&["add", "n2", "--role", "client"], "n2", Role::Client),
    ];
    for (args, name, role) in table {
        tls(&home, args).expect(DONE);
        let paths = CredentialPaths {
            ca: home.work().join("ca.pem"),
            certificate: home.work().join(format!("{name}.pem")),
            key: home.work().join(format!("{name}-key.pem")),
        };
        let snapshot =
            cluster_tls::load(&paths, Arc::new(SystemClock), PeerPolicy::default()).unwrap();
        let own = snapshot.own();
        assert_eq!(own.role(), role, "{name}");
        for name in [name, &format!("{name}.cluster.local"), "localhost", "::1"] {
            assert!(own.has_name(name), "{name}");
        }
    }
}

#[test]
fn add_says_what_it_issued_and_how_to_start_the_node() {
    let home = Home::with_authority();
    let told = tls(&home, &["add", "executor1", "--host", "e.example"]).expect(DONE);
    for part in [
        "executor (from the name, which starts with `executor`)",
        "spiffe://cluster.local/executor/executor1",
        "executor1, executor1.cluster.local, e.example, localhost, 127.0.0.1, ::1",
        "executor1-key.pem (readable by its owner only)",
        "spiced --role executor",
        "--node-mtls-ca-certificate-file ca.pem",
        "--node-mtls-certificate-file executor1.pem",
        "--node-mtls-key-file executor1-key.pem",
        "--node-advertise-address e.example",
        "--scheduler-address https://",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    let told = tls(&home, &["add", "scheduler1"]).expect(DONE).stdout;
    assert!(told.contains("--node-advertise-address scheduler1.cluster.local"));
    assert!(!told.contains("--scheduler-address"), "{told}");
    let told = tls(&home, &["add", "c1", "--role", "client"])
        .expect(DONE)
        .stdout;
    assert!(told.contains("client (as requested)"));
    assert!(!told.contains("spiced"), "{told}");
}

#[test]
fn add_reports_stable_keys_as_json() {
    let home = Home::with_authority();
    let args = [
        "add",
        "n1",
        "--host",
        "10.0.0.7",
        "--no-localhost",
        "-o",
        "json",
    ];
    let report = tls(&home, &args).expect(DONE).json();
    let expected = [
        "dns_names",
        "files",
        "fingerprint_sha256",
        "ip_addresses",
        "name",
        "not_after",
        "not_before",
        "replaced_serial",
        "role",
        "role_reason",
        "serial",
        "uri",
        "warnings",
    ];
    assert_eq!(keys(&report), BTreeSet::from(expected));
    assert_eq!(report["dns_names"], json!(["n1", "n1.cluster.local"]));
    assert_eq!(report["ip_addresses"], json!(["10.0.0.7"]));
    assert_eq!(report["role"], "node");
    assert_eq!(report["role_reason"], "default");
    assert_eq!(report["replaced_serial"], Value::Null);
    assert_eq!(report["warnings"], json!([]));
    let files = json!({"ca": "ca.pem", "certificate": "n1.pem", "key": "n1-key.pem"});
    assert_eq!(report["files"], files);
}

#[test]
fn add_before_init_says_how_to_init() {
    let home = Home::new();
    let ended = tls(&home, &["add", "n1"]).expect(REFUSED);
    assert!(
        ended
            .next()
            .starts_with("make one with `spice cluster tls init`, or")
    );
    assert!(!home.pki().exists());
    let ended = tls(&home, &["add", "n1", "--pki-dir", "my pki"]).expect(REFUSED);
    assert!(
        ended
            .next()
            .contains("`spice cluster tls init --pki-dir 'my pki'`")
    );
    assert_eq!(home.files(), [""; 0]);
}

#[test]
fn the_pki_directory_is_no_place_for_a_nodes_files() {
    let home = Home::with_authority();
    let pki = home.pki();
    let args = ["add", "ca-1", "--force", "--out", pki.to_str().unwrap()];
    let ended = tls(&home, &args).expect(REFUSED);
    assert!(
        ended.stderr.contains("is the authority's own directory"),
        "{ended:?}"
    );
    tls(&home, &["add", "ca-1"]).expect(DONE);
}

#[test]
fn a_node_that_exists_is_refused_unless_forced() {
    let home = Home::with_authority();
    let add = |args: &[&str]| tls(&home, &[&["add", "n1", "-o", "json"], args].concat());
    let first = add(&[]).expect(DONE).json();
    let key = || fs::read(home.work().join("n1-key.pem")).unwrap();
    let before = key();
    for args in [&[][..], &["--out", "elsewhere"]] {
        let ended = add(args).expect(REFUSED);
        assert!(ended.stderr.contains("`n1` has a certificate already"));
        assert!(ended.next().contains("`spice cluster tls renew n1`"));
        assert!(ended.next().contains("`spice cluster tls add n1 --force`"));
    }
    assert_eq!(key(), before);
    let second = add(&["--force"]).expect(DONE).json();
    assert_eq!(second["replaced_serial"], first["serial"]);
    assert_ne!(second["serial"], first["serial"]);
    assert_ne!(key(), before);
}

#[test]
fn files_in_the_way_are_refused_unless_forced() {
    let home = Home::with_authority();
    let path = home.work().join("n1-key.pem");
    fs::write(&path, "mine").unwrap();
    let ended = tls(&home, &["add", "n1"]).expect(REFUSED);
    assert!(
        ended.stderr.contains("n1-key.pem exists already"),
        "{ended:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    tls(&home, &["add", "n1", "--force"]).expect(DONE);
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn names_outside_the_grammar_are_usage_errors() {
    let home = Home::with_authority();
    for name in [
        "ca", "CA", "a b", "../n1", ".n1", "-n1", "n1.", "nöde", "*", "n1-key", "10.0.0.1",
    ] {
        tls(&home, &["add", "--", name]).expect(USAGE);
    }
    for host in ["*.example", "a:50052", "http://a", "0.0.0.0", "a b"] {
        tls(&home, &["add", "n1", "--host", host]).expect(USAGE);
    }
    tls(&home, &["add", "n1", "--role", "unspecified"]).expect(USAGE);
    assert_eq!(home.files(), ["ca.pem"]);
}

#[test]
fn a_leaf_is_shortened_to_its_authority_with_a_warning() {
    let home = Home::new();
    tls(&home, &["init", "--days", "30"]).expect(DONE);
    let ended = tls(&home, &["add", "n1", "-o", "json"]);
    assert_eq!(ended.code, DONE);
    assert!(ended.stderr.starts_with("warning: n1: shortened to 20"));
    assert_eq!(ended.json()["warnings"].as_array().unwrap().len(), 1);
    let quiet = tls(&home, &["add", "executor1", "--days", "29", "-o", "json"]).expect(DONE);
    assert_eq!(
        (quiet.stderr.as_str(), &quiet.json()["warnings"]),
        ("", &json!([]))
    );
    tls(&home, &["add", "n3", "--days", "3651"]).expect(REFUSED);
}

#[test]
fn concurrent_adds_all_succeed() {
    let home = Home::with_authority();
    let names: Vec<_> = (0..6).map(|number| format!("n{number}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let args = [&TLS[..], &["add", name]].concat();
            home.command(&args)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for name in &names {
        let ended = tls(&home, &["add", name]).expect(REFUSED);
        assert!(ended.stderr.contains("has a certificate already"));
    }
}

#[test]
fn who_gets_every_role_for_want_of_another_is_told_and_who_asked_for_it_is_not() {
    let home = Home::with_authority();
    let ended = tls(&home, &["add", "n1"]).expect(DONE);
    assert!(
        ended
            .stderr
            .starts_with("warning: n1 may act as scheduler and as executor; "),
        "{ended:?}"
    );
    for args in [&["add", "n2", "--role", "node"][..], &["add", "executor1"]] {
        assert_eq!(tls(&home, args).expect(DONE).stderr, "");
    }
}

#[test]
fn what_was_replaced_is_still_believed_unless_it_was_revoked() {
    let home = Home::with_nodes(&["executor1"]);
    let again = ["add", "executor1", "--force"];
    let told = tls(&home, &again).expect(DONE).stdout;
    assert!(told.contains("still believed until"), "{told}");
    tls(&home, &["revoke", "executor1", "--yes"]).expect(DONE);
    let told = tls(&home, &["add", "executor1"]).expect(DONE).stdout;
    assert!(!told.contains("believed"), "{told}");
}

#[test]
fn the_short_and_the_full_name_are_one_node() {
    let home = Home::with_nodes(&["n1"]);
    let full = ["add", "n1.cluster.local"];
    let ended = tls(&home, &full).expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("the short and the full name of one node"),
        "{ended:?}"
    );
    home.typed(ended.commands()[0]).expect(DONE);
    tls(&home, &["revoke", "n1", "--yes"]).expect(DONE);
    tls(&home, &full).expect(DONE);
}

#[test]
fn paths_do_not_steer_the_terminal() {
    let home = Home::with_authority();
    let out = "o\u{1b}[2J\u{9b}1m\r";
    let ended = tls(&home, &["add", "executor1", "--out", out]).expect(DONE);
    assert!(home.work().join(out).join("executor1.pem").exists());
    let refused = tls(&home, &["add", "executor1", "--from", out]).expect(USAGE);
    let missing = tls(&home, &["add", "--from", "\u{1b}[2J\r.csv"]).expect(REFUSED);
    let steers = |it: char| it.is_control() && it != '\n';
    for text in [&ended.stdout, &refused.stderr, &missing.stderr] {
        assert!(!text.contains(steers), "{text:?}");
    }
    assert!(ended.stdout.contains(r"o\u{1b}[2J\u{9b}1m\r/ca.pem"));
    assert!(missing.stderr.contains(r"cannot read \u{1b}[2J\r.csv"));
}
