//! `spice cluster tls init`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::fixture::{DONE, Home, REFUSED, TLS, keys, mode, tls};

#[test]
fn the_three_commands_of_the_documentation_make_exactly_the_files_it_names() {
    let home = Home::new();
    tls(&home, &["init"]).expect(DONE);
    assert_eq!(home.files(), ["ca.pem"]);
    tls(&home, &["add", "scheduler1"]).expect(DONE);
    tls(
        &home,
        &["add", "executor1", "--host", "executor1.cluster.local"],
    )
    .expect(DONE);
    let expected = [
        "ca.pem",
        "executor1-key.pem",
        "executor1.pem",
        "scheduler1-key.pem",
        "scheduler1.pem",
    ];
    assert_eq!(home.files(), expected);
    assert_eq!(mode(&home.pki()), 0o700);
    for key in ["executor1-key.pem", "scheduler1-key.pem"] {
        assert_eq!(mode(&home.work().join(key)), 0o600);
    }
}

#[test]
fn init_reports_stable_keys_as_json() {
    let home = Home::new();
    let args = [
        "init",
        "--domain",
        "Spice.Example",
        "--key-type",
        "p384",
        "-o",
        "json",
    ];
    let report = tls(&home, &args).expect(DONE).json();
    let expected = [
        "domain",
        "files",
        "fingerprint_sha256",
        "generation",
        "key_encrypted",
        "key_type",
        "not_after",
        "not_before",
        "pki_dir",
        "subject",
    ];
    assert_eq!(keys(&report), BTreeSet::from(expected));
    assert_eq!(report["domain"], "spice.example");
    assert_eq!(report["key_type"], "p384");
    assert_eq!(report["key_encrypted"], false);
    assert_eq!(report["generation"], 1);
    assert_eq!(report["pki_dir"], json!(home.pki()));
    assert_eq!(report["files"], json!({"ca": "ca.pem"}));
}

#[test]
fn a_second_init_is_refused_and_changes_nothing() {
    let home = Home::with_authority();
    let roots = || fs::read(home.work().join("ca.pem")).unwrap();
    let before = roots();
    let ended = tls(&home, &["init", "--out", "elsewhere"]).expect(REFUSED);
    assert!(
        ended.stderr.contains("there is an authority in"),
        "{ended:?}"
    );
    assert!(ended.next().contains("spice cluster tls add"));
    assert_eq!(roots(), before);
    assert_eq!(home.files(), ["ca.pem"]);
}

#[test]
fn roots_of_another_authority_are_kept_apart() {
    let home = Home::with_authority();
    let init = |out| tls(&home, &["init", "--pki-dir", "second", "--out", out]);
    let ended = init(".").expect(REFUSED);
    assert!(ended.stderr.contains("ca.pem belongs to another authority"));
    assert!(!home.work().join("second").exists());
    init("two").expect(DONE);
    let add = |out| {
        tls(
            &home,
            &["add", "n1", "--force", "--pki-dir", "second", "--out", out],
        )
    };
    let ended = add(".").expect(REFUSED);
    assert!(ended.next().contains("--out DIR"), "{ended:?}");
    add("two").expect(DONE);
    assert_eq!(home.files(), ["ca.pem", "second", "two"]);
}

#[test]
fn the_pki_directory_is_named_by_flag_then_variable_then_home() {
    let home = Home::new();
    let init = |args: &[&str]| {
        let args = [&TLS[..], &["init", "--out", "out"], args].concat();
        let mut command = home.command(&args);
        command.env("SPICE_PKI_DIR", home.work().join("by-variable"));
        assert!(command.output().unwrap().status.success());
        fs::remove_dir_all(home.work().join("out")).unwrap();
    };
    init(&[]);
    assert_eq!(home.files(), ["by-variable"]);
    init(&["--pki-dir", "by-flag"]);
    assert_eq!(home.files(), ["by-flag", "by-variable"]);
    assert!(!home.pki().exists());
    tls(&home, &["init"]).expect(DONE);
    assert!(home.pki().exists());
}

#[test]
fn an_open_or_linked_pki_directory_is_refused() {
    let home = Home::new();
    let (open, link) = (home.work().join("open"), home.work().join("link"));
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&open, &link).unwrap();
    let ended = tls(&home, &["init", "--pki-dir", "open"]).expect(REFUSED);
    assert!(ended.stderr.contains("`chmod 700` it"), "{ended:?}");
    let ended = tls(&home, &["init", "--pki-dir", "link"]).expect(REFUSED);
    assert!(ended.stderr.contains("it is a symbolic link"), "{ended:?}");
    assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
    assert_eq!(mode(&open), 0o755, "left as it was");
}
