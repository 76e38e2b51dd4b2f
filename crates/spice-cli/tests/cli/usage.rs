//! Help, version, and what is not understood.

use crate::fixture::{DONE, Home, USAGE};

#[test]
fn the_version_is_told_by_command_and_by_flag() {
    let expected = concat!("spice ", env!("CARGO_PKG_VERSION"), "\n");
    for args in [["version"], ["--version"]] {
        assert_eq!(Home::new().spice(&args).expect(DONE).stdout, expected);
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for args in [
        &["--help"][..],
        &["cluster", "tls", "--help"],
        &["cluster", "tls", "init", "--help"],
        &["cluster", "tls", "add", "--help"],
        &["cluster", "tls", "bundle", "--help"],
        &["sql", "--help"],
        &["status", "--help"],
        &["nodes", "--help"],
        &["datasets", "--help"],
    ] {
        let help = Home::new().spice(args).expect(DONE).stdout;
        assert!(help.contains("Examples:\n  spice "), "{args:?}: {help}");
    }
}

#[test]
fn long_help_says_what_is_written_and_who_may_read_it() {
    let help = |args: &[&str]| Home::new().spice(args).expect(DONE).stdout;
    let add = help(&["cluster", "tls", "add", "--help"]);
    assert!(
        add.starts_with("Make a key and a certificate for a node"),
        "{add}"
    );
    assert!(add.contains("NAME-key.pem"), "{add}");
    let list = help(&["cluster", "tls", "--help"]);
    assert!(
        list.contains("  add        Make a key and a certificate for a node, or for many\n"),
        "{list}"
    );
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    let table = [
        &["launch"][..],
        &["cluster", "tls", "add"],
        &["cluster", "tls", "add", "n1", "--encrypt"],
        &["cluster", "tls", "init", "--passphrase", "secret"],
        &["cluster", "tls", "renew"],
        &["cluster", "tls", "renew", "n1", "--within", "30d"],
        &["cluster", "tls", "revoke"],
        &["cluster", "tls", "revoke", "--replaced"],
        &["cluster", "tls", "revoke", "n1", "--reason", "whim"],
        &["cluster", "tls", "add", "n1", "--from", "nodes.csv"],
        &["cluster", "tls", "init", "--key-type", "rsa"],
        &["cluster", "tls", "init", "--days", "0"],
        &["cluster", "tls", "init", "--domain", "*.example"],
        &["cluster", "tls", "init", "-o", "csv"],
        &["sql", "--output", "xml"],
    ];
    for args in table {
        let home = Home::new();
        home.spice(args).expect(USAGE);
        assert!(!home.pki().exists(), "{args:?}");
    }
}

#[test]
fn no_command_is_a_usage_error_that_shows_the_help() {
    let ended = Home::new().spice(&[]);
    assert_eq!(ended.code, USAGE);
    assert!(ended.stderr.contains("Usage: spice"));
    assert_eq!(ended.stdout, "");
}
