//! `spice cluster tls rotate-ca`.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};
use crate::terminal::session;

/// The exit code of files that a node would refuse to start with.
const CREDENTIALS: i32 = 10;

/// A home with an authority and two nodes.
fn home() -> Home {
    Home::with_nodes(&["n1", "n2"])
}

/// Copies files to where a node has them: what was rolled out, whatever happens here later.
fn roll_out(home: &Home, directory: &str, files: &[&str]) {
    let to = home.work().join(directory);
    fs::create_dir_all(&to).unwrap();
    for file in files {
        let _ = fs::remove_file(to.join(file));
        fs::copy(home.work().join(file), to.join(file)).unwrap();
    }
}

/// Whether a node with this `ca.pem` believes these files of `n1`.
fn verify(home: &Home, ca: &str, directory: &str) -> Ended {
    home.tls(&format!(
        "verify --ca {ca} --cert {directory}/n1.pem --key {directory}/n1-key.pem"
    ))
}

fn status(home: &Home) -> Value {
    home.tls("rotate-ca status -o json").expect(DONE).json()
}

/// The lines of a report that are commands to be typed.
fn commands(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches(['2', '4', '.', ' ']));
    lines.filter(|line| line.starts_with("spice ")).collect()
}

#[test]
fn a_root_is_exchanged_without_a_moment_in_which_nodes_refuse_each_other() {
    let home = home();
    roll_out(&home, "old", &["ca.pem", "n1.pem", "n1-key.pem"]);
    verify(&home, "old/ca.pem", "old").expect(DONE);

    let started = home.tls("rotate-ca start").expect(DONE).stdout;
    assert!(
        started.starts_with("root 2 signs from now on\n"),
        "{started}"
    );
    assert!(started.contains("not renewed     2 (n1, n2)"), "{started}");
    roll_out(&home, "both", &["ca.pem"]);
    // The old certificates are believed by nodes that have both roots and by those that do not.
    verify(&home, "both/ca.pem", "old").expect(DONE);
    verify(&home, "old/ca.pem", "old").expect(DONE);

    let commands = commands(&started);
    assert_eq!(commands.len(), 2, "{started}");
    home.typed(commands[0]).expect(DONE);
    roll_out(&home, "new", &["n1.pem", "n1-key.pem"]);
    verify(&home, "both/ca.pem", "new").expect(DONE);
    // This is why both roots come first.
    verify(&home, "old/ca.pem", "new").expect(CREDENTIALS);
    let renewed = home.tls("rotate-ca status").expect(DONE).stdout;
    assert!(
        renewed.contains("when ca.pem with both roots and the renewed files are on every node")
    );

    let told = home
        .typed(&format!("{} --yes", commands[1]))
        .expect(DONE)
        .stdout;
    assert!(told.starts_with("the rotation is finished"), "{told}");
    verify(&home, "ca.pem", "new").expect(DONE);
    verify(&home, "ca.pem", "old").expect(CREDENTIALS);
    // Nodes that have both roots still believe everybody.
    verify(&home, "both/ca.pem", "new").expect(DONE);
    assert!(
        !home.pki().join("ca-1-key.pem").exists(),
        "its key is destroyed"
    );
    assert!(home.pki().join("ca-2-key.pem").exists());
    home.tls("add n3").expect(DONE);
    home.identity("n3");
}

#[test]
fn status_says_where_it_stands_and_needs_no_rotation() {
    let home = home();
    let told = home.tls("rotate-ca status").expect(DONE).stdout;
    assert!(
        told.starts_with("no rotation of the root is under way\n"),
        "{told}"
    );
    assert_eq!(status(&home)["under_way"], false);
    assert_eq!(status(&home)["retiring"], Value::Null);
    home.tls("rotate-ca start").expect(DONE);
    home.tls("renew n2").expect(DONE);
    let document = status(&home);
    assert_eq!(document["under_way"], true);
    assert_eq!(
        (&document["renewed"], &document["not_renewed"]),
        (&json!(["n2"]), &json!(["n1"]))
    );
    assert_eq!(document["signing"]["generation"], 2);
    assert_eq!(document["retiring"]["generation"], 1);
}

