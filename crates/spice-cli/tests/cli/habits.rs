//! What people type who have not read the manual: each message says what happened and what next.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::SystemTime;

use cluster_pki::{Authority, Days, InitRequest, LeafRequest};

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};
use crate::minted::DAY;

fn with_node() -> Home {
    Home::with_nodes(&["n1"])
}

/// The home of an authority of 30 days that is 60 days old, and of a node of the same age.
fn with_expired_authority() -> Home {
    let home = Home::new();
    let past = SystemTime::now() - 60 * DAY;
    let request = InitRequest {
        days: Days::new(30).unwrap(),
        out: Some(home.work()),
        ..InitRequest::default()
    };
    let mut authority = Authority::init(&home.pki(), &request, past).unwrap();
    let node = LeafRequest::new("n1".parse().unwrap(), home.work());
    authority.issue(&node, past).unwrap();
    home
}

#[test]
fn every_command_before_init_says_how_to_begin() {
    let home = Home::new();
    home.tls("csr own1").expect(DONE);
    home.write("nodes.csv", "name\nn1\n");
    for line in [
        "add n1",
        "add --from nodes.csv",
        "sign own1.csr --name own1",
        "list",
        "renew --all",
        "revoke n1 --yes",
        "crl",
        "rotate-ca start",
        "rotate-ca status",
        "rotate-ca finish --yes",
        "rotate-ca abort --yes",
    ] {
        let ended = home.tls(line).expect(REFUSED);
        assert!(
            ended.stderr.contains("there is no authority in"),
            "{line}: {ended:?}"
        );
        assert_eq!(ended.commands(), ["spice cluster tls init"], "{line}");
    }
    assert!(!home.pki().exists(), "nothing is left by a refusal");
    let ended = home.tls("add n1").expect(REFUSED);
    home.typed(ended.commands()[0]).expect(DONE);
    home.tls("add n1").expect(DONE);
}

#[test]
fn the_authority_is_not_added() {
    let home = Home::with_authority();
    let ended = home.tls("add ca").expect(USAGE);
    assert!(ended.stderr.contains("`ca` is reserved"), "{ended:?}");
    assert!(ended.stderr.contains("--help"), "{ended:?}");
    home.tls("add ca1").expect(DONE);
}

#[test]
fn adding_twice_says_how_to_renew_and_how_to_start_over() {
    let home = with_node();
    let ended = home.tls("add n1").expect(REFUSED);
    let commands = ended.commands();
    assert_eq!(commands.len(), 2, "{ended:?}");
    for command in commands {
        home.typed(command).expect(DONE);
    }
    // What is to be typed leads to where the files are.
    home.tls("add n3 --out nodes").expect(DONE);
    let ended = home.tls("add n3 --out nodes").expect(REFUSED);
    for command in ended.commands() {
        home.typed(command).expect(DONE);
    }
    let ended = home.tls("init").expect(REFUSED);
    assert!(
        ended.stderr.contains("there is an authority in"),
        "{ended:?}"
    );
    let add = ended.commands()[0].replace("NAME", "n2");
    home.typed(&add).expect(DONE);
    home.typed(ended.commands()[1]).expect(DONE);
}

#[test]
fn a_directory_that_nobody_can_write_to_is_told_with_another_way() {
    let home = with_node();
    home.write("file", "");
    let before = home.everything();
    for line in [
        "add n2 --out file",
        "add n2 --out /proc/spice",
        "renew n1 --out file",
        "revoke n1 --yes --out file",
        "crl --out file",
        "rotate-ca start --out /proc/spice",
        "init --pki-dir file --out out",
        "init --pki-dir /proc/spice --out out",
    ] {
        let ended = home.tls(line).expect(REFUSED);
        assert!(ended.next().contains("--out"), "{line}: {ended:?}");
        let machine = home.tls(&format!("{line} --machine"));
        assert!(
            machine.stderr.contains(r#""code":"io""#) || line.starts_with("renew"),
            "{machine:?}"
        );
    }
    assert_eq!(home.everything(), before);
    home.tls("add n2 --out out").expect(DONE);
}

#[test]
fn an_authority_that_expired_is_exchanged_for_one_that_has_not() {
    let home = with_expired_authority();
    home.write("nodes.csv", "name\nn2\n");
    for line in ["add n2", "renew n1", "add --from nodes.csv"] {
        let ended = home.tls(line).expect(REFUSED);
        assert!(
            ended.stderr.contains("the authority expired at 20"),
            "{ended:?}"
        );
        assert!(ended.next().starts_with("check the clock"), "{ended:?}");
    }
    let ended = home.tls("crl").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("every root of the authority has expired"),
        "{ended:?}"
    );
    home.typed(ended.commands()[0]).expect(DONE);
    home.tls("renew --all").expect(DONE);
    home.identity("n1");
    home.tls("rotate-ca finish --yes").expect(DONE);
    home.identity("n1");
    home.tls("crl").expect(DONE);
}

