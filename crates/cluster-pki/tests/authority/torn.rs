//! What a run that died leaves, for every operation and between all of its writes.
//!
//! Each operation runs once. What it changed is then put into place write by write, in its order,
//! on what was there before; whatever it had under temporary names lies beside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cluster_pki::{Aborted, Authority, RevocationReason, RevokeError, RevokeTarget, RotateError};

use crate::fixture::{Fixture, der, names_in, now};
use crate::node::Node;

/// An operation, and what is known of its writes.
struct Operation {
    prepare: fn(&Fixture, &mut Authority),
    run: fn(&Fixture, &mut Authority),
    /// Written under temporary names before the first write that counts.
    staged: &'static [&'static str],
    /// Files in the order in which they change, appear or go.
    writes: &'static [&'static str],
    /// What an administrator does after the crash, knowing how many writes came through.
    heal: fn(&Fixture, &mut Authority, usize),
}

/// Files by their path, with their mode.
type Tree = BTreeMap<String, (Vec<u8>, u32)>;

fn directory(fixture: &Fixture, path: &str) -> PathBuf {
    match path.split_once('/').unwrap() {
        ("pki", name) => fixture.pki().join(name),
        (_, name) => fixture.out().join(name),
    }
}

fn tree(fixture: &Fixture) -> Tree {
    let mut tree = Tree::new();
    for (prefix, directory) in [("pki", fixture.pki()), ("out", fixture.out())] {
        for name in names_in(&directory) {
            let path = directory.join(&name);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            tree.insert(format!("{prefix}/{name}"), (fs::read(path).unwrap(), mode));
        }
    }
    tree
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn restore(fixture: &Fixture, tree: &Tree) {
    for path in self::tree(fixture).keys() {
        fs::remove_file(directory(fixture, path)).unwrap();
    }
    for (path, (content, mode)) in tree {
        write(&directory(fixture, path), content, *mode);
    }
}

fn changed(before: &Tree, after: &Tree) -> BTreeSet<String> {
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differ = paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path));
    differ.cloned().collect()
}

fn apply(fixture: &Fixture, path: &str, after: &Tree) {
    let target = directory(fixture, path);
    match after.get(path) {
        Some((content, mode)) => write(&target, content, *mode),
        None => fs::remove_file(target).unwrap(),
    }
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    path.with_file_name(format!(".{name}.new"))
}

/// The whole of what was staged, or the first half: a run may die while it stages.
fn stage(fixture: &Fixture, paths: &[&str], after: &Tree, half: usize) {
    for path in paths {
        let (content, mode) = &after[*path];
        let target = temporary(&directory(fixture, path));
        write(&target, &content[..content.len() / half], *mode);
    }
}

fn each_crash(operation: &Operation) {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    (operation.prepare)(&fixture, &mut authority);
    let before = tree(&fixture);
    (operation.run)(&fixture, &mut authority);
    drop(authority);
    let after = tree(&fixture);
    let known: BTreeSet<_> = operation.writes.iter().map(ToString::to_string).collect();
    assert_eq!(known, changed(&before, &after), "every write is known");
    for done in 0..=operation.writes.len() {
        // What is staged is complete before anything counts.
        let halves = if done == 0 { 1..=2 } else { 1..=1 };
        for half in halves {
            restore(&fixture, &before);
            let (written, to_come) = operation.writes.split_at(done);
            for path in written {
                apply(&fixture, path, &after);
            }
            let staged = operation.staged.iter().copied();
            let staged: Vec<_> = staged.filter(|path| to_come.contains(path)).collect();
            stage(&fixture, &staged, &after, half);
            heals(operation, &fixture, done);
        }
    }
}

fn heals(operation: &Operation, fixture: &Fixture, done: usize) {
    let mut authority = fixture.reopen();
    is_sound(fixture, &authority);
    (operation.heal)(fixture, &mut authority, done);
    is_sound(fixture, &authority);
    drop(authority);
    is_sound(fixture, &fixture.reopen());
}

