//! Renewing: what stays, what changes, and what is refused.

use std::fs;
use std::time::Duration;

use cluster_pki::{
    Authority, Days, Due, Existing, InitRequest, IssueError, Issued, KeyType, OutputError,
    RevocationReason, RevokeTarget, RoleReason,
};
use cluster_tls::Role;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::fixture::{Fixture, contents, days, der, mode, names_in, now};
use crate::node::Node;

fn issue_richly(fixture: &Fixture, authority: &mut Authority) -> Issued {
    let mut request = fixture.request("Executor1");
    request.hosts = vec!["10.0.0.7".parse().unwrap(), "e.example".parse().unwrap()];
    request.role = Some(Role::Scheduler);
    request.days = Days::new(90).unwrap();
    authority.issue(&request, now()).unwrap()
}

fn due(authority: &Authority, which: Due, at: std::time::SystemTime) -> Vec<String> {
    let due = authority.due(which, at).into_iter();
    due.map(|record| record.name.to_string()).collect()
}

fn public_key(issued: &Issued) -> (String, Vec<u8>) {
    let der = der(&issued.files.certificate);
    let (_, leaf) = X509Certificate::from_der(&der).unwrap();
    let key = leaf.public_key();
    let algorithm = key.algorithm.algorithm.to_id_string();
    (algorithm, key.subject_public_key.data.to_vec())
}

#[test]
fn names_role_and_days_stay_and_key_serial_and_dates_are_new() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let old = issue_richly(&fixture, &mut authority);
    let (old_files, old_key) = (contents(&old.files), public_key(&old));
    let later = now() + days(60);
    let new = authority
        .renew(&fixture.renewal("executor1"), later)
        .unwrap();
    assert_eq!(new.files, old.files, "the name as it was typed first");
    assert_eq!(new.replaced.as_ref(), Some(&old.record));
    assert_eq!(new.role_reason, RoleReason::Renewed);
    let (was, is) = (&old.record, &new.record);
    assert_eq!(
        (&is.names, is.role, &is.uri),
        (&was.names, was.role, &was.uri)
    );
    assert_eq!((is.days, is.key), (was.days, was.key));
    assert_eq!(is.not_after, later + days(90));
    assert_ne!(is.serial, was.serial);
    let (algorithm, key) = public_key(&new);
    assert_eq!(algorithm, old_key.0);
    assert_ne!(key, old_key.1);
    let new_files = contents(&new.files);
    assert_eq!(new_files[0], old_files[0], "the roots");
    assert_ne!(new_files[2], old_files[2], "the key");
    assert_eq!(mode(&new.files.key), 0o600);
    assert_eq!(names_in(&fixture.out()).len(), 3);
    let own = Node::of(&new.files).at(later).load().unwrap();
    assert_eq!(own.own().fingerprint(), is.fingerprint);
    drop(authority);
    assert_eq!(fixture.reopen().issued(), [old.record, new.record]);
}

#[test]
fn days_that_are_asked_for_become_those_of_the_next_renewal() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue_richly(&fixture, &mut authority);
    let mut request = fixture.renewal("executor1");
    request.days = Some(Days::new(7).unwrap());
    authority.renew(&request, now()).unwrap();
    request.days = None;
    let renewed = authority.renew(&request, now()).unwrap();
    assert_eq!(renewed.record.not_after, now() + days(7));
}

#[test]
fn a_renewal_that_the_authority_cuts_short_is_asked_in_full_of_the_next_one() {
    let fixture = Fixture::new();
    let request = InitRequest {
        days: Days::new(100).unwrap(),
        ..InitRequest::default()
    };
    let mut authority = Authority::init(&fixture.pki(), &request, now()).unwrap();
    issue_richly(&fixture, &mut authority);
    let later = now() + days(50);
    let cut = authority
        .renew(&fixture.renewal("executor1"), later)
        .unwrap();
    assert_eq!(cut.record.not_after, authority.not_after());
    assert_eq!(cut.warnings.len(), 1);
    authority
        .start_rotation(&fixture.rotation(), later)
        .unwrap();
    let full = authority
        .renew(&fixture.renewal("executor1"), later)
        .unwrap();
    assert_eq!(full.record.not_after, later + days(90));
    assert_eq!(full.warnings, []);
}

