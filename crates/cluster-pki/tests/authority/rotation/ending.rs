//! The ways out of a rotation, and what each of them drops.

use std::fs;

use cluster_pki::{
    Aborted, Authority, Days, Existing, KeyError, RevocationReason, RevokeTarget, RotateError,
    RotationError, Standing,
};

use super::{before, ca, finish, issue, keys, names, renew, reopened, root_pem, start};
use crate::fixture::{Fixture, days, now};
use crate::node::{Node, meeting};

fn node(name: &str) -> RevokeTarget {
    RevokeTarget::Node(name.parse().unwrap())
}

fn revoke(fixture: &Fixture, authority: &mut Authority, target: &RevokeTarget) {
    let (reason, lists) = (RevocationReason::Superseded, fixture.lists());
    authority.revoke(target, reason, &lists, now()).unwrap();
}

#[test]
fn nothing_is_finished_or_aborted_that_was_not_started() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let none = |error: RotateError| {
        assert!(matches!(
            error,
            RotateError::Rotation(RotationError::NotUnderWay)
        ));
    };
    none(authority.finish_rotation(&[], &fixture.out()).unwrap_err());
    none(authority.abort_rotation(&fixture.out(), now()).unwrap_err());
    assert_eq!(keys(&fixture), ["ca-1-key.pem"]);
}

#[test]
fn whoever_is_abandoned_by_name_is_cut_off_and_can_come_back() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for name in ["a", "Lost"] {
        issue(&fixture, &mut authority, name);
    }
    start(&fixture, &mut authority);
    renew(&fixture, &mut authority, "a");
    let out = fixture.out();
    let refused = authority.finish_rotation(&names(&["a", "lost"]), &out);
    assert!(matches!(
        refused.unwrap_err(),
        RotateError::Rotation(RotationError::NothingToAbandon { name }) if name.as_str() == "a"
    ));
    authority.finish_rotation(&names(&["lost"]), &out).unwrap();
    let mut authority = reopened(&fixture, authority);
    assert_eq!(Node::in_directory(&out, "Lost").fault(), "unknown_issuer");
    let rotation = authority.rotation().unwrap();
    assert_eq!(
        (rotation.renewed, rotation.not_renewed),
        (names(&["a"]), vec![])
    );
    let standing = |authority: &Authority| authority.certificates(now())[1].standing;
    assert_eq!(standing(&authority), Standing::Untrusted);
    // The next rotation does not wait for it a second time.
    start(&fixture, &mut authority);
    assert_eq!(authority.rotation().unwrap().not_renewed, names(&["a"]));
    authority.abort_rotation(&out, now()).unwrap();
    renew(&fixture, &mut authority, "lost");
    Node::in_directory(&out, "Lost").load().unwrap();
}

#[test]
fn nobody_waits_for_a_node_whose_certificate_is_revoked() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "gone");
    start(&fixture, &mut authority);
    authority.finish_rotation(&[], &fixture.out()).unwrap_err();
    revoke(&fixture, &mut authority, &node("gone"));
    finish(&fixture, &mut authority);
}

/// A clock that is ahead would call every certificate expired.
#[test]
fn a_node_whose_certificate_is_over_is_waited_for_until_it_is_abandoned() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let mut brief = fixture.request("over");
    brief.days = Days::ONE;
    authority.issue(&brief, now()).unwrap();
    let late = now() + days(2);
    authority.start_rotation(&fixture.rotation(), late).unwrap();
    let standing = authority.certificates(late)[0].standing;
    assert_eq!(standing, Standing::Expired);
    let out = fixture.out();
    let error = authority.finish_rotation(&[], &out).unwrap_err();
    let expected = RotationError::NotRenewed {
        nodes: names(&["over"]),
    };
    assert!(matches!(error, RotateError::Rotation(error) if error == expected));
    authority.finish_rotation(&names(&["over"]), &out).unwrap();
}