#[test]
fn the_key_of_another_node_is_told_apart() {
    let home = with_node();
    home.tls("add n2").expect(DONE);
    let ended = home.tls("verify --cert n1.pem --key n2-key.pem");
    assert_eq!(ended.code, 10, "{ended:?}");
    assert!(ended.stderr.contains(": key: "), "{ended:?}");
    assert!(!ended.next().is_empty());
    home.tls("verify --cert n1.pem --key n1-key.pem")
        .expect(DONE);
    fs::copy(
        home.work().join("n2-key.pem"),
        home.work().join("n1-key.pem"),
    )
    .unwrap();
    let ended = home.tls("bundle n1 --format pem").expect(REFUSED);
    assert!(ended.stderr.contains("n1-key.pem"), "{ended:?}");
    home.typed(ended.commands()[0]).expect(DONE);
    home.tls("bundle n1 --format pem").expect(DONE);
}

#[test]
fn a_wrong_pki_directory_is_named_in_the_message() {
    let home = with_node();
    let ended = home.tls("list --pki-dir pki").expect(REFUSED);
    assert!(
        ended.stderr.contains("there is no authority in pki\n"),
        "{ended:?}"
    );
    // A second authority by mistake is noticed before its files mix with those of the first.
    let ended = home.typed(ended.commands()[0]).expect(REFUSED);
    assert!(
        ended.stderr.contains("ca.pem belongs to another authority"),
        "{ended:?}"
    );
    assert!(ended.next().contains("--pki-dir DIR"), "{ended:?}");
    assert!(!home.work().join("pki").exists());
}

#[test]
fn what_is_damaged_is_named_and_a_backup_heals_it() {
    let home = with_node();
    home.tls("add n2").expect(DONE);
    home.tls("revoke n2 --yes").expect(DONE);
    for (file, line, message) in [
        ("authority.json", "list", "authority.json is damaged"),
        ("issued.jsonl", "list", "line 3 of "),
        ("revoked.jsonl", "list", "line 2 of "),
        ("ca-1.pem", "list", "ca-1.pem is not a CA certificate"),
        (
            "ca-1-key.pem",
            "renew n1",
            "ca-1-key.pem is not a private key",
        ),
    ] {
        let path = home.pki().join(file);
        let backup = fs::read(&path).unwrap();
        let torn: Vec<_> = match file {
            "issued.jsonl" | "revoked.jsonl" => [&backup, &b"{\"name\":\"n"[..]].concat(),
            _ => backup[..backup.len() / 2].to_vec(),
        };
        fs::write(&path, torn).unwrap();
        let before = home.everything();
        for line in [line, "renew n1"] {
            let ended = home.tls(line).expect(REFUSED);
            assert!(ended.stderr.contains(message), "{file}: {ended:?}");
            assert!(ended.next().starts_with("restore "), "{file}: {ended:?}");
            assert!(
                ended.next().contains(".spice/pki from a backup"),
                "{ended:?}"
            );
        }
        assert_eq!(home.everything(), before, "nothing is mended by guessing");
        fs::write(&path, backup).unwrap();
        home.tls(line).expect(DONE);
    }
    let key = home.pki().join("ca-1-key.pem");
    fs::write(&key, home.read("n1-key.pem")).unwrap();
    let ended = home.tls("renew n1").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("is not the key of the authority's certificate"),
        "{ended:?}"
    );
    assert!(ended.next().starts_with("restore "), "{ended:?}");
    fs::remove_file(&key).unwrap();
    let ended = home.tls("renew n1").expect(REFUSED);
    assert!(ended.next().starts_with("restore "), "{ended:?}");
    home.tls("list").expect(DONE);
    assert_eq!(fs::read(&key).ok(), None, "no other key takes its place");
}

