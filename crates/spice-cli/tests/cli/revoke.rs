//! `spice cluster tls revoke` and `crl`.

use std::fs;

use serde_json::json;

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};
use crate::minted::Issuer;
use crate::terminal::session;

/// The exit code of files that a node would refuse to start with.
const CREDENTIALS: i32 = 10;

/// A home with an authority and two nodes.
fn home() -> Home {
    Home::with_nodes(&["n1", "n2"])
}

fn verify(home: &Home, name: &str, lists: &str) -> Ended {
    home.tls(&format!(
        "verify --cert {name}.pem --key {name}-key.pem {lists}"
    ))
}

fn serial(home: &Home, name: &str) -> String {
    home.identity(name)["serial"].as_str().unwrap().to_owned()
}

#[test]
fn a_revoked_node_is_refused_by_either_list_and_another_is_not() {
    let home = home();
    let told = home
        .tls("revoke n1 --reason key-compromise --yes")
        .expect(DONE)
        .stdout;
    for part in [
        "of n1 (key-compromise)\n",
        "wrote revocation list 1\n",
        "--node-mtls-deny-list-file deny-list.txt",
        "--node-mtls-crl-file crl.pem",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for lists in [
        "--crl crl.pem",
        "--deny-list deny-list.txt",
        "--crl crl.pem --deny-list deny-list.txt",
    ] {
        let ended = verify(&home, "n1", lists).expect(CREDENTIALS);
        assert!(ended.stderr.contains("revoked"), "{lists}: {ended:?}");
        verify(&home, "n2", lists).expect(DONE);
    }
    let shown = home.tls("inspect crl.pem").expect(DONE).stdout;
    assert!(
        shown.contains("keyCompromise") || shown.contains("key-compromise"),
        "{shown}"
    );
}

#[test]
fn without_consent_nothing_is_revoked() {
    let home = home();
    let before = home.everything();
    let ended = home.tls("revoke n1").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("there is no terminal to ask at: Revoke the certificate")
    );
    assert!(ended.stderr.contains(&serial(&home, "n1")), "{ended:?}");
    assert!(ended.next().contains("--yes"), "{ended:?}");
    for answer in ["n", "", "no", "yess"] {
        let asked = session(&home, "", "cluster tls revoke n1", &[answer]);
        assert_eq!(asked.code, REFUSED, "{asked:?}");
        assert!(
            asked.seen.contains("not confirmed; nothing was changed"),
            "{asked:?}"
        );
    }
    assert_eq!(home.everything(), before);
    let asked = session(&home, "", "cluster tls revoke n1", &["y"]);
    assert_eq!(asked.code, DONE, "{asked:?}");
    verify(&home, "n1", "--crl crl.pem").expect(CREDENTIALS);
}

#[test]
fn every_certificate_of_a_node_is_revoked_or_only_those_that_were_replaced() {
    let home = home();
    let first = serial(&home, "n1");
    home.tls("renew n1").expect(DONE);
    let second = serial(&home, "n1");
    let told = home.tls("revoke n1 --replaced --yes").expect(DONE).stdout;
    assert!(told.contains(&first) && !told.contains(&second), "{told}");
    verify(&home, "n1", "--crl crl.pem").expect(DONE);
    let ended = home.tls("revoke n1 --replaced --yes").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("no certificate of `n1` that was replaced"),
        "{ended:?}"
    );
    home.tls("renew n1").expect(DONE);
    let third = serial(&home, "n1");
    let told = home.tls("revoke n1 --yes").expect(DONE).stdout;
    assert!(told.contains(&second) && told.contains(&third), "{told}");
    assert!(!told.contains(&first), "{told}");
}

#[test]
fn a_serial_number_is_taken_as_tools_print_it() {
    let home = home();
    let (n1, n2) = (serial(&home, "n1"), serial(&home, "n2"));
    let pairs: Vec<_> = n1.as_bytes().chunks(2).collect();
    let colons = String::from_utf8(pairs.join(&b':')).unwrap().to_uppercase();
    let told = home
        .tls(&format!("revoke --serial {colons} --yes -o json"))
        .expect(DONE)
        .json();
    assert_eq!(told["revoked"][0]["serial"], json!(n1));
    home.tls(&format!("revoke --serial 0x{n2} --yes"))
        .expect(DONE);
    let ended = home.tls("revoke --serial abcd --yes").expect(REFUSED);
    assert!(ended.stderr.contains("`abcd` was ever issued"), "{ended:?}");
    let list = home.typed(ended.commands()[0]).expect(DONE);
    assert!(list.stdout.contains(&n1), "{list:?}");
}

