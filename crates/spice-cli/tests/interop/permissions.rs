//! A user who may not write.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::fixture::{DONE, Ended, Home, REFUSED};
use crate::soundness::Place;
use crate::tool::{done, tls_words, wrapped};

#[test]
fn a_directory_one_may_not_write_to_is_named_and_nothing_is_done() {
    let home = Home::with_authority();
    done(&home, "add n1");
    done(&home, "add n3");
    let place = Place::new(home.root());
    for (directory, named) in [(home.work(), ".n"), (home.pki(), "/.spice/pki/")] {
        for line in ["add n2", "renew n1", "revoke n3 --yes"] {
            let before = place.files();
            set_mode(&directory, 0o500);
            let ended = as_nobody_special(&home, line).expect(REFUSED);
            set_mode(&directory, 0o700);
            let told = format!("`{line}`: {ended:#?}");
            assert!(ended.stderr.contains("Permission denied"), "{told}");
            assert!(ended.stderr.contains(named), "{told}");
            assert!(ended.next().starts_with("run it as the owner of"), "{told}");
            assert!(place.files() == before, "{told}");
        }
    }
    for line in ["add n2", "renew n1", "revoke n3 --yes"] {
        as_nobody_special(&home, line).expect(DONE);
    }
}

#[test]
fn an_authority_one_may_not_enter_is_named() {
    let home = Home::with_authority();
    set_mode(&home.pki(), 0o000);
    let ended = as_nobody_special(&home, "list").expect(REFUSED);
    set_mode(&home.pki(), 0o700);
    assert!(ended.stderr.contains("Permission denied"), "{ended:#?}");
    assert!(
        ended.next().starts_with("run it as the owner of"),
        "{ended:#?}"
    );
    as_nobody_special(&home, "list").expect(DONE);
}

/// Without the capabilities by which root, who runs this in containers, may write everywhere.
fn as_nobody_special(home: &Home, line: &str) -> Ended {
    let command = home.command(&tls_words(line));
    let dropped = wrapped(
        "setpriv",
        ["--bounding-set=-all", "--inh-caps=-all", "--"],
        &command,
    );
    let mut entered = wrapped("unshare", ["--map-root-user", "--"], &dropped);
    Ended::new(entered.output().unwrap())
}

fn set_mode(directory: &Path, mode: u32) {
    fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
}
