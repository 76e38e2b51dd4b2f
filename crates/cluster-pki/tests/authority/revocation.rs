//! Revoking: which certificates, what nodes make of the lists, and what is never overwritten.

mod lists;

use std::fs;
use std::time::Duration;

use cluster_pki::{
    Authority, Days, Due, Existing, InitRequest, IssueError, IssuedRecord, KeyError, Lists,
    OutputError, RevocationReason, RevokeError, RevokeTarget, Revoked,
};

use crate::fixture::{Fixture, days, now};
use crate::node::{Node, meeting};

fn node(name: &str) -> RevokeTarget {
    RevokeTarget::Node(name.parse().unwrap())
}

fn revoke(
    fixture: &Fixture,
    authority: &mut Authority,
    target: &RevokeTarget,
) -> Result<Revoked, RevokeError> {
    let reason = RevocationReason::KeyCompromise;
    authority.revoke(target, reason, &fixture.lists(), now())
}

fn issue(fixture: &Fixture, authority: &mut Authority, name: &str) -> IssuedRecord {
    let issued = authority.issue(&fixture.request(name), now()).unwrap();
    issued.record
}

fn renew(fixture: &Fixture, authority: &mut Authority, name: &str) -> IssuedRecord {
    let renewed = authority.renew(&fixture.renewal(name), now()).unwrap();
    renewed.record
}

fn serials(revoked: &Revoked) -> Vec<&str> {
    let records = revoked.records.iter();
    records.map(|record| record.serial.as_str()).collect()
}

#[test]
fn a_node_loses_every_certificate_that_it_ever_had() {
    let fixture = Fixture::new();
    let long_ago = now() - days(2);
    let init = InitRequest::default();
    let mut authority = Authority::init(&fixture.pki(), &init, long_ago).unwrap();
    let mut brief = fixture.request("n1");
    brief.days = Days::ONE;
    let first = authority.issue(&brief, long_ago).unwrap().record;
    let mut request = fixture.request("N1");
    request.existing = Existing::Replace;
    let second = authority.issue(&request, now()).unwrap().record;
    let third = authority.issue(&request, now()).unwrap().record;
    issue(&fixture, &mut authority, "n2");
    let revoked = revoke(&fixture, &mut authority, &node("n1")).unwrap();
    let expired = first.serial;
    assert_eq!(serials(&revoked), [expired, second.serial, third.serial]);
    assert_eq!(authority.revoked(), revoked.records);
    drop(authority);
    assert_eq!(fixture.reopen().revoked(), revoked.records);
}

#[test]
fn what_renewals_left_behind_is_revoked_and_the_newest_stays() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let first = issue(&fixture, &mut authority, "n1");
    let replaced = RevokeTarget::Replaced("n1".parse().unwrap());
    let error = revoke(&fixture, &mut authority, &replaced).unwrap_err();
    assert!(matches!(error, RevokeError::NothingLeft(_)));
    let stolen = fixture.keep("stolen");
    let second = renew(&fixture, &mut authority, "n1");
    let third = renew(&fixture, &mut authority, "n1");
    let revoked = revoke(&fixture, &mut authority, &replaced).unwrap();
    assert_eq!(serials(&revoked), [first.serial, second.serial]);
    let current = Node::in_directory(&fixture.out(), "n1").with_crl(&revoked.lists);
    assert_eq!(
        current.load().unwrap().own().fingerprint(),
        third.fingerprint
    );
    let old = Node::in_directory(&stolen, "n1").with_crl(&revoked.lists);
    assert_eq!(old.fault(), "revoked");
}

#[test]
fn a_serial_number_is_known_however_tools_print_it() {
    let styles: [fn(&str) -> String; 6] = [
        str::to_owned,
        str::to_uppercase,
        |serial| format!("0x{}", serial.to_uppercase()),
        |serial| format!("0X{serial}"),
        |serial| pairs(serial).join(":"),
        |serial| format!("  {}\n", pairs(serial).join(" ")),
    ];
    for style in styles {
        let fixture = Fixture::new();
        let mut authority = fixture.init();
        let first = issue(&fixture, &mut authority, "n1");
        renew(&fixture, &mut authority, "n1");
        let written = style(&first.serial);
        let target = RevokeTarget::Serial(written.clone());
        let revoked = revoke(&fixture, &mut authority, &target).unwrap();
        assert_eq!(serials(&revoked), [first.serial.as_str()], "{written:?}");
    }
}

fn pairs(serial: &str) -> Vec<&str> {
    let starts = (0..serial.len()).step_by(2);
    starts.map(|at| &serial[at..at + 2]).collect()
}

#[test]
fn what_was_never_issued_or_is_revoked_already_is_not_revoked() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let first = issue(&fixture, &mut authority, "n1");
    let almost = first.serial[..38].to_owned();
    let unknown = [
        node("n2"),
        RevokeTarget::Replaced("n2".parse().unwrap()),
        RevokeTarget::Serial(almost),
        RevokeTarget::Serial(String::new()),
    ];
    for target in unknown {
        let error = revoke(&fixture, &mut authority, &target).unwrap_err();
        assert!(matches!(&error, RevokeError::Unknown(of) if *of == target));
    }
    assert!(!fixture.out().join("crl.pem").exists());
    revoke(&fixture, &mut authority, &node("n1")).unwrap();
    for target in [node("n1"), RevokeTarget::Serial(first.serial)] {
        let error = revoke(&fixture, &mut authority, &target).unwrap_err();
        assert!(matches!(&error, RevokeError::NothingLeft(of) if *of == target));
    }
    assert_eq!(authority.revoked().len(), 1);
}