#[test]
fn what_is_not_believed_anyway_is_refused_with_where_to_look() {
    let home = home();
    let ended = home.tls("revoke n3 --yes").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("no certificate was ever issued for `n3`"),
        "{ended:?}"
    );
    home.typed(ended.commands()[0]).expect(DONE);
    home.tls("revoke n1 --yes").expect(DONE);
    fs::remove_file(home.work().join("crl.pem")).unwrap();
    let ended = home.tls("revoke n1 --yes").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("every certificate of `n1` is revoked already"),
        "{ended:?}"
    );
    for command in ended.commands() {
        home.typed(command).expect(DONE);
    }
    verify(&home, "n1", "--crl crl.pem").expect(CREDENTIALS);
}

#[test]
fn a_deny_list_that_somebody_wrote_is_kept_and_nothing_is_revoked() {
    let home = home();
    home.write("deny-list.txt", "5f3a # stolen laptop\n");
    let before = home.everything();
    let ended = home.tls("revoke n1 --yes").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("deny-list.txt was not written by this authority"),
        "{ended:?}"
    );
    assert!(ended.next().contains("--out DIR"), "{ended:?}");
    assert_eq!(home.everything(), before);
    home.tls("revoke n1 --yes --out lists").expect(DONE);
    assert_eq!(home.read("deny-list.txt"), "5f3a # stolen laptop\n");
    let both = home.read("deny-list.txt") + &home.read("lists/deny-list.txt");
    home.write("deny-list.txt", &both);
    verify(&home, "n1", "--deny-list deny-list.txt").expect(CREDENTIALS);
    let told = verify(&home, "n2", "--deny-list deny-list.txt").expect(DONE);
    assert!(told.stdout.contains("the deny-list of 2"), "{told:?}");
}

#[test]
fn a_revocation_list_of_another_issuer_is_kept_and_nothing_is_revoked() {
    let home = home();
    let other = home.work().join("other");
    fs::create_dir(&other).unwrap();
    Issuer::new(&other).revoke(&[&[1]]);
    fs::copy(other.join("crl.pem"), home.work().join("crl.pem")).unwrap();
    let before = home.everything();
    for line in ["revoke n1 --yes", "crl"] {
        let ended = home.tls(line).expect(REFUSED);
        assert!(
            ended
                .stderr
                .contains("crl.pem belongs to another authority"),
            "{ended:?}"
        );
        assert!(ended.next().contains("--out DIR"), "{ended:?}");
    }
    assert_eq!(home.everything(), before);
    home.tls("revoke n1 --yes --out lists").expect(DONE);
    verify(&home, "n1", "--crl lists/crl.pem").expect(CREDENTIALS);
}

#[test]
fn a_list_is_written_before_anything_was_revoked_and_when_it_is_due() {
    let home = home();
    let told = home.tls("crl").expect(DONE).stdout;
    assert!(told.contains("--node-mtls-crl-file crl.pem"), "{told}");
    assert!(
        told.contains("--node-mtls-deny-list-file deny-list.txt"),
        "{told}"
    );
    for list in ["--crl crl.pem", "--deny-list deny-list.txt"] {
        verify(&home, "n1", list).expect(DONE);
    }
    let due = |line: &str| {
        let document = home.tls(line).expect(DONE).json();
        let date = document["lists"]["next_update"]
            .as_str()
            .unwrap()
            .to_owned();
        (document["lists"]["number"].clone(), date)
    };
    let (whole, days) = (due("crl -o json"), due("crl --crl-days 30 -o json"));
    assert_eq!((whole.0, days.0), (json!(2), json!(3)));
    assert!(days.1 < whole.1, "{} {}", days.1, whole.1);
}

#[test]
fn during_a_rotation_there_is_a_list_of_each_root() {
    let home = home();
    home.tls("revoke n1 --yes").expect(DONE);
    let lists = || home.read("crl.pem").matches("BEGIN X509 CRL").count();
    assert_eq!(lists(), 1);
    let told = home.tls("rotate-ca start").expect(DONE).stdout;
    assert!(
        told.contains("Nodes with --node-mtls-crl-file need a list of each root"),
        "{told}"
    );
    let line = told
        .split('`')
        .find(|part| part.starts_with("spice cluster tls crl"))
        .unwrap();
    home.typed(line).expect(DONE);
    assert_eq!(lists(), 2);
    home.tls("renew n2").expect(DONE);
    verify(&home, "n2", "--crl crl.pem").expect(DONE);
    verify(&home, "n1", "--crl crl.pem").expect(CREDENTIALS);
}

#[test]
fn a_reason_is_one_of_those_that_lists_know() {
    let home = home();
    let before = home.everything();
    for line in [
        "revoke n1 --reason because --yes",
        "revoke --yes",
        "revoke n1 --serial 5f",
        "revoke --replaced --serial 5f",
        "crl --crl-days 0",
    ] {
        home.tls(line).expect(USAGE);
    }
    assert_eq!(home.everything(), before);
    let help = home.tls("revoke --help").expect(DONE).stdout;
    for reason in [
        "key-compromise",
        "superseded",
        "cessation-of-operation",
        "unspecified",
    ] {
        assert!(help.contains(reason), "{reason}: {help}");
    }
    home.tls("revoke n1 --reason superseded -y").expect(DONE);
}