#[test]
fn a_node_falls_back_to_what_it_had_when_its_newest_certificate_is_revoked() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "a");
    start(&fixture, &mut authority);
    renew(&fixture, &mut authority, "a");
    assert_eq!(authority.rotation().unwrap().not_renewed, []);
    let newest = authority.issued()[1].serial.clone();
    revoke(&fixture, &mut authority, &RevokeTarget::Serial(newest));
    assert_eq!(authority.rotation().unwrap().not_renewed, names(&["a"]));
    authority.finish_rotation(&[], &fixture.out()).unwrap_err();
    revoke(&fixture, &mut authority, &node("a"));
    finish(&fixture, &mut authority);
}

#[test]
fn an_abort_before_any_new_certificate_removes_the_new_root_and_its_key() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "a");
    let kept = fixture.keep("before");
    start(&fixture, &mut authority);
    let (begun, aborted) = authority.abort_rotation(&fixture.out(), now()).unwrap();
    assert_eq!(aborted, Aborted::Undone);
    assert_eq!(begun.rotation.signing.generation, 1);
    assert_eq!(ca(&fixture), root_pem(&fixture, 1));
    assert_eq!(keys(&fixture), ["ca-1-key.pem"]);
    let mut authority = reopened(&fixture, authority);
    issue(&fixture, &mut authority, "b");
    let node = |directory, name| Node::in_directory(directory, name);
    assert_eq!(
        meeting(&node(&kept, "a"), &node(&fixture.out(), "b")),
        ("ok", "ok")
    );
    start(&fixture, &mut authority);
    assert_eq!(authority.generation(), 3, "a number means one root forever");
}

#[test]
fn an_abort_after_a_new_certificate_turns_back_by_way_of_both_roots() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for name in ["a", "b"] {
        issue(&fixture, &mut authority, name);
    }
    start(&fixture, &mut authority);
    renew(&fixture, &mut authority, "a");
    let renewed = fixture.keep("renewed");
    let (begun, aborted) = authority.abort_rotation(&fixture.out(), now()).unwrap();
    assert_eq!(aborted, Aborted::TurnedBack);
    assert_eq!(begun.rotation.not_renewed, names(&["a"]));
    let (one, two) = (root_pem(&fixture, 1), root_pem(&fixture, 2));
    assert_eq!(ca(&fixture), format!("{two}{one}"), "it had both before");
    assert_eq!(authority.ca_pem(), format!("{one}{two}"));
    assert_eq!(keys(&fixture), ["ca-1-key.pem", "ca-2-key.pem"]);
    let mut authority = reopened(&fixture, authority);
    assert_eq!(before(&renewed, "a", &fixture.ca()), Ok(()));
    let out = fixture.out();
    authority.finish_rotation(&[], &out).unwrap_err();
    renew(&fixture, &mut authority, "a");
    finish(&fixture, &mut authority);
    assert_eq!(ca(&fixture), one);
    assert_eq!(keys(&fixture), ["ca-1-key.pem"]);
    for name in ["a", "b"] {
        Node::in_directory(&out, name).load().unwrap();
    }
    assert_eq!(before(&renewed, "a", &fixture.ca()), Err("unknown_issuer"));
}

#[test]
fn a_key_of_the_old_root_that_is_lost_stops_nobody_from_moving_on() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "a");
    start(&fixture, &mut authority);
    drop(authority);
    fs::remove_file(fixture.pki().join("ca-1-key.pem")).unwrap();
    let mut authority = fixture.reopen();
    issue(&fixture, &mut authority, "b");
    renew(&fixture, &mut authority, "a");
    finish(&fixture, &mut authority);
    assert_eq!(keys(&fixture), ["ca-2-key.pem"]);
}

#[test]
fn a_number_in_the_records_is_taken_although_no_file_has_it() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    start(&fixture, &mut authority);
    issue(&fixture, &mut authority, "brief");
    revoke(&fixture, &mut authority, &node("brief"));
    let aborted = authority.abort_rotation(&fixture.out(), now()).unwrap();
    assert_eq!(aborted.1, Aborted::Undone);
    assert_eq!(keys(&fixture), ["ca-1-key.pem"]);
    fs::remove_file(fixture.pki().join("ca-2.pem")).unwrap();
    fs::remove_file(fixture.ca()).unwrap();
    start(&fixture, &mut authority);
    assert_eq!(authority.generation(), 3);
}