#[test]
fn what_has_expired_is_revoked_too_and_nothing_twice() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let old = issue(&fixture, &mut authority, "n1");
    let newest = authority
        .renew(&fixture.renewal("n1"), now())
        .unwrap()
        .record;
    let late = newest.not_after + Duration::from_secs(1);
    let found = authority.to_revoke(&node("n1"), late).unwrap();
    assert_eq!(found, [&old, &newest]);
    let alone = RevokeTarget::Serial(old.serial);
    revoke(&fixture, &mut authority, &alone).unwrap();
    let error = authority.to_revoke(&alone, late);
    assert!(matches!(error, Err(RevokeError::NothingLeft(_))));
    let found = authority.to_revoke(&node("n1"), late).unwrap();
    assert_eq!(found, [&newest]);
    // A node that is no more is not due for ever.
    assert_eq!(authority.due(Due::All, late).len(), 1);
    let lists = fixture.lists();
    let reason = RevocationReason::CessationOfOperation;
    authority.revoke(&node("n1"), reason, &lists, late).unwrap();
    assert!(authority.due(Due::All, late).is_empty());
}

#[test]
fn a_revoked_node_is_refused_by_either_list_and_the_others_are_not() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for name in ["thief", "n1", "n2"] {
        issue(&fixture, &mut authority, name);
    }
    let lists = revoke(&fixture, &mut authority, &node("thief"))
        .unwrap()
        .lists;
    let plain = |name| Node::in_directory(&fixture.out(), name);
    let with_lists: [fn(Node, &Lists) -> Node; 3] =
        [Node::with_crl, Node::with_deny_list, |node, lists| {
            node.with_crl(lists).with_deny_list(lists)
        }];
    for with in with_lists {
        let (thief, n1, n2) = (plain("thief"), plain("n1"), plain("n2"));
        let (n1, n2) = (with(n1, &lists), with(n2, &lists));
        assert_eq!(with(thief.clone(), &lists).fault(), "revoked");
        assert_eq!(meeting(&thief, &n1).1, "revoked", "as a client");
        assert_eq!(meeting(&n1, &thief).0, "revoked", "as a server");
        assert_eq!(meeting(&n1, &n2), ("ok", "ok"));
    }
    assert_eq!(
        meeting(&plain("thief"), &plain("n1")),
        ("ok", "ok"),
        "without a list"
    );
}

#[test]
fn nothing_is_revoked_when_the_lists_have_nowhere_to_go() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    let before = fs::read(fixture.pki().join("authority.json")).unwrap();
    let file = fixture.out().join("n1.pem");
    let blocked = fixture.out().join("blocked");
    fs::create_dir_all(blocked.join("crl.pem")).unwrap();
    let reason = RevocationReason::KeyCompromise;
    for out in [file, blocked, fixture.pki()] {
        let mut lists = fixture.lists();
        lists.out.clone_from(&out);
        let revoked = authority.revoke(&node("n1"), reason, &lists, now());
        revoked.unwrap_err();
        assert_eq!(authority.revoked(), [], "{}", out.display());
    }
    assert_eq!(fs::read(fixture.pki().join("revoked.jsonl")).unwrap(), b"");
    assert_eq!(
        fs::read(fixture.pki().join("authority.json")).unwrap(),
        before
    );
    drop(authority);
    revoke(&fixture, &mut fixture.reopen(), &node("n1")).unwrap();
}

#[test]
fn nothing_is_revoked_without_the_key_of_a_root_that_is_believed() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
    drop(authority);
    let key = fixture.pki().join("ca-1-key.pem");
    fs::rename(&key, key.with_extension("aside")).unwrap();
    let mut authority = fixture.reopen();
    let error = revoke(&fixture, &mut authority, &node("n1")).unwrap_err();
    assert!(
        matches!(error, RevokeError::Key(KeyError::File(_))),
        "{error}"
    );
    assert_eq!(authority.revoked(), []);
    fs::rename(key.with_extension("aside"), &key).unwrap();
    revoke(&fixture, &mut authority, &node("n1")).unwrap();
}

#[test]
fn a_revoked_node_is_issued_anew_without_force() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    let stolen = fixture.keep("stolen");
    let lists = revoke(&fixture, &mut authority, &node("n1")).unwrap().lists;
    let again = authority.issue(&fixture.request("n1"), now()).unwrap();
    assert_eq!(again.replaced, None, "nobody believes it any more");
    Node::of(&again.files).with_crl(&lists).load().unwrap();
    let thief = Node::in_directory(&stolen, "n1");
    assert_eq!(
        meeting(&thief, &Node::of(&again.files).with_crl(&lists)).1,
        "revoked"
    );
    let error = authority.issue(&fixture.request("n1"), now()).unwrap_err();
    assert!(matches!(error, IssueError::AlreadyIssued { .. }));
}

#[test]
fn files_that_are_not_those_of_the_revoked_certificate_still_need_force() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    let other = issue(&fixture, &mut authority, "n2");
    revoke(&fixture, &mut authority, &node("n1")).unwrap();
    let (n1, n2) = (fixture.out().join("n1.pem"), fixture.out().join("n2.pem"));
    fs::copy(&n2, &n1).unwrap();
    let refuse = |authority: &mut Authority| {
        let error = authority.issue(&fixture.request("n1"), now()).unwrap_err();
        assert!(
            matches!(error, IssueError::Output(OutputError::Exists { .. })),
            "{error}"
        );
    };
    refuse(&mut authority);
    assert_eq!(fs::read(&n1).unwrap(), fs::read(&n2).unwrap());
    fs::remove_file(&n1).unwrap();
    refuse(&mut authority);
    assert!(
        fixture.out().join("n1-key.pem").exists(),
        "a key alone could be of anything"
    );
    assert_eq!(authority.issued().last(), Some(&other));
}
