//! An authority whose key has a passphrase.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};
use crate::terminal::session;

const PASSPHRASE: &str = "correct horse";

/// With the passphrase of the authority in its variable.
fn with_variable(home: &Home, passphrase: &str, line: &str) -> Ended {
    let words = ["cluster", "tls"].into_iter().chain(line.split(' '));
    let mut command = home.command(&words.collect::<Vec<_>>());
    command.env("SPICE_CA_PASSPHRASE", passphrase);
    Ended::new(command.output().unwrap())
}

/// A home with an authority under the passphrase, which is in `secret` too.
fn sealed() -> Home {
    let home = Home::new();
    home.write_private("secret", "correct horse\n");
    home.tls("init --encrypt --passphrase-file secret")
        .expect(DONE);
    home
}

fn is_sealed(home: &Home, key: &str) -> bool {
    let pem = fs::read_to_string(home.pki().join(key)).unwrap();
    pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
}

fn spice(line: &str) -> Vec<&str> {
    ["cluster", "tls"]
        .into_iter()
        .chain(line.split(' '))
        .collect()
}

/// That all ways to give a passphrase are told.
fn assert_tells_the_ways(ended: &Ended) {
    for way in [
        "--passphrase-file FILE",
        "SPICE_CA_PASSPHRASE",
        "at a terminal",
    ] {
        assert!(ended.next().contains(way), "{way}: {ended:?}");
    }
}

#[test]
fn it_is_chosen_in_a_variable_on_standard_input_or_at_the_terminal_as_in_a_file() {
    let chosen: [&dyn Fn(&Home); 3] = [
        &|home| {
            with_variable(home, PASSPHRASE, "init --encrypt").expect(DONE);
        },
        &|home| {
            let args = spice("init --encrypt --passphrase-file -");
            home.spice_with_input(&args, "correct horse\n").expect(DONE);
        },
        &|home| {
            let asked = session(
                home,
                "",
                "cluster tls init --encrypt",
                &[PASSPHRASE, PASSPHRASE],
            );
            assert_eq!(asked.code, DONE, "{asked:?}");
            assert!(
                asked
                    .seen
                    .contains("New passphrase for the authority's key: "),
                "{asked:?}"
            );
        },
    ];
    for choose in chosen {
        let home = Home::new();
        choose(&home);
        assert!(is_sealed(&home, "ca-1-key.pem"));
        with_variable(&home, PASSPHRASE, "add n1").expect(DONE);
        home.identity("n1");
        assert!(
            !home.read("n1-key.pem").contains("ENCRYPTED"),
            "a node must read its key"
        );
    }
}

#[test]
fn it_opens_the_key_in_every_way_and_another_one_in_none() {
    let home = sealed();
    home.write_private("wrong", "incorrect horse\n");
    let line = "add n1 --passphrase-file";
    let stdin = |input| home.spice_with_input(&spice("add n1 --force --passphrase-file -"), input);
    let refused = [
        home.tls(&format!("{line} wrong")),
        with_variable(&home, "incorrect horse", "add n1"),
        stdin(""),
    ];
    for ended in refused {
        let ended = ended.expect(REFUSED);
        assert!(ended.stderr.contains("ca-1-key.pem"), "{ended:?}");
        assert!(!ended.stderr.contains("incorrect horse"), "{ended:?}");
        assert_tells_the_ways(&ended);
    }
    let asked = session(&home, "", "cluster tls add n1", &["incorrect horse"]);
    assert_eq!(asked.code, REFUSED, "{asked:?}");
    assert!(asked.seen.contains("the passphrase is wrong"), "{asked:?}");
    assert_eq!(home.files(), ["ca.pem", "secret", "wrong"]);

    home.tls(&format!("{line} secret")).expect(DONE);
    stdin("correct horse\n").expect(DONE);
    let asked = session(&home, "", "cluster tls renew n1", &[PASSPHRASE]);
    assert_eq!(asked.code, DONE, "{asked:?}");
    assert!(asked.seen.contains("Passphrase of "), "{asked:?}");
    home.identity("n1");
}

#[test]
fn without_it_nothing_is_signed_and_the_ways_are_told() {
    let home = sealed();
    home.tls("add n1 --passphrase-file secret").expect(DONE);
    home.tls("csr own1").expect(DONE);
    home.write("nodes.csv", "name\nn2\n");
    let before = home.everything();
    for line in [
        "add n2",
        "add --from nodes.csv",
        "sign own1.csr --name own1",
        "renew n1",
        "renew --all",
        "revoke n1 --yes",
        "crl",
        "rotate-ca start",
    ] {
        let ended = home.tls(line).expect(REFUSED);
        assert!(
            ended
                .stderr
                .contains("the key has a passphrase, which was not given"),
            "{ended:?}"
        );
        assert_tells_the_ways(&ended);
    }
    // An empty variable is how scripts say that there is none.
    assert_tells_the_ways(&with_variable(&home, "", "renew n1").expect(REFUSED));
    assert_eq!(home.everything(), before);
}

