//! Exchanging the root, step by step, through the files that nodes get.

mod ending;

use std::fs;
use std::path::Path;
use std::time::Duration;

use cluster_pki::{
    Aborted, Authority, Days, Existing, InitError, InitRequest, IssueError, KeyType, NodeName,
    OutputError, RotateError, RotationError,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::fixture::{Fixture, days, der, mode, names_in, now};
use crate::node::{Node, meeting};

fn names(list: &[&str]) -> Vec<NodeName> {
    list.iter().map(|name| name.parse().unwrap()).collect()
}

fn issue(fixture: &Fixture, authority: &mut Authority, name: &str) {
    authority.issue(&fixture.request(name), now()).unwrap();
}

fn renew(fixture: &Fixture, authority: &mut Authority, name: &str) {
    authority.renew(&fixture.renewal(name), now()).unwrap();
}

fn start(fixture: &Fixture, authority: &mut Authority) {
    authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
}

fn finish(fixture: &Fixture, authority: &mut Authority) {
    authority.finish_rotation(&[], &fixture.out()).unwrap();
}

fn root_pem(fixture: &Fixture, generation: u64) -> String {
    fs::read_to_string(fixture.pki().join(format!("ca-{generation}.pem"))).unwrap()
}

fn ca(fixture: &Fixture) -> String {
    fs::read_to_string(fixture.ca()).unwrap()
}

fn keys(fixture: &Fixture) -> Vec<String> {
    let names = names_in(&fixture.pki()).into_iter();
    names.filter(|name| name.ends_with("-key.pem")).collect()
}

/// After each step: what is on disk says the same as what is in memory.
fn reopened(fixture: &Fixture, authority: Authority) -> Authority {
    let said = |authority: &Authority| {
        let rotation = authority.rotation().unwrap();
        (rotation, authority.ca_pem(), authority.key_type())
    };
    let before = said(&authority);
    drop(authority);
    let authority = fixture.reopen();
    assert_eq!(said(&authority), before);
    authority
}

/// How the certificate of a node looks to one that has these roots.
fn before(directory: &Path, name: &str, ca: &Path) -> Result<(), &'static str> {
    let node = Node::in_directory(directory, name).before(ca);
    node.load()
        .map(|_| ())
        .map_err(|error| error.fault().code())
}

#[test]
fn a_rotation_goes_from_one_root_over_both_to_the_other() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "a");
    issue(&fixture, &mut authority, "b");
    let one = fixture.keep("one root");
    let old = root_pem(&fixture, 1);
    assert_eq!(ca(&fixture), old);

    let begun = authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
    let new = root_pem(&fixture, 2);
    assert_eq!(begun.ca, fixture.ca());
    assert_eq!(ca(&fixture), format!("{new}{old}"));
    assert_eq!(mode(&fixture.pki().join("ca-2-key.pem")), 0o600);
    assert_eq!(begun.rotation.not_renewed, names(&["a", "b"]));
    assert_eq!(begun.rotation.since, Some(now()));
    assert_eq!(begun.other_roots, 0);
    let mut authority = reopened(&fixture, authority);

    renew(&fixture, &mut authority, "a");
    let half = fixture.keep("a renewed");
    assert_eq!(
        before(&half, "a", &one.join("ca.pem")),
        Err("unknown_issuer")
    );
    assert_eq!(before(&half, "a", &half.join("ca.pem")), Ok(()));
    assert_eq!(before(&one, "b", &half.join("ca.pem")), Ok(()));
    let node = |directory, name| Node::in_directory(directory, name);
    assert_eq!(meeting(&node(&half, "a"), &node(&half, "b")), ("ok", "ok"));
    let error = authority.finish_rotation(&[], &fixture.out()).unwrap_err();
    let expected = RotationError::NotRenewed {
        nodes: names(&["b"]),
    };
    assert!(matches!(error, RotateError::Rotation(error) if error == expected));
    assert_eq!(ca(&fixture), format!("{new}{old}"));
    let mut authority = reopened(&fixture, authority);

    renew(&fixture, &mut authority, "b");
    let both = fixture.keep("both renewed");
    finish(&fixture, &mut authority);
    assert_eq!(ca(&fixture), new);
    assert_eq!(keys(&fixture), ["ca-2-key.pem"], "the old key is destroyed");
    let after = fixture.keep("finished");
    for name in ["a", "b"] {
        assert_eq!(before(&one, name, &fixture.ca()), Err("unknown_issuer"));
        assert_eq!(before(&after, name, &fixture.ca()), Ok(()));
    }
    let (late, early) = (node(&after, "a"), node(&both, "b"));
    assert_eq!(
        meeting(&late, &early),
        ("ok", "ok"),
        "whoever gets the roots first"
    );
    assert_eq!(meeting(&late, &node(&one, "a")).0, "unknown_issuer");
    let mut authority = reopened(&fixture, authority);
    issue(&fixture, &mut authority, "c");
    assert_eq!(authority.issued().last().unwrap().generation, 2);
}