/// No key is lost that is needed, nothing is in place that no record knows, and every node that
/// has files can go on with them.
fn is_sound(fixture: &Fixture, authority: &Authority) {
    let rotation = authority.rotation().unwrap();
    let roots = [Some(rotation.signing), rotation.retiring];
    for root in roots.into_iter().flatten() {
        let key = format!("ca-{}-key.pem", root.generation);
        assert!(fixture.pki().join(key).exists(), "{}", root.subject);
    }
    for name in nodes(fixture) {
        let certificate = der(&fixture.out().join(format!("{name}.pem")));
        let node = Node::in_directory(&fixture.out(), &name).load().unwrap();
        let own = node.own().fingerprint().to_owned();
        let mut issued = authority.issued().iter();
        assert!(issued.any(|record| record.fingerprint == own), "{name}");
        assert!(!certificate.is_empty());
    }
    for certificate in authority.certificates(now()) {
        if !certificate.standing.is_in_use() {
            continue;
        }
        let record = certificate.record;
        let path = fixture.out().join(format!("{}.pem", record.name));
        let in_place = Node::in_directory(&fixture.out(), record.name.as_str()).load();
        let in_place = in_place.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(in_place.own().fingerprint(), record.fingerprint);
    }
}

fn nodes(fixture: &Fixture) -> Vec<String> {
    let names = names_in(&fixture.out()).into_iter();
    let keys = names.filter(|name| !name.starts_with('.'));
    keys.filter_map(|name| Some(name.strip_suffix("-key.pem")?.to_owned()))
        .collect()
}

fn issue(fixture: &Fixture, authority: &mut Authority, name: &str) {
    authority.issue(&fixture.request(name), now()).unwrap();
}

fn one_node(fixture: &Fixture, authority: &mut Authority) {
    issue(fixture, authority, "n1");
}

fn under_way(fixture: &Fixture, authority: &mut Authority) {
    issue(fixture, authority, "n1");
    authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
}

fn renewed(fixture: &Fixture, authority: &mut Authority) {
    under_way(fixture, authority);
    authority.renew(&fixture.renewal("n1"), now()).unwrap();
}

fn revoke(fixture: &Fixture, authority: &mut Authority) -> Result<(), RevokeError> {
    let target = RevokeTarget::Node("n1".parse().unwrap());
    let reason = RevocationReason::KeyCompromise;
    let lists = fixture.lists();
    authority.revoke(&target, reason, &lists, now()).map(|_| ())
}

fn finish(fixture: &Fixture, authority: &mut Authority) -> Result<(), RotateError> {
    let out = fixture.out();
    authority.finish_rotation(&[], &out).map(|_| ())
}

fn keys(fixture: &Fixture) -> Vec<String> {
    let names = names_in(&fixture.pki()).into_iter();
    names.filter(|name| name.ends_with("-key.pem")).collect()
}

fn has_only_root(fixture: &Fixture, generation: u64) {
    assert_eq!(keys(fixture), [format!("ca-{generation}-key.pem")]);
    let root = fs::read(fixture.pki().join(format!("ca-{generation}.pem"))).unwrap();
    assert_eq!(fs::read(fixture.ca()).unwrap(), root);
}

#[test]
fn issuing_is_done_or_not_begun() {
    each_crash(&Operation {
        prepare: one_node,
        run: |fixture, authority| issue(fixture, authority, "n2"),
        staged: &["out/n2-key.pem", "out/n2.pem"],
        writes: &["pki/issued.jsonl", "out/n2-key.pem", "out/n2.pem"],
        heal: |fixture, authority, done| match done {
            0 => issue(fixture, authority, "n2"),
            _ => assert_eq!(nodes(fixture), ["n1", "n2"], "opening was enough"),
        },
    });
}

#[test]
fn the_first_certificate_of_a_directory_is_done_or_not_begun() {
    each_crash(&Operation {
        prepare: |fixture, _| fs::create_dir_all(fixture.out()).unwrap(),
        run: one_node,
        staged: &["out/ca.pem", "out/n1-key.pem", "out/n1.pem"],
        writes: &[
            "pki/issued.jsonl",
            "out/ca.pem",
            "out/n1-key.pem",
            "out/n1.pem",
        ],
        heal: |fixture, authority, done| match done {
            0 => one_node(fixture, authority),
            _ => assert_eq!(nodes(fixture), ["n1"], "opening was enough"),
        },
    });
}

#[test]
fn a_renewal_is_done_or_not_begun_and_the_node_can_always_go_on() {
    each_crash(&Operation {
        prepare: one_node,
        run: |fixture, authority| {
            authority.renew(&fixture.renewal("n1"), now()).unwrap();
        },
        staged: &["out/n1-key.pem", "out/n1.pem"],
        writes: &["pki/issued.jsonl", "out/n1-key.pem", "out/n1.pem"],
        heal: |fixture, authority, done| {
            assert_eq!(authority.issued().len(), if done == 0 { 1 } else { 2 });
            authority.renew(&fixture.renewal("n1"), now()).unwrap();
        },
    });
}