#[test]
fn the_kind_of_key_stays_that_of_the_authority() {
    for key_type in KeyType::ALL {
        let fixture = Fixture::new();
        let request = InitRequest {
            key_type,
            ..InitRequest::default()
        };
        let mut authority = Authority::init(&fixture.pki(), &request, now()).unwrap();
        let old = authority.issue(&fixture.request("n1"), now()).unwrap();
        let old_key = public_key(&old);
        let new = authority.renew(&fixture.renewal("n1"), now()).unwrap();
        assert_eq!(public_key(&new).0, old_key.0, "{key_type}");
        Node::of(&new.files).load().unwrap();
    }
}

#[test]
fn an_expired_certificate_is_renewed() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue_richly(&fixture, &mut authority);
    let late = now() + days(200);
    let renewed = authority
        .renew(&fixture.renewal("executor1"), late)
        .unwrap();
    Node::of(&renewed.files).at(late).load().unwrap();
}

#[test]
fn a_node_without_a_certificate_is_not_renewed() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    authority.issue(&fixture.request("n1"), now()).unwrap();
    let error = authority.renew(&fixture.renewal("n2"), now()).unwrap_err();
    assert!(matches!(error, IssueError::NeverIssued(name) if name.as_str() == "n2"));
    assert_eq!(names_in(&fixture.out()).len(), 3);
}

#[test]
fn what_was_revoked_is_not_renewed_and_what_came_after_it_is() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let first = authority.issue(&fixture.request("n1"), now()).unwrap();
    let before = contents(&first.files);
    let target = RevokeTarget::Node("n1".parse().unwrap());
    let reason = RevocationReason::KeyCompromise;
    authority
        .revoke(&target, reason, &fixture.lists(), now())
        .unwrap();
    let error = authority.renew(&fixture.renewal("N1"), now()).unwrap_err();
    assert!(matches!(error, IssueError::Revoked { current } if *current == first.record));
    assert_eq!(contents(&first.files), before);
    authority.issue(&fixture.request("n1"), now()).unwrap();
    authority.renew(&fixture.renewal("n1"), now()).unwrap();
}

#[test]
fn a_key_that_is_the_nodes_own_is_not_replaced() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let issued = authority.issue(&fixture.request("n1"), now()).unwrap();
    drop(authority);
    let index = fixture.pki().join("issued.jsonl");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(
        &index,
        text.replace(r#""key":"authority""#, r#""key":"request""#),
    )
    .unwrap();
    let before = contents(&issued.files);
    let mut authority = fixture.reopen();
    let error = authority.renew(&fixture.renewal("n1"), now()).unwrap_err();
    assert!(matches!(error, IssueError::OwnKey { .. }));
    assert_eq!(contents(&issued.files), before);
}

#[test]
fn a_directory_without_the_nodes_files_is_the_wrong_one() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let issued = authority.issue(&fixture.request("n1"), now()).unwrap();
    fs::remove_file(&issued.files.certificate).unwrap();
    fs::remove_file(&issued.files.key).unwrap();
    let mut request = fixture.renewal("n1");
    let error = authority.renew(&request, now()).unwrap_err();
    assert!(
        matches!(&error, IssueError::Output(OutputError::Missing { path })
            if *path == issued.files.certificate),
        "{error}"
    );
    assert_eq!(names_in(&fixture.out()), ["ca.pem"]);
    assert_eq!(authority.issued().len(), 1);
    request.existing = Existing::Replace;
    let renewed = authority.renew(&request, now()).unwrap();
    Node::of(&renewed.files).load().unwrap();
}