#[test]
fn what_is_issued_after_the_start_is_of_the_new_root() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "old");
    start(&fixture, &mut authority);
    issue(&fixture, &mut authority, "new");
    let rotation = authority.rotation().unwrap();
    assert_eq!(rotation.renewed, names(&["new"]));
    assert_eq!(rotation.not_renewed, names(&["old"]));
    let generations: Vec<_> = authority.issued().iter().map(|r| r.generation).collect();
    assert_eq!(generations, [1, 2]);
    let node = |name| Node::in_directory(&fixture.out(), name);
    assert_eq!(meeting(&node("old"), &node("new")), ("ok", "ok"));
}

#[test]
fn a_start_that_is_repeated_changes_nothing() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    start(&fixture, &mut authority);
    let (files, roots) = (names_in(&fixture.pki()), ca(&fixture));
    let error = authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap_err();
    let expected = RotationError::UnderWay {
        signing: 2,
        retiring: 1,
    };
    assert!(matches!(error, RotateError::Rotation(error) if error == expected));
    assert_eq!((names_in(&fixture.pki()), ca(&fixture)), (files, roots));
}

#[test]
fn an_authority_is_not_made_anew_while_its_root_is_exchanged() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    start(&fixture, &mut authority);
    drop(authority);
    let before = names_in(&fixture.pki());
    let error = Authority::init(&fixture.pki(), &InitRequest::default(), now()).unwrap_err();
    assert!(matches!(error, InitError::Exists { .. }));
    assert_eq!(names_in(&fixture.pki()), before);
}

#[test]
fn the_kind_of_key_changes_with_the_root_and_back_with_it() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "a");
    let kind = |name: &str| {
        let der = der(&fixture.out().join(format!("{name}.pem")));
        let (_, leaf) = X509Certificate::from_der(&der).unwrap();
        leaf.public_key().algorithm.algorithm.to_id_string()
    };
    let old_kind = kind("a");
    let mut request = fixture.rotation();
    request.key_type = Some(KeyType::Ed25519);
    authority.start_rotation(&request, now()).unwrap();
    let mut authority = reopened(&fixture, authority);
    assert_eq!(authority.key_type(), KeyType::Ed25519);
    renew(&fixture, &mut authority, "a");
    assert_eq!(kind("a"), "1.3.101.112");
    Node::in_directory(&fixture.out(), "a").load().unwrap();
    authority.abort_rotation(&fixture.out(), now()).unwrap();
    let mut authority = reopened(&fixture, authority);
    assert_eq!(authority.key_type(), KeyType::P256);
    renew(&fixture, &mut authority, "a");
    assert_eq!(kind("a"), old_kind);
    finish(&fixture, &mut authority);
    start(&fixture, &mut authority);
    assert_eq!(
        authority.key_type(),
        KeyType::P256,
        "unless another is asked for"
    );
}

#[test]
fn a_start_that_is_refused_changes_nothing() {
    let (ours, theirs) = (Fixture::new(), Fixture::new());
    let mut authority = ours.init();
    fs::create_dir_all(ours.out()).unwrap();
    let (foreign, before) = (theirs.init().ca_pem(), names_in(&ours.pki()));
    fs::write(ours.ca(), &foreign).unwrap();
    let mut request = ours.rotation();
    request.key_type = Some(KeyType::P384);
    let error = authority.start_rotation(&request, now()).unwrap_err();
    assert!(matches!(
        error,
        RotateError::Output(OutputError::OtherAuthority { .. })
    ));
    request.out = ours.pki();
    let error = authority.start_rotation(&request, now()).unwrap_err();
    assert!(matches!(
        error,
        RotateError::Output(OutputError::PkiDirectory { .. })
    ));
    assert_eq!(ca(&ours), foreign);
    assert_eq!(names_in(&ours.pki()), before);
    assert_eq!(authority.key_type(), KeyType::P256);
    assert_eq!(authority.generation(), 1);
    fs::remove_file(ours.ca()).unwrap();
    start(&ours, &mut authority);
}

