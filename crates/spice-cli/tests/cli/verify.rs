//! `spice cluster tls verify`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::fixture::{DONE, Ended, Home, USAGE};
use crate::minted::{DAY, Issuer, SERIAL, uri};

const CREDENTIALS: i32 = 10;
const NAME: i32 = 15;
const ROLE: i32 = 16;

/// A home with an authority, a scheduler and an executor.
fn home() -> Home {
    Home::with_nodes(&["scheduler1", "executor1"])
}

fn verify(home: &Home, cert: &str, key: &str, more: &[&str]) -> Ended {
    let args = ["cluster", "tls", "verify", "--cert", cert, "--key", key];
    home.spice(&[&args, more].concat())
}

fn verify_executor(home: &Home, more: &[&str]) -> Ended {
    verify(home, "executor1.pem", "executor1-key.pem", more)
}

/// The files of another issuer.
fn verify_minted(home: &Home, more: &[&str]) -> Ended {
    verify(home, "node.pem", "node-key.pem", more)
}

/// The outcome of the check, in the JSON document.
fn check<'a>(document: &'a Value, name: &str) -> &'a Value {
    let checks = document["checks"].as_array().unwrap();
    checks.iter().find(|it| it["check"] == name).unwrap()
}

/// That the one check fails with the code, and no other does; gives what was told.
fn assert_fails(told: Ended, code: i32, failed: &str) -> Ended {
    let told = told.expect(code);
    let document = told.json();
    assert_eq!(document["healthy"], false);
    assert_eq!(document["failed_check"], failed, "{told:?}");
    assert_eq!(document["exit_code"], code);
    for check in document["checks"].as_array().unwrap() {
        let expected = check["check"] == failed;
        assert_eq!(check["outcome"] == "failed", expected, "{told:?}");
    }
    assert!(told.stderr.contains(&format!(": {failed}: ")), "{told:?}");
    assert!(!told.next().is_empty());
    told
}

const JSON: [&str; 2] = ["-o", "json"];