#[test]
fn a_file_that_is_lost_comes_back_with_a_renewal() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let issued = authority.issue(&fixture.request("n1"), now()).unwrap();
    for path in [&issued.files.certificate, &issued.files.key] {
        fs::remove_file(path).unwrap();
        let renewed = authority.renew(&fixture.renewal("n1"), now()).unwrap();
        Node::of(&renewed.files).load().unwrap();
    }
}

#[test]
fn a_directory_of_another_authority_is_the_wrong_one() {
    let (ours, theirs) = (Fixture::new(), Fixture::new());
    let (mut authority, mut other) = (ours.init(), theirs.init());
    authority.issue(&ours.request("n1"), now()).unwrap();
    let victim = other.issue(&theirs.request("n1"), now()).unwrap();
    let before = contents(&victim.files);
    let mut request = ours.renewal("n1");
    request.out = theirs.out();
    let error = authority.renew(&request, now()).unwrap_err();
    assert!(matches!(
        error,
        IssueError::Output(OutputError::OtherAuthority { .. })
    ));
    assert_eq!(contents(&victim.files), before);
    assert_eq!(authority.issued().len(), 1);
}

#[test]
fn an_expired_authority_renews_nothing_and_the_old_files_stay() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let issued = authority.issue(&fixture.request("n1"), now()).unwrap();
    let before = contents(&issued.files);
    let late = authority.not_after() + Duration::from_secs(1);
    let error = authority.renew(&fixture.renewal("n1"), late).unwrap_err();
    assert!(matches!(error, IssueError::Validity(_)));
    assert_eq!(contents(&issued.files), before);
    assert_eq!(names_in(&fixture.out()).len(), 3);
}

#[test]
fn what_is_due_is_the_newest_of_each_node_that_is_not_revoked() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for (name, length) in [("short", 10), ("middle", 40), ("long", 300), ("stolen", 10)] {
        let mut request = fixture.request(name);
        request.days = Days::new(length).unwrap();
        authority.issue(&request, now()).unwrap();
    }
    let target = RevokeTarget::Node("stolen".parse().unwrap());
    let reason = RevocationReason::KeyCompromise;
    authority
        .revoke(&target, reason, &fixture.lists(), now())
        .unwrap();
    assert_eq!(
        due(&authority, Due::All, now()),
        ["short", "middle", "long"]
    );
    let month = Due::Within(days(30));
    assert_eq!(due(&authority, month, now()), ["short"]);
    assert_eq!(
        due(&authority, month, now() + days(11)),
        ["short", "middle"]
    );
    assert_eq!(due(&authority, Due::Within(Duration::MAX), now()).len(), 3);
    let mut request = fixture.renewal("short");
    request.days = Some(Days::new(90).unwrap());
    authority.renew(&request, now()).unwrap();
    assert_eq!(due(&authority, month, now()), [""; 0]);
    assert_eq!(due(&authority, Due::All, now()).len(), 3);
}

#[test]
fn what_is_due_for_a_rotation_is_what_the_old_root_signed() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for name in ["a", "b"] {
        authority.issue(&fixture.request(name), now()).unwrap();
    }
    let old = Due::OfRetiringRoot;
    assert_eq!(due(&authority, old, now()), [""; 0]);
    authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
    assert_eq!(due(&authority, old, now()), ["a", "b"]);
    authority.renew(&fixture.renewal("a"), now()).unwrap();
    assert_eq!(due(&authority, old, now()), ["b"]);
}

#[test]
fn a_renewal_replaces_what_force_had_replaced() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    authority.issue(&fixture.request("n1"), now()).unwrap();
    let mut forced = fixture.request("n1");
    forced.existing = Existing::Replace;
    forced.days = Days::new(30).unwrap();
    let forced = authority.issue(&forced, now()).unwrap();
    let renewed = authority.renew(&fixture.renewal("n1"), now()).unwrap();
    assert_eq!(renewed.replaced, Some(forced.record));
    assert_eq!(renewed.record.days.get(), 30);
}