/// An older certificate is good enough for whoever has its key.
#[test]
fn an_abort_turns_back_for_a_new_certificate_that_is_not_the_newest_and_does_so_once() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    start(&fixture, &mut authority);
    let mut request = fixture.request("a");
    request.existing = Existing::Replace;
    authority.issue(&request, now()).unwrap();
    authority.issue(&request, now()).unwrap();
    let newest = authority.issued()[1].serial.clone();
    revoke(&fixture, &mut authority, &RevokeTarget::Serial(newest));
    let out = fixture.out();
    let aborted = authority.abort_rotation(&out, now()).unwrap().1;
    assert_eq!(aborted, Aborted::TurnedBack);
    let mut authority = reopened(&fixture, authority);
    let error = authority.abort_rotation(&out, now()).unwrap_err();
    let expected = RotationError::TurnedBack { signing: 1 };
    assert!(matches!(error, RotateError::Rotation(error) if error == expected));
    assert_eq!(authority.generation(), 1);
    assert_eq!(keys(&fixture), ["ca-1-key.pem", "ca-2-key.pem"]);
    revoke(&fixture, &mut authority, &node("a"));
    finish(&fixture, &mut authority);
    assert_eq!(keys(&fixture), ["ca-1-key.pem"]);
}

#[test]
fn no_key_is_destroyed_while_the_one_that_remains_cannot_be_used() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    start(&fixture, &mut authority);
    let (old, new) = (
        fixture.pki().join("ca-1-key.pem"),
        fixture.pki().join("ca-2-key.pem"),
    );
    let (old_pem, new_pem) = (fs::read(&old).unwrap(), fs::read(&new).unwrap());
    let both = ca(&fixture);
    let out = fixture.out();
    for damage in [&old_pem[..], b"", b"-----BEGIN"] {
        fs::write(&new, damage).unwrap();
        let error = authority.finish_rotation(&[], &out).unwrap_err();
        assert!(matches!(error, RotateError::Key(_)), "{error}");
    }
    fs::write(&new, &new_pem).unwrap();
    fs::rename(&old, old.with_extension("aside")).unwrap();
    let error = authority.abort_rotation(&out, now()).unwrap_err();
    assert!(
        matches!(error, RotateError::Key(KeyError::File(_))),
        "{error}"
    );
    assert_eq!(ca(&fixture), both);
    fs::rename(old.with_extension("aside"), &old).unwrap();
    assert_eq!(keys(&fixture), ["ca-1-key.pem", "ca-2-key.pem"]);
    finish(&fixture, &mut authority);
    assert_eq!(keys(&fixture), ["ca-2-key.pem"]);
}

#[test]
fn settings_of_an_old_copy_destroy_no_key_that_has_signed() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "a");
    let settings = fixture.pki().join("authority.json");
    let old = fs::read(&settings).unwrap();
    start(&fixture, &mut authority);
    renew(&fixture, &mut authority, "a");
    drop(authority);
    let new = fs::read(&settings).unwrap();
    fs::write(&settings, old).unwrap();
    let mut authority = fixture.reopen();
    let out = fixture.out();
    for refused in [
        authority.finish_rotation(&[], &out).map(|_| ()),
        authority.abort_rotation(&out, now()).map(|_| ()),
    ] {
        assert!(matches!(
            refused,
            Err(RotateError::Rotation(RotationError::NotUnderWay))
        ));
    }
    assert_eq!(keys(&fixture), ["ca-1-key.pem", "ca-2-key.pem"]);
    drop(authority);
    fs::write(&settings, new).unwrap();
    finish(&fixture, &mut fixture.reopen());
    assert_eq!(keys(&fixture), ["ca-2-key.pem"]);
}