#[test]
fn a_revocation_is_recorded_before_it_is_told_and_told_by_the_next_lists() {
    each_crash(&Operation {
        prepare: one_node,
        run: |fixture, authority| revoke(fixture, authority).unwrap(),
        staged: &["out/deny-list.txt", "out/crl.pem"],
        writes: &[
            "pki/authority.json",
            "pki/revoked.jsonl",
            "out/deny-list.txt",
            "out/crl.pem",
        ],
        heal: |fixture, authority, done| {
            match revoke(fixture, authority) {
                Ok(()) => assert!(done < 2),
                Err(RevokeError::NothingLeft(_)) => assert!(done >= 2),
                Err(other) => panic!("{other}"),
            }
            let lists = authority.publish_lists(&fixture.lists(), now()).unwrap();
            let node = Node::in_directory(&fixture.out(), "n1");
            assert_eq!(node.clone().with_crl(&lists).fault(), "revoked");
            assert_eq!(node.with_deny_list(&lists).fault(), "revoked");
            assert!(lists.number > 1);
        },
    });
}

#[test]
fn lists_are_the_old_ones_or_the_new_ones() {
    each_crash(&Operation {
        prepare: |fixture, authority| {
            one_node(fixture, authority);
            revoke(fixture, authority).unwrap();
        },
        run: |fixture, authority| {
            authority.publish_lists(&fixture.lists(), now()).unwrap();
        },
        staged: &["out/crl.pem"],
        writes: &["pki/authority.json", "out/crl.pem"],
        heal: |fixture, authority, done| {
            let lists = authority.publish_lists(&fixture.lists(), now()).unwrap();
            assert_eq!(lists.number, if done == 0 { 2 } else { 3 });
            let node = Node::in_directory(&fixture.out(), "n1");
            assert_eq!(node.with_crl(&lists).fault(), "revoked");
        },
    });
}

#[test]
fn a_rotation_has_begun_or_not() {
    each_crash(&Operation {
        prepare: one_node,
        run: |fixture, authority| {
            authority
                .start_rotation(&fixture.rotation(), now())
                .unwrap();
        },
        staged: &[],
        writes: &[
            "pki/ca-2-key.pem",
            "pki/ca-2.pem",
            "pki/authority.json",
            "out/ca.pem",
        ],
        heal: |fixture, authority, done| {
            let begun = authority.start_rotation(&fixture.rotation(), now());
            assert_eq!(begun.is_ok(), done < 3);
            assert_eq!(
                authority.generation(),
                if matches!(done, 1 | 2) { 3 } else { 2 }
            );
            authority.renew(&fixture.renewal("n1"), now()).unwrap();
            let roots = fs::read_to_string(fixture.ca()).unwrap();
            assert_eq!(roots, authority.ca_pem());
            finish(fixture, authority).unwrap();
            has_only_root(fixture, authority.generation());
        },
    });
}

#[test]
fn a_rotation_that_has_ended_ends_for_the_old_key_too() {
    each_crash(&Operation {
        prepare: renewed,
        run: |fixture, authority| finish(fixture, authority).unwrap(),
        staged: &["out/ca.pem"],
        writes: &["pki/authority.json", "out/ca.pem", "pki/ca-1-key.pem"],
        heal: |fixture, authority, done| {
            // The command that died is simply repeated.
            assert_eq!(finish(fixture, authority).is_ok(), done < 3);
            has_only_root(fixture, 2);
            issue(fixture, authority, "n2");
        },
    });
}

#[test]
fn a_rotation_that_is_undone_is_undone_for_the_new_key_too() {
    each_crash(&Operation {
        prepare: under_way,
        run: |fixture, authority| {
            authority.abort_rotation(&fixture.out(), now()).unwrap();
        },
        staged: &["out/ca.pem"],
        writes: &["pki/authority.json", "out/ca.pem", "pki/ca-2-key.pem"],
        heal: |fixture, authority, done| {
            match authority.abort_rotation(&fixture.out(), now()) {
                Ok((_, aborted)) => assert_eq!((aborted, done < 3), (Aborted::Undone, true)),
                Err(_) => assert_eq!(done, 3),
            }
            has_only_root(fixture, 1);
            issue(fixture, authority, "n2");
        },
    });
}