#[test]
fn roots_of_others_beside_ours_stay_through_every_step() {
    let (ours, theirs) = (Fixture::new(), Fixture::new());
    let (mut authority, mut other) = (ours.init(), theirs.init());
    issue(&ours, &mut authority, "a");
    issue(&theirs, &mut other, "x");
    let foreign = format!("# of the other site\n{}", other.ca_pem());
    let old = root_pem(&ours, 1);
    fs::write(ours.ca(), format!("{foreign}{old}")).unwrap();
    let both_sites = |step: &str| {
        assert_eq!(before(&ours.out(), "a", &ours.ca()), Ok(()), "{step}");
        assert_eq!(before(&theirs.out(), "x", &ours.ca()), Ok(()), "{step}");
    };
    both_sites("put together");
    let begun = authority.start_rotation(&ours.rotation(), now()).unwrap();
    assert_eq!(begun.other_roots, 1);
    let new = root_pem(&ours, 2);
    assert_eq!(ca(&ours), format!("{new}{old}{foreign}"));
    renew(&ours, &mut authority, "a");
    both_sites("renewed");
    finish(&ours, &mut authority);
    assert_eq!(ca(&ours), format!("{new}{foreign}"));
    both_sites("finished");
    start(&ours, &mut authority);
    authority.abort_rotation(&ours.out(), now()).unwrap();
    assert_eq!(ca(&ours), format!("{new}{foreign}"));
    both_sites("aborted");
}

#[test]
fn a_directory_that_was_not_there_at_the_start_follows_when_it_is_used() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "a");
    let mut elsewhere = fixture.request("b");
    elsewhere.out = fixture.out().join("elsewhere");
    let other = authority.issue(&elsewhere, now()).unwrap();
    start(&fixture, &mut authority);
    assert_eq!(
        fs::read_to_string(&other.files.ca).unwrap(),
        root_pem(&fixture, 1)
    );
    let mut renewal = fixture.renewal("b");
    renewal.out.clone_from(&elsewhere.out);
    authority.renew(&renewal, now()).unwrap();
    assert_eq!(fs::read_to_string(&other.files.ca).unwrap(), ca(&fixture));
}

#[test]
fn an_expired_root_is_exchanged() {
    let fixture = Fixture::new();
    let request = InitRequest {
        days: Days::new(10).unwrap(),
        ..InitRequest::default()
    };
    let mut authority = Authority::init(&fixture.pki(), &request, now()).unwrap();
    issue(&fixture, &mut authority, "a");
    let late = now() + days(10) + Duration::from_secs(1);
    let out = fixture.out();
    let error = authority.renew(&fixture.renewal("a"), late).unwrap_err();
    assert!(matches!(error, IssueError::Validity(_)));
    authority.start_rotation(&fixture.rotation(), late).unwrap();
    authority.renew(&fixture.renewal("a"), late).unwrap();
    Node::in_directory(&out, "a").at(late).load().unwrap();
    authority.finish_rotation(&[], &out).unwrap();
    Node::in_directory(&out, "a").at(late).load().unwrap();
}

#[test]
fn a_number_is_never_given_to_two_roots() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "lost");
    start(&fixture, &mut authority);
    let out = fixture.out();
    authority.finish_rotation(&names(&["lost"]), &out).unwrap();
    drop(authority);
    // Somebody tidies up: the certificate of a root whose key is gone.
    fs::remove_file(fixture.pki().join("ca-1.pem")).unwrap();
    let mut authority = fixture.reopen();
    start(&fixture, &mut authority);
    assert_eq!(authority.generation(), 3);
    let mut request = fixture.request("lost");
    request.existing = Existing::Replace;
    authority.issue(&request, now()).unwrap();
    let aborted = authority.abort_rotation(&out, now()).unwrap();
    assert_eq!(aborted.1, Aborted::TurnedBack);
}

#[test]
fn rotations_follow_one_another() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "a");
    for generation in 2..=4 {
        start(&fixture, &mut authority);
        renew(&fixture, &mut authority, "a");
        finish(&fixture, &mut authority);
        authority = reopened(&fixture, authority);
        assert_eq!(authority.generation(), generation);
        assert_eq!(ca(&fixture), root_pem(&fixture, generation));
        assert_eq!(keys(&fixture), [format!("ca-{generation}-key.pem")]);
        Node::in_directory(&fixture.out(), "a").load().unwrap();
    }
}