#[test]
fn it_is_not_finished_before_every_node_is_renewed() {
    let home = home();
    home.tls("rotate-ca start").expect(DONE);
    home.tls("renew n2").expect(DONE);
    let before = home.everything();
    // Refused before anybody is asked for a yes.
    for line in ["rotate-ca finish", "rotate-ca finish --yes"] {
        let ended = home.tls(line).expect(REFUSED);
        assert!(
            ended.stderr.contains("1 node is not renewed yet: n1"),
            "{ended:?}"
        );
    }
    assert_eq!(home.everything(), before);
    let ended = home.tls("rotate-ca finish --yes").expect(REFUSED);
    home.typed(ended.commands()[0]).expect(DONE);
    home.tls("rotate-ca finish --yes").expect(DONE);
}

#[test]
fn a_node_is_left_behind_only_by_name() {
    let home = home();
    home.tls("rotate-ca start").expect(DONE);
    home.tls("renew n2").expect(DONE);
    for (names, message) in [
        (
            "--abandon n2",
            "`n2` has no certificate of the old root in use",
        ),
        (
            "--abandon n1 --abandon n7",
            "`n7` has no certificate of the old root in use",
        ),
    ] {
        let ended = home
            .tls(&format!("rotate-ca finish --yes {names}"))
            .expect(REFUSED);
        assert!(ended.stderr.contains(message), "{ended:?}");
        home.typed(ended.commands()[0]).expect(DONE);
    }
    let asked = home.tls("rotate-ca finish --abandon n1").expect(REFUSED);
    assert!(
        asked.stderr.contains("destroy its key? Cut off n1?"),
        "{asked:?}"
    );
    home.tls("rotate-ca finish --abandon n1 --yes").expect(DONE);
    roll_out(&home, "left", &["n1.pem", "n1-key.pem"]);
    verify(&home, "ca.pem", "left").expect(CREDENTIALS);
    home.identity("n2");
    // It can come back.
    home.tls("renew n1").expect(DONE);
    home.identity("n1");
}

#[test]
fn steps_out_of_order_say_which_is_next() {
    let home = home();
    let before = home.everything();
    for line in [
        "rotate-ca finish",
        "rotate-ca abort",
        "rotate-ca abort --yes",
    ] {
        let ended = home.tls(line).expect(REFUSED);
        assert!(
            ended.stderr.contains("no rotation is under way"),
            "{ended:?}"
        );
        assert_eq!(ended.commands(), ["spice cluster tls rotate-ca start"]);
    }
    assert_eq!(home.everything(), before);
    home.tls("rotate-ca start").expect(DONE);
    let before = home.everything();
    let ended = home.tls("rotate-ca start").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("a rotation is under way since root 2 replaces root 1")
    );
    home.typed(ended.commands()[0]).expect(DONE);
    assert_eq!(home.everything(), before);
    for line in [
        "rotate-ca",
        "rotate-ca start --yes",
        "rotate-ca start --encrypt --no-encrypt",
        "rotate-ca finish n1",
    ] {
        assert_eq!(home.tls(line).code, USAGE, "{line}");
    }
}

#[test]
fn without_a_yes_no_root_is_dropped() {
    let home = home();
    home.tls("rotate-ca start").expect(DONE);
    home.tls("renew --retiring").expect(DONE);
    let before = home.everything();
    for step in ["finish", "abort"] {
        let ended = home.tls(&format!("rotate-ca {step}")).expect(REFUSED);
        assert!(
            ended.stderr.contains("there is no terminal to ask at"),
            "{ended:?}"
        );
        let asked = session(&home, "", &format!("cluster tls rotate-ca {step}"), &["n"]);
        assert_eq!(asked.code, REFUSED, "{asked:?}");
    }
    assert_eq!(home.everything(), before);
    let asked = session(&home, "", "cluster tls rotate-ca finish", &["yes"]);
    assert_eq!(asked.code, DONE, "{asked:?}");
    assert!(
        asked
            .seen
            .contains("Drop root 1 and destroy its key? [y/N]"),
        "{asked:?}"
    );
    assert_eq!(status(&home)["under_way"], false);
}