#[test]
fn a_rotation_turns_back_in_one_write() {
    each_crash(&Operation {
        prepare: renewed,
        run: |fixture, authority| {
            authority.abort_rotation(&fixture.out(), now()).unwrap();
        },
        staged: &[],
        writes: &["pki/authority.json"],
        heal: |fixture, authority, done| {
            assert_eq!(authority.generation(), if done == 0 { 2 } else { 1 });
            authority.renew(&fixture.renewal("n1"), now()).unwrap();
            finish(fixture, authority).unwrap();
            has_only_root(fixture, authority.generation());
        },
    });
}

#[test]
fn a_rotation_that_has_turned_back_ends_for_the_new_key_too() {
    each_crash(&Operation {
        prepare: |fixture, authority| {
            renewed(fixture, authority);
            authority.abort_rotation(&fixture.out(), now()).unwrap();
            authority.renew(&fixture.renewal("n1"), now()).unwrap();
        },
        run: |fixture, authority| finish(fixture, authority).unwrap(),
        staged: &["out/ca.pem"],
        writes: &["pki/authority.json", "out/ca.pem", "pki/ca-2-key.pem"],
        heal: |fixture, authority, done| {
            assert_eq!(finish(fixture, authority).is_ok(), done < 3);
            has_only_root(fixture, 1);
            issue(fixture, authority, "n2");
        },
    });
}

#[test]
fn a_key_of_a_root_that_was_half_written_is_in_nobodys_way() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    one_node(&fixture, &mut authority);
    drop(authority);
    write(
        &fixture.pki().join("ca-2-key.pem"),
        b"-----BEGIN PRIV",
        0o600,
    );
    fs::write(fixture.pki().join(".ca-2.pem.new"), "-----BEGIN CERT").unwrap();
    let mut authority = fixture.reopen();
    issue(&fixture, &mut authority, "n2");
    authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
    assert_eq!(authority.generation(), 3);
    for name in ["n1", "n2"] {
        authority.renew(&fixture.renewal(name), now()).unwrap();
    }
    finish(&fixture, &mut authority).unwrap();
    has_only_root(&fixture, 3);
}

/// A renewal died; in the meantime its directory got files that are none of its own.
#[test]
fn files_that_somebody_put_under_temporary_names_are_not_given_to_a_node() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for name in ["n1", "n2"] {
        issue(&fixture, &mut authority, name);
    }
    drop(authority);
    let file = |name: &str| fixture.out().join(name);
    let before = tree(&fixture);
    for (certificate, key) in [("n1", "n1"), ("n2", "n1"), ("n1", "n2")] {
        restore(&fixture, &before);
        let (old, old_key) = (
            file(&format!("{certificate}.pem")),
            file(&format!("{key}-key.pem")),
        );
        fs::copy(old, file(".n2.pem.new")).unwrap();
        fs::copy(old_key, file(".n2-key.pem.new")).unwrap();
        drop(fixture.reopen());
        let after = tree(&fixture);
        for path in before.keys() {
            assert_eq!(
                before[path], after[path],
                "{path} with {certificate} and {key}"
            );
        }
    }
}

/// What a renewal of a node leaves that died after it was recorded, and was not the last to be.
fn left_behind(fixture: &Fixture) {
    let mut authority = fixture.init();
    one_node(fixture, &mut authority);
    issue(fixture, &mut authority, "n2");
    let before = tree(fixture);
    authority.renew(&fixture.renewal("n1"), now()).unwrap();
    let after = tree(fixture);
    let files = ["out/n1-key.pem", "out/n1.pem"];
    for path in files {
        apply(fixture, path, &before);
    }
    stage(fixture, &files, &after, 1);
    authority.renew(&fixture.renewal("n2"), now()).unwrap();
}

#[test]
fn whatever_node_it_is_about_what_was_recorded_is_completed() {
    let fixture = Fixture::new();
    left_behind(&fixture);
    is_sound(&fixture, &fixture.reopen());
}

#[test]
fn nothing_is_completed_where_others_may_write() {
    let fixture = Fixture::new();
    left_behind(&fixture);
    let chmod = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(fixture.out(), mode).unwrap();
    };
    let before = tree(&fixture);
    for mode in [0o775, 0o757, 0o1777] {
        chmod(mode);
        drop(fixture.reopen());
        assert_eq!(tree(&fixture), before, "{mode:o}");
    }
    chmod(0o755);
    is_sound(&fixture, &fixture.reopen());
}

#[test]
fn a_directory_that_is_gone_does_not_keep_the_authority_closed() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    one_node(&fixture, &mut authority);
    drop(authority);
    fs::remove_dir_all(fixture.out()).unwrap();
    assert_eq!(fixture.reopen().issued().len(), 1);
    let error = fs::metadata(fixture.out()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