#[test]
fn it_is_asked_for_only_to_sign() {
    let home = sealed();
    home.tls("add n1 --passphrase-file secret").expect(DONE);
    home.write("nodes.csv", "name\nn1\n");
    for line in [
        "list",
        "list --all -o json",
        "inspect ca.pem",
        "rotate-ca status",
        "verify --cert n1.pem --key n1-key.pem",
        "bundle n1 --format pem",
        "csr own1",
        // These find nothing to sign.
        "renew --all --within 30d",
        "renew --retiring",
        "add --from nodes.csv --skip-existing",
    ] {
        home.tls(line).expect(DONE);
    }
}

#[test]
fn one_that_protects_nothing_is_refused() {
    let home = Home::new();
    home.write_private("short", "sevenxx\n");
    home.write_private("empty", "\n");
    home.write("open", "correct horse\n");
    let open = home.work().join("open");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink("short", home.work().join("link")).unwrap();
    for (file, message) in [
        ("short", "7 characters is too short, use 8 or more"),
        ("empty", "the passphrase is empty"),
        ("open", "others may read it"),
        ("link", "it is a symbolic link"),
        ("missing", "cannot read missing"),
    ] {
        let ended = home
            .tls(&format!("init --encrypt --passphrase-file {file}"))
            .expect(REFUSED);
        assert!(ended.stderr.contains(message), "{file}: {ended:?}");
        assert_tells_the_ways(&ended);
    }
    let ended = home.tls("init --encrypt").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("the authority's key needs a passphrase"),
        "{ended:?}"
    );
    assert_tells_the_ways(&ended);
    let asked = session(
        &home,
        "",
        "cluster tls init --encrypt",
        &[PASSPHRASE, "correct house"],
    );
    assert_eq!(asked.code, REFUSED, "{asked:?}");
    assert!(
        asked.seen.contains("the two passphrases differ"),
        "{asked:?}"
    );
    assert!(!home.pki().exists());
    fs::set_permissions(&open, fs::Permissions::from_mode(0o600)).unwrap();
    home.tls("init --encrypt --passphrase-file open")
        .expect(DONE);
}

#[test]
fn a_rotation_keeps_it_and_one_is_enough_for_both_keys() {
    let home = sealed();
    home.tls("add n1 --passphrase-file secret").expect(DONE);
    let asked = session(&home, "", "cluster tls rotate-ca start", &[PASSPHRASE]);
    assert_eq!(asked.code, DONE, "{asked:?}");
    assert_eq!(asked.seen.matches("assphrase").count(), 1, "{asked:?}");
    for key in ["ca-1-key.pem", "ca-2-key.pem"] {
        assert!(is_sealed(&home, key), "{key}");
    }
    // Lists are signed by both roots.
    let asked = session(&home, "", "cluster tls crl", &[PASSPHRASE]);
    assert_eq!(asked.code, DONE, "{asked:?}");
    assert_eq!(asked.seen.matches("assphrase").count(), 1, "{asked:?}");
    let args = spice("renew --retiring --passphrase-file -");
    home.spice_with_input(&args, "correct horse\n").expect(DONE);
    home.tls("rotate-ca finish --yes").expect(DONE);
    assert!(is_sealed(&home, "ca-2-key.pem"));
}

#[test]
fn a_rotation_drops_it_or_begins_it_when_asked_to() {
    let home = sealed();
    home.tls("rotate-ca start --no-encrypt").expect(DONE);
    assert!(!is_sealed(&home, "ca-2-key.pem"));
    home.tls("rotate-ca finish --yes").expect(DONE);
    home.tls("add n1").expect(DONE);
    let ended = home.tls("rotate-ca start --encrypt").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("the new root's key needs a passphrase"),
        "{ended:?}"
    );
    assert_tells_the_ways(&ended);
    home.tls("rotate-ca start --encrypt --passphrase-file secret")
        .expect(DONE);
    assert!(is_sealed(&home, "ca-3-key.pem"));
    home.tls("renew n1").expect(REFUSED);
    home.tls("renew n1 --passphrase-file secret").expect(DONE);
    home.tls("init --encrypt --no-encrypt").expect(USAGE);
}

#[test]
fn one_that_is_given_is_used_and_init_says_whether_there_is_one() {
    let home = Home::new();
    let told = with_variable(&home, PASSPHRASE, "init -o json").expect(DONE);
    assert_eq!(told.json()["key_encrypted"], true);
    assert!(is_sealed(&home, "ca-1-key.pem"));
    let home = Home::new();
    home.write_private("secret", "correct horse\n");
    let told = home
        .tls("init --passphrase-file secret")
        .expect(DONE)
        .stdout;
    assert!(told.contains("  encrypted with the passphrase\n"), "{told}");
    assert!(is_sealed(&home, "ca-1-key.pem"));
    // An empty variable is none.
    let home = Home::new();
    let told = with_variable(&home, "", "init").expect(DONE).stdout;
    assert!(
        told.contains("  without a passphrase; --encrypt asks for one\n"),
        "{told}"
    );
    assert!(!is_sealed(&home, "ca-1-key.pem"));
}