#[test]
fn what_nobody_relies_on_is_undone_at_once() {
    let home = home();
    let ca = home.read("ca.pem");
    home.tls("rotate-ca start").expect(DONE);
    assert_ne!(home.read("ca.pem"), ca);
    let asked = session(&home, "", "cluster tls rotate-ca abort", &["y"]);
    assert_eq!(asked.code, DONE, "{asked:?}");
    assert!(asked.seen.contains("Go back to root 1? [y/N]"), "{asked:?}");
    assert!(
        asked.seen.contains("everything is as before it"),
        "{asked:?}"
    );
    assert_eq!(home.read("ca.pem"), ca);
    assert!(!home.pki().join("ca-2-key.pem").exists());
    home.identity("n1");
}

#[test]
fn what_nodes_rely_on_already_is_turned_back_by_renewing_them() {
    let home = home();
    home.tls("rotate-ca start").expect(DONE);
    home.tls("renew n1").expect(DONE);
    let told = home.tls("rotate-ca abort --yes").expect(DONE).stdout;
    assert!(
        told.starts_with("the old root signs again; nodes must be renewed once more"),
        "{told}"
    );
    // Both are believed until then.
    home.identity("n1");
    home.identity("n2");
    let commands = commands(&told);
    home.typed(commands[0]).expect(DONE);
    home.typed(&format!("{} --yes", commands[1])).expect(DONE);
    assert_eq!(status(&home)["signing"]["generation"], 1);
    home.identity("n1");
    home.identity("n2");
}

#[test]
fn the_key_that_a_run_left_which_died_is_destroyed_by_the_next_one() {
    let home = home();
    let key = home.pki().join("ca-1-key.pem");
    let left = home.work().join("left.pem");
    home.tls("rotate-ca start").expect(DONE);
    home.tls("renew --retiring").expect(DONE);
    fs::copy(&key, &left).unwrap();
    home.tls("rotate-ca finish --yes").expect(DONE);
    fs::copy(&left, &key).unwrap();
    let told = home.tls("rotate-ca status").expect(DONE).stdout;
    assert!(told.contains("left over  "), "{told}");
    let typed = told.split('`').find(|part| part.starts_with("spice "));
    let typed = typed.unwrap();
    let ended = home.typed(typed).expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("Destroy the keys of roots that are out of use?"),
        "{ended:?}"
    );
    assert!(key.exists());
    home.typed(&format!("{typed} --yes")).expect(DONE);
    assert!(!key.exists());
    assert!(home.pki().join("ca-2-key.pem").exists());
    home.tls("rotate-ca finish").expect(REFUSED);
}

#[test]
fn the_new_root_is_what_was_asked_for() {
    let home = home();
    let line = "rotate-ca start --key-type ed25519 --days 400 --out .";
    home.tls(line).expect(DONE);
    let shown = home.tls("inspect ca.pem").expect(DONE).stdout;
    assert!(
        shown.contains("Ed25519") && shown.contains("P-256"),
        "{shown}"
    );
    home.tls("renew --retiring").expect(DONE);
    let shown = home.tls("inspect n1.pem").expect(DONE).stdout;
    assert!(shown.contains("Ed25519"), "{shown}");
    home.identity("n1");
}

#[test]
fn roots_of_another_authority_stop_it_before_anything_changes() {
    let home = home();
    home.tls("init --pki-dir other --out elsewhere")
        .expect(DONE);
    let before = home.everything();
    let ended = home.tls("rotate-ca start --out elsewhere").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("elsewhere/ca.pem belongs to another authority"),
        "{ended:?}"
    );
    assert!(ended.next().contains("--out DIR"), "{ended:?}");
    assert_eq!(home.everything(), before);
    home.tls("rotate-ca start").expect(DONE);
}

#[test]
fn what_turned_back_does_not_turn_again() {
    let home = home();
    home.tls("rotate-ca start").expect(DONE);
    home.tls("renew n1").expect(DONE);
    home.tls("rotate-ca abort --yes").expect(DONE);
    let before = home.everything();
    let ended = home.tls("rotate-ca abort --yes").expect(REFUSED);
    assert!(
        ended.stderr.contains("has turned back to root 1 already"),
        "{ended:?}"
    );
    assert_eq!(home.everything(), before);
    let commands = ended.commands();
    home.typed(commands[0]).expect(DONE);
    home.typed(&format!("{} --yes", commands[1])).expect(DONE);
    assert_eq!(status(&home)["signing"]["generation"], 1);
    home.identity("n1");
}
