//! `spice cluster tls renew`.

use std::fs;
use std::time::SystemTime;

use cluster_pki::{Authority, InitRequest, LeafRequest};
use serde_json::json;

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE, mode};
use crate::minted::DAY;

fn with_node(line: &str) -> Home {
    let home = Home::with_authority();
    home.tls(line).expect(DONE);
    home
}

/// A node that made its own key: its certificate was signed for a request.
fn add_with_own_key(home: &Home, name: &str) {
    home.tls(&format!("csr {name}")).expect(DONE);
    assert_eq!(home.tls(&format!("sign {name}.csr --yes")).code, DONE);
}

/// What is told where no node is due, of an authority with as many certificates in use.
fn nothing_is_due(home: &Home, in_use: usize) -> String {
    let pki = home.pki();
    let pki = pki.display();
    format!("nothing is due: {pki} has {in_use} certificates in use\n")
}

/// Exit code 1, told by an error that comes after warnings.
fn refused_after_warnings(ended: Ended) -> Ended {
    assert_eq!(ended.code, REFUSED, "{ended:#?}");
    assert!(ended.stderr.starts_with("warning: "), "{ended:#?}");
    assert!(ended.stderr.contains("\nerror: "), "{ended:#?}");
    ended
}

#[test]
fn a_renewed_node_has_the_same_names_and_role_and_another_key() {
    let home = with_node("add worker7 --role executor --host 10.0.0.7 --days 90");
    let (before, key) = (home.identity("worker7"), home.read("worker7-key.pem"));
    let told = home.tls("renew worker7").expect(DONE).stdout;
    let after = home.identity("worker7");
    for same in ["uri", "role", "names"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_ne!(before["serial"], after["serial"]);
    assert_eq!(after["expires_in_days"], 89, "as many as before");
    assert_ne!(home.read("worker7-key.pem"), key);
    assert_eq!(mode(&home.work().join("worker7-key.pem")), 0o600);
    assert_eq!(home.files(), ["ca.pem", "worker7-key.pem", "worker7.pem"]);
    assert!(
        told.contains("next: give each node its new files;"),
        "{told}"
    );
    // The last line, with the name that it leaves open.
    let line = told.lines().last().unwrap().trim();
    assert_eq!(line, "spice cluster tls revoke NAME --replaced");
    let typed = line.replace("NAME", "worker7") + " --yes";
    let revoked = home.typed(&typed).expect(DONE).stdout;
    assert!(
        revoked.contains(before["serial"].as_str().unwrap()),
        "{revoked}"
    );
    home.identity("worker7");
}

#[test]
fn other_days_are_asked_for_and_remembered() {
    let home = Home::with_nodes(&["n1"]);
    home.tls("renew n1 --days 40").expect(DONE);
    assert_eq!(home.identity("n1")["expires_in_days"], 39);
    home.tls("renew n1").expect(DONE);
    assert_eq!(home.identity("n1")["expires_in_days"], 39);
    let ended = home.tls("renew n1 --days 3651").expect(REFUSED);
    assert!(ended.stderr.contains("at most 3650"), "{ended:?}");
    assert_eq!(ended.next(), "ask for fewer with --days DAYS");
}

#[test]
fn of_all_nodes_those_that_cannot_be_renewed_keep_none_of_the_others_waiting() {
    let home = Home::with_nodes(&["n1"]);
    add_with_own_key(&home, "own1");
    home.tls("add lost1 --host 10.0.0.7 --role executor")
        .expect(DONE);
    home.tls("add n2").expect(DONE);
    for file in ["lost1.pem", "lost1-key.pem"] {
        fs::remove_file(home.work().join(file)).unwrap();
    }
    let before = [home.identity("n1"), home.identity("n2")];
    let ended = refused_after_warnings(home.tls("renew --all"));
    for part in [
        "warning: own1: the key of `own1` is its own",
        "warning: lost1: lost1.pem does not exist",
        "error: 2 nodes were not renewed",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    assert_ne!(before, [home.identity("n1"), home.identity("n2")]);
    let document = refused_after_warnings(home.tls("renew --all -o json")).json();
    assert_eq!(document["renewed"].as_array().unwrap().len(), 2);
    assert_eq!(document["refused"][0]["name"], "own1");
    assert_eq!(document["refused"][1]["name"], "lost1");

    // What it says to type for each leads to what is to be typed for that one.
    let line = ended.commands()[0].replace("NAME", "own1");
    let own = home.typed(&line).expect(REFUSED);
    let commands = own.commands();
    home.typed(commands[0]).expect(DONE);
    assert_eq!(home.typed(&format!("{} --yes", commands[1])).code, DONE);
    let line = ended.commands()[0].replace("NAME", "lost1");
    let lost = home.typed(&line).expect(REFUSED);
    home.typed(lost.commands()[0]).expect(DONE);
    let lost = home.identity("lost1");
    assert_eq!(lost["role"], "executor");
    let names = [
        "lost1",
        "lost1.cluster.local",
        "10.0.0.7",
        "localhost",
        "127.0.0.1",
        "::1",
    ];
    assert_eq!(lost["names"], json!(names));
    home.identity("next/own1");
}

#[test]
fn one_refusal_among_many_is_told_as_if_it_were_the_only_node() {
    let home = Home::with_nodes(&["n1"]);
    add_with_own_key(&home, "own1");
    let ended = home.tls("renew --all").expect(REFUSED);
    assert!(ended.stdout.contains("\nn1 "), "{ended:?}");
    assert!(
        ended
            .next()
            .contains("`spice cluster tls csr own1 --out next`")
    );
}

#[test]
fn a_second_run_of_cron_finds_nothing_to_do_and_is_quiet() {
    let home = Home::new();
    let past = SystemTime::now() - 340 * DAY;
    let request = InitRequest {
        out: Some(home.work()),
        ..InitRequest::default()
    };
    let mut authority = Authority::init(&home.pki(), &request, past).unwrap();
    let old = LeafRequest::new("old1".parse().unwrap(), home.work());
    authority.issue(&old, past).unwrap();
    drop(authority);
    home.tls("add new1").expect(DONE);
    let new = home.identity("new1");
    let cron = |within: &str| {
        home.tls(&format!("renew --all --within {within}"))
            .expect(DONE)
    };
    assert_eq!(cron("24d").stdout, nothing_is_due(&home, 2));
    let first = cron("26d");
    assert!(first.stdout.contains("\nold1 "), "{first:?}");
    assert!(!first.stdout.contains("\nnew1 "), "{first:?}");
    let second = cron("26d");
    assert_eq!(
        (second.stdout, second.stderr.as_str()),
        (nothing_is_due(&home, 2), "")
    );
    assert_eq!(home.identity("new1"), new);
    let hours = cron("8784h");
    assert!(hours.stdout.contains("\nnew1 "), "{hours:?}");
}

#[test]
fn during_a_rotation_the_nodes_of_the_old_root_are_renewed_and_no_others() {
    let home = Home::with_nodes(&["n1"]);
    home.tls("rotate-ca start").expect(DONE);
    home.tls("add n2").expect(DONE);
    let n2 = home.identity("n2");
    let told = home.tls("renew --retiring").expect(DONE).stdout;
    assert!(told.contains("\nn1 "), "{told}");
    assert_eq!(home.identity("n2"), n2);
    let told = home.tls("renew --retiring").expect(DONE).stdout;
    assert_eq!(told, nothing_is_due(&home, 2));
}

#[test]
fn a_node_without_a_certificate_is_told_how_to_get_one() {
    let home = Home::with_authority();
    let ended = home.tls("renew n1").expect(REFUSED);
    assert!(ended.stderr.contains("`n1` has no certificate to renew"));
    for line in ended.commands() {
        home.typed(line).expect(DONE);
    }
    home.tls("renew n1").expect(DONE);
}

#[test]
fn a_revoked_node_is_not_renewed_and_is_told_how_to_come_back_as_it_was() {
    let home = with_node("add executor1 --role node --host e.example --no-localhost");
    let before = home.identity("executor1");
    home.tls("revoke executor1 --yes").expect(DONE);
    let ended = home.tls("renew executor1").expect(REFUSED);
    assert!(ended.stderr.contains("was revoked"), "{ended:?}");
    home.typed(ended.commands()[0]).expect(DONE);
    let after = home.identity("executor1");
    for same in ["uri", "role", "names"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    let told = home.tls("renew --all").expect(DONE).stdout;
    assert!(told.contains("\nexecutor1 "), "{told}");
}

#[test]
fn a_revoked_node_is_none_of_all() {
    let home = Home::with_nodes(&["n1"]);
    home.tls("revoke n1 --yes").expect(DONE);
    assert_eq!(
        home.tls("renew --all").expect(DONE).stdout,
        nothing_is_due(&home, 0)
    );
}

#[test]
fn in_the_wrong_directory_nothing_is_renewed() {
    let home = with_node("add n1 --out nodes");
    let before = home.everything();
    let ended = home.tls("renew n1").expect(REFUSED);
    assert!(ended.stderr.contains("n1.pem does not exist"), "{ended:?}");
    assert_eq!(home.everything(), before);
    // It is known where they were written to.
    let told = home.typed(ended.commands()[0]).expect(DONE).stdout;
    assert!(
        told.contains("/nodes; a running node takes them up"),
        "{told}"
    );
    assert_ne!(home.everything(), before);
    let told = home.tls("renew n1 --out nodes").expect(DONE).stdout;
    assert!(told.contains("new files from nodes;"), "{told}");
    // Moved by hand: then it is not.
    fs::rename(home.work().join("nodes"), home.work().join("moved")).unwrap();
    let ended = home.tls("renew n1 --out nodes").expect(REFUSED);
    assert!(
        ended
            .next()
            .starts_with("name the directory that has the node's files"),
        "{ended:?}"
    );
    home.tls("renew n1 --out moved").expect(DONE);
}

#[test]
fn what_is_to_be_renewed_is_said_in_one_way() {
    let home = Home::with_nodes(&["n1"]);
    let before = home.everything();
    for line in [
        "renew",
        "renew n1 --all",
        "renew --all --retiring",
        "renew n1 --within 30d",
        "renew --all --within 30",
        "renew --all --days 0",
    ] {
        home.tls(line).expect(USAGE);
    }
    assert_eq!(home.everything(), before);
}

#[test]
fn another_pki_directory_is_part_of_what_to_type_next() {
    let home = Home::new();
    home.tls("init --pki-dir pki").expect(DONE);
    home.tls("add n1 --pki-dir pki").expect(DONE);
    let told = home.tls("renew n1 --pki-dir pki").expect(DONE).stdout;
    let line = told.lines().last().unwrap().trim().replace("NAME", "n1");
    home.typed(&format!("{line} --yes")).expect(DONE);
}

#[test]
fn lost_files_are_written_anew_only_when_that_is_asked_for() {
    let home = Home::with_nodes(&["executor1"]);
    let before = home.identity("executor1");
    fs::remove_file(home.work().join("executor1-key.pem")).unwrap();
    home.tls("renew executor1").expect(DONE);
    home.identity("executor1");
    for file in ["executor1-key.pem", "executor1.pem"] {
        fs::remove_file(home.work().join(file)).unwrap();
    }
    let lost = home.everything();
    let ended = home.tls("renew executor1").expect(REFUSED);
    assert_eq!(
        ended.commands(),
        ["spice cluster tls renew executor1 --force"]
    );
    assert_eq!(home.everything(), lost);
    home.typed(ended.commands()[0]).expect(DONE);
    let after = home.identity("executor1");
    for same in ["uri", "role", "names"] {
        assert_eq!(before[same], after[same], "{same}");
    }
}