#[test]
fn records_of_a_newer_version_are_left_alone() {
    let home = with_node();
    let path = home.pki().join("authority.json");
    let text = fs::read_to_string(&path).unwrap();
    let newer = text.replace("\"schema_version\": 1", "\"schema_version\": 2");
    assert_ne!(newer, text);
    fs::write(&path, newer).unwrap();
    let ended = home.tls("renew n1").expect(REFUSED);
    assert!(ended.stderr.contains("schema version 2"), "{ended:?}");
    assert_eq!(
        ended.next(),
        "use the version of spice that wrote it, or a newer one"
    );
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let home = with_node();
    let key = home.pki().join("ca-1-key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = home.tls("renew n1").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("its mode is 0644, others may read it"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("`chmod 600` it"), "{ended:?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    home.tls("renew n1").expect(DONE);
}

#[test]
fn a_second_run_waits_for_the_first() {
    let home = Home::with_authority();
    let mut first = Authority::open(&home.pki()).unwrap();
    let second = home
        .command(&["cluster", "tls", "add", "n1", "--out", "second"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = LeafRequest::new("n1".parse().unwrap(), home.work());
    first.issue(&request, SystemTime::now()).unwrap();
    drop(first);
    // It saw what the first had done: it looked after it, and not before.
    let ended = Ended::new(second.wait_with_output().unwrap()).expect(REFUSED);
    assert!(
        ended.stderr.contains("`n1` has a certificate already"),
        "{ended:?}"
    );
    home.tls("renew n1").expect(DONE);
}

#[test]
fn ctrl_c_ends_a_run_that_waits_and_nothing_is_left_of_it() {
    let home = with_node();
    home.write("nodes.csv", "name\nn2\nn3\n");
    let before = home.everything();
    for line in ["add n2", "add --from nodes.csv", "renew --all", "crl"] {
        // It cannot get past the lock, whenever the signal comes.
        let held = Authority::open(&home.pki()).unwrap();
        let words = ["cluster", "tls"].into_iter().chain(line.split(' '));
        let mut command = home.command(&words.collect::<Vec<_>>());
        let mut waiting = command.stderr(Stdio::null()).spawn().unwrap();
        let id = waiting.id().to_string();
        let sent = home.program("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        assert_eq!(waiting.wait().unwrap().signal(), Some(2), "{line}");
        drop(held);
        assert_eq!(home.everything(), before, "{line}");
    }
    home.tls("add --from nodes.csv").expect(DONE);
}

#[test]
fn without_a_home_the_directory_is_named() {
    let home = Home::new();
    let run = |variable: Option<&str>, args: &[&str]| {
        let mut command = home.command(&[&["cluster", "tls"], args].concat());
        command.env_remove("HOME");
        if let Some(directory) = variable {
            command.env("SPICE_PKI_DIR", directory);
        }
        Ended::new(command.output().unwrap())
    };
    run(None, &["init", "--pki-dir", "pki"]).expect(DONE);
    run(None, &["add", "n1", "--pki-dir", "pki"]).expect(DONE);
    run(Some("pki"), &["renew", "n1"]).expect(DONE);
    let told = run(Some("pki"), &["renew", "n1"]).expect(DONE).stdout;
    assert!(told.ends_with("revoke NAME --replaced\n"), "{told}");
    home.tls("list").expect(REFUSED);
}

#[test]
fn almost_the_right_word_gets_a_tip() {
    let home = Home::with_authority();
    for (line, tip) in [
        ("inti", "init"),
        ("rotate", "rotate-ca"),
        ("add n1 --hosts a", "--host"),
        ("renew --everything", "--help"),
        ("revoke n1 --reason compromise", "key-compromise"),
    ] {
        let ended = home.tls(line).expect(USAGE);
        assert!(ended.stderr.contains(tip), "{line}: {ended:?}");
    }
}

#[test]
fn lost_records_are_restored_and_no_authority_is_made_in_their_place() {
    let home = with_node();
    for file in ["authority.json", "issued.jsonl", "revoked.jsonl"] {
        let path = home.pki().join(file);
        let backup = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let before = home.everything();
        for line in ["list", "add n2", "init --out new"] {
            let ended = home.tls(line).expect(REFUSED);
            assert!(!ended.stderr.contains("tls init"), "{file}: {ended:?}");
            if !line.starts_with("init") || file == "authority.json" {
                assert!(ended.stderr.contains(file), "{file}: {ended:?}");
                assert!(ended.next().starts_with("restore "), "{file}: {ended:?}");
            }
        }
        assert_eq!(home.everything(), before, "{file}");
        fs::write(&path, backup).unwrap();
        home.tls("list").expect(DONE);
    }
}

#[test]
fn words_of_other_tools_are_understood_where_they_mean_the_same() {
    let home = Home::with_authority();
    home.tls("create executor1").expect(DONE);
    home.tls("issue executor2").expect(DONE);
    home.tls("show executor1.pem").expect(DONE);
    home.tls("make executor3").expect(USAGE);
}