#[test]
fn good_files_pass_every_check_and_say_whose_they_are() {
    let home = home();
    let more = ["--host", "executor1.cluster.local", "--role", "executor"];
    let told = verify_executor(&home, &more).expect(DONE);
    for part in [
        "executor1.pem\n",
        "\u{2713} roots        O=cluster.local, CN=",
        "\u{2713} certificate  spiffe://cluster.local/executor/executor1, serial ",
        "\u{2713} key          belongs to the certificate",
        "- revocation   not looked at: neither --crl nor --deny-list",
        "\u{2713} name         executor1.cluster.local is one of executor1, executor1.cluster.local",
        "\u{2713} role         executor may act as executor",
        "\u{2713} expiry       in 364 days, at 20",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    assert_eq!(told.stderr, "");
    let told = verify_executor(&home, &[]).expect(DONE).stdout;
    assert!(told.contains("- name         no --host"), "{told}");
    assert!(told.contains("- role         no --role"), "{told}");
}

#[test]
fn it_reports_stable_keys_as_json() {
    let home = home();
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let document = verify_executor(&home, &JSON).expect(DONE).json();
    let expected = [
        "checks",
        "denied_count",
        "exit_code",
        "failed_check",
        "healthy",
        "identity",
        "revocation_lists",
        "roots",
    ];
    assert_eq!(keys(&document), expected.map(String::from).into());
    let expected = [
        "expires_in_days",
        "fingerprint_sha256",
        "names",
        "not_after",
        "not_before",
        "role",
        "serial",
        "uri",
    ];
    let identity = &document["identity"];
    assert_eq!(keys(identity), expected.map(String::from).into());
    assert_eq!(identity["expires_in_days"], 364);
    assert_eq!(identity["role"], "executor");
    assert_eq!(
        (&document["healthy"], &document["exit_code"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(document["revocation_lists"], json!([]));
    assert_eq!(document["denied_count"], Value::Null);
    assert_eq!(document["roots"].as_array().unwrap().len(), 1);
}

#[test]
fn the_first_fault_of_the_files_is_named_with_its_remedy() {
    let (home, elsewhere) = (home(), home());
    let path = |name: &str| home.work().join(name);
    fs::copy(elsewhere.work().join("ca.pem"), path("other-ca.pem")).unwrap();
    fs::copy(path("executor1-key.pem"), path("open-key.pem")).unwrap();
    fs::set_permissions(path("open-key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path("empty.pem"), "").unwrap();
    fs::copy(path("ca.pem"), path("closed.pem")).unwrap();
    fs::set_permissions(path("closed.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let (cert, key) = ("executor1.pem", "executor1-key.pem");
    let table = [
        (cert, key, "other-ca.pem", "certificate", "unknown_issuer"),
        (cert, key, "missing.pem", "roots", "missing"),
        (cert, key, "executor1-key.pem", "roots", "wrong_kind"),
        ("empty.pem", key, "ca.pem", "certificate", "empty"),
        (key, key, "ca.pem", "certificate", "wrong_kind"),
        ("ca.pem", key, "ca.pem", "certificate", "signing_leaf"),
        (cert, "scheduler1-key.pem", "ca.pem", "key", "key_mismatch"),
        (cert, "open-key.pem", "ca.pem", "key", "exposed"),
        (cert, "closed.pem", "ca.pem", "key", "wrong_kind"),
    ];
    for (cert, key, ca, failed, reason) in table {
        let told = verify(&home, cert, key, &["--ca", ca, "-o", "json"]);
        let told = assert_fails(told, CREDENTIALS, failed);
        let document = told.json();
        assert_eq!(check(&document, failed)["reason"], reason, "{told:?}");
        assert_eq!(document["identity"], Value::Null);
    }
    let told = verify(&home, cert, "scheduler1-key.pem", &[]).expect(CREDENTIALS);
    let failed = "\u{2717} key          key file scheduler1-key.pem: the private key does not";
    assert!(told.stdout.contains(failed), "{}", told.stdout);
    let rest = "- expiry       not judged, because of the fault";
    assert!(told.stdout.contains(rest), "{}", told.stdout);
}

#[test]
fn a_host_that_is_none_of_the_names_is_refused_with_what_to_type() {
    let home = home();
    let hosts = ["--host", "localhost", "--host", "other.example"];
    let told = verify_executor(&home, &[&hosts, &JSON[..]].concat());
    let told = told.expect(NAME);
    let document = told.json();
    let checks = document["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().filter(|it| it["check"] == "name").collect();
    assert_eq!(names[0]["outcome"], "passed");
    assert_eq!(names[1]["outcome"], "failed");
    assert!(told.stderr.contains("other.example is none of the names"));
    let typed = "`spice cluster tls add executor1 --host other.example --force`";
    assert!(told.next().contains(typed), "{told:?}");
    // What was said is what helps.
    let add = [
        "cluster",
        "tls",
        "add",
        "executor1",
        "--host",
        "other.example",
        "--force",
    ];
    home.spice(&add).expect(DONE);
    verify_executor(&home, &hosts).expect(DONE);
    for address in ["127.0.0.1", "::1", "LOCALHOST"] {
        verify_executor(&home, &["--host", address]).expect(DONE);
    }
    verify_executor(&home, &["--host", "10.0.0.7"]).expect(NAME);
    verify_executor(&home, &["--host", "*.example"]).expect(USAGE);
}

#[test]
fn a_certificate_that_may_not_act_in_the_role_is_refused() {
    let home = home();
    let told = verify_executor(&home, &["--role", "scheduler", "-o", "json"]);
    let told = assert_fails(told, ROLE, "role");
    assert!(told.next().contains("--role scheduler --force"), "{told:?}");
    home.spice(&["cluster", "tls", "add", "n1"]).expect(DONE);
    let node = |role| verify(&home, "n1.pem", "n1-key.pem", &["--role", role]);
    for role in ["scheduler", "executor", "node"] {
        node(role).expect(DONE);
    }
    node("client").expect(ROLE);
}

#[test]
fn the_last_month_of_a_certificate_is_a_warning() {
    let home = home();
    let add = |name: &str, days: &str| {
        let args = ["cluster", "tls", "add", name, "--days", days];
        home.spice(&args).expect(DONE);
        let files = [format!("{name}.pem"), format!("{name}-key.pem")];
        verify(&home, &files[0], &files[1], &[]).expect(DONE).stdout
    };
    let told = add("n1", "30");
    assert!(told.contains("! expiry       in 29 days, at 20"), "{told}");
    assert!(
        told.contains("renew it: `spice cluster tls renew n1`"),
        "{told}"
    );
    let told = add("n2", "31");
    assert!(told.contains("\u{2713} expiry       in 30 days"), "{told}");
    assert!(!told.contains("renew"), "{told}");
}

#[test]
fn roots_that_all_end_within_a_month_are_a_warning() {
    let home = Home::new();
    home.spice(&["cluster", "tls", "init", "--days", "20"])
        .expect(DONE);
    let add = ["cluster", "tls", "add", "executor1", "--days", "9"];
    home.spice(&add).expect(DONE);
    let told = verify_executor(&home, &[]).expect(DONE).stdout;
    assert!(
        told.contains("! roots        O=cluster.local, CN="),
        "{told}"
    );
    assert!(told.contains("rotate-ca start"), "{told}");
}

#[test]
fn a_denied_certificate_is_revoked_and_another_is_not() {
    let home = home();
    let serial = verify_executor(&home, &JSON).json()["identity"]["serial"].clone();
    let deny = |text: &str| fs::write(home.work().join("denied"), text).unwrap();
    let more = ["--deny-list", "denied", "-o", "json"];
    deny(&format!("{}  # stolen\n", serial.as_str().unwrap()));
    let told = assert_fails(verify_executor(&home, &more), CREDENTIALS, "revocation");
    assert!(told.stderr.contains("is on the deny-list"), "{told:?}");
    deny("5f3a\n");
    let document = verify_executor(&home, &more).expect(DONE).json();
    assert_eq!(document["denied_count"], 1);
    assert_eq!(check(&document, "revocation")["outcome"], "passed");
    deny("executor1\n");
    let told = assert_fails(verify_executor(&home, &more), CREDENTIALS, "revocation");
    assert!(told.stderr.contains("line 1"), "{told:?}");
}

#[test]
fn a_certificate_on_a_revocation_list_is_revoked_and_another_is_not() {
    let home = Home::new();
    let work = home.work();
    let issuer = Issuer::new(&work);
    issuer.issue(|_| {});
    let more = ["--crl", "crl.pem", "-o", "json"];
    issuer.revoke(&[SERIAL]);
    let told = assert_fails(verify_minted(&home, &more), CREDENTIALS, "revocation");
    assert!(told.stderr.contains("is on a revocation list"), "{told:?}");
    issuer.revoke(&[&[1]]);
    let document = verify_minted(&home, &more).expect(DONE).json();
    let list = &document["revocation_lists"][0];
    assert_eq!(list["issuer"], "CN=another issuer");
    fs::write(work.join("crl.pem"), "").unwrap();
    assert_fails(verify_minted(&home, &more), CREDENTIALS, "revocation");
}

#[test]
fn an_ended_certificate_fails_for_its_expiry() {
    let home = Home::new();
    let work = home.work();
    let issuer = Issuer::new(&work);
    issuer.issue(|params| params.not_after = (SystemTime::now() - DAY).into());
    let told = assert_fails(verify_minted(&home, &JSON), CREDENTIALS, "expiry");
    assert!(told.stderr.contains("the clock says"), "{told:?}");
    assert!(told.next().contains("renew"), "{told:?}");
    issuer.issue(|_| {});
    verify_minted(&home, &JSON).expect(DONE);
}

#[test]
fn identities_of_another_issuer_have_the_role_of_their_rule() {
    let home = Home::new();
    let work = home.work();
    let foreign = uri("spiffe://corp.example/ns/x/sa/spice-executor");
    Issuer::new(&work).issue(|params| params.subject_alt_names.push(foreign));
    let told = assert_fails(verify_minted(&home, &JSON), CREDENTIALS, "certificate");
    assert!(told.next().contains("add a rule"), "{told:?}");
    let rule = "spiffe://corp.example/ns/*/sa/spice-executor=executor";
    let rule = ["--identity", rule, "--role"];
    verify_minted(&home, &[&rule, &["executor"][..]].concat()).expect(DONE);
    let told = verify_minted(&home, &[&rule, &["scheduler"][..]].concat()).expect(ROLE);
    assert!(told.next().contains("add NAME --role"), "{told:?}");
}
