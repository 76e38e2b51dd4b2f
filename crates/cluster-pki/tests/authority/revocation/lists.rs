//! The lists that nodes are given: what they say and for how long, and what they never replace.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cluster_pki::{Days, OutputError, RevokeError};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::{issue, node, renew, revoke};
use crate::fixture::{Fixture, days, names_in, now};
use crate::node::{Node, meeting};

/// What a list in `crl.pem` says.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    issuer: String,
    number: u64,
    from: i64,
    until: i64,
    serials: Vec<String>,
}

fn said(crl: &Path) -> Vec<Said> {
    let text = fs::read(crl).unwrap();
    let lists = Pem::iter_from_buffer(&text).map(|pem| pem.unwrap().contents);
    lists.map(|der| list(&der)).collect()
}

fn list(der: &[u8]) -> Said {
    let (rest, list) = CertificateRevocationList::from_der(der).unwrap();
    assert!(rest.is_empty());
    let revoked = list.iter_revoked_certificates();
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let digits = list.crl_number().unwrap().to_u64_digits();
    Said {
        issuer: list.issuer().to_string(),
        number: digits[0],
        from: list.last_update().timestamp(),
        until: list.next_update().unwrap().timestamp(),
        serials: revoked.map(|revoked| hex(revoked.raw_serial())).collect(),
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[test]
fn lists_about_nobody_are_taken_by_nodes() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    assert!(!authority.has_lists());
    let lists = authority.publish_lists(&fixture.lists(), now()).unwrap();
    assert!(authority.has_lists());
    assert_eq!(said(&lists.crl)[0].serials, [""; 0]);
    assert_eq!(lists.deny_list, fixture.out().join("deny-list.txt"));
    let node = || Node::in_directory(&fixture.out(), "n1");
    node().with_crl(&lists).load().unwrap();
    node().with_deny_list(&lists).load().unwrap();
}

#[test]
fn numbers_rise_and_a_list_ends_with_its_root_or_before() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    let end = seconds(authority.not_after());
    let table = [
        (None, end),
        (Some(7), seconds(now() + days(7))),
        (Some(3650), seconds(now() + days(3650)).min(end)),
        (Some(Days::LIMIT), end),
    ];
    for ((number, rises), (asked, until)) in (1..).zip(0..).zip(table) {
        let mut request = fixture.lists();
        request.days = asked.map(|asked| Days::new(asked).unwrap());
        let lists = authority.publish_lists(&request, now()).unwrap();
        assert_eq!((lists.number, seconds(lists.next_update)), (number, until));
        let expected = Said {
            issuer: authority.subject().to_owned(),
            number,
            from: seconds(now()) - 300 + rises,
            until,
            serials: Vec::new(),
        };
        assert_eq!(said(&lists.crl), [expected]);
        drop(authority);
        authority = fixture.reopen();
    }
    let revoked = revoke(&fixture, &mut authority, &node("n1")).unwrap();
    assert_eq!(revoked.lists.number, 5);
    assert_eq!(said(&revoked.lists.crl)[0].serials.len(), 1);
}

#[test]
fn a_clock_that_is_put_back_makes_no_list_that_nodes_would_take_for_an_older_one() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    let ahead = now() + days(3);
    let lists = authority.publish_lists(&fixture.lists(), ahead).unwrap();
    let first = said(&lists.crl)[0].from;
    drop(authority);
    let mut authority = fixture.reopen();
    let lists = revoke(&fixture, &mut authority, &node("n1")).unwrap().lists;
    assert_eq!(said(&lists.crl)[0].from, first + 1);
    let node = Node::in_directory(&fixture.out(), "n1").with_crl(&lists);
    assert_eq!(node.fault(), "revoked");
}

#[test]
fn a_list_is_overdue_when_it_says_so() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    let mut request = fixture.lists();
    request.days = Some(Days::new(7).unwrap());
    let lists = authority.publish_lists(&request, now()).unwrap();
    let node = Node::in_directory(&fixture.out(), "n1").with_crl(&lists);
    let second = Duration::from_secs(1);
    node.clone().at(lists.next_update - second).load().unwrap();
    assert_eq!(node.at(lists.next_update + second).fault(), "expired_list");
}

#[test]
fn during_a_rotation_each_root_has_a_list_of_its_own() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let old = issue(&fixture, &mut authority, "old");
    issue(&fixture, &mut authority, "stays");
    let before = authority.publish_lists(&fixture.lists(), now()).unwrap();
    let old_root = authority.subject().to_owned();
    authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
    let fixed = Node::in_directory(&fixture.out(), "stays").with_crl(&before);
    assert_eq!(
        fixed.fault(),
        "root_without_list",
        "the new root needs one too"
    );
    let new = issue(&fixture, &mut authority, "new");
    issue(&fixture, &mut authority, "other");
    revoke(&fixture, &mut authority, &node("old")).unwrap();
    let lists = revoke(&fixture, &mut authority, &node("new"))
        .unwrap()
        .lists;
    let said = said(&lists.crl);
    let of = |list: &Said| (list.issuer.clone(), list.serials.clone());
    let expected = [
        (authority.subject().to_owned(), vec![new.serial]),
        (old_root, vec![old.serial]),
    ];
    assert_eq!([of(&said[0]), of(&said[1])], expected);
    assert_eq!((said[0].number, said[1].number), (3, 3));
    let node = |name| Node::in_directory(&fixture.out(), name).with_crl(&lists);
    assert_eq!(
        (node("old").fault(), node("new").fault()),
        ("revoked", "revoked")
    );
    assert_eq!(meeting(&node("stays"), &node("other")), ("ok", "ok"));
}

#[test]
fn a_list_speaks_for_the_roots_that_are_believed_and_a_deny_list_for_all() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let first = issue(&fixture, &mut authority, "gone");
    issue(&fixture, &mut authority, "n1");
    authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
    renew(&fixture, &mut authority, "n1");
    revoke(&fixture, &mut authority, &node("gone")).unwrap();
    let out = fixture.out();
    authority.finish_rotation(&[], &out).unwrap();
    let lists = authority.publish_lists(&fixture.lists(), now()).unwrap();
    assert_eq!(said(&lists.crl).len(), 1);
    assert_eq!(said(&lists.crl)[0].serials, [""; 0]);
    let deny_list = fs::read_to_string(&lists.deny_list).unwrap();
    assert!(deny_list.contains(&first.serial));
    let node = Node::in_directory(&out, "n1").with_crl(&lists);
    node.with_deny_list(&lists).load().unwrap();
}

#[test]
fn without_a_root_that_is_believed_there_is_no_list() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    let end = authority.not_after();
    let error = authority.publish_lists(&fixture.lists(), end).unwrap_err();
    assert!(matches!(error, RevokeError::RootsExpired));
    let just = end - Duration::from_secs(1);
    authority.publish_lists(&fixture.lists(), just).unwrap();
}

#[test]
fn lists_of_others_are_never_overwritten_and_nothing_is_revoked() {
    let (ours, theirs) = (Fixture::new(), Fixture::new());
    let (mut authority, mut other) = (ours.init(), theirs.init());
    issue(&ours, &mut authority, "n1");
    issue(&theirs, &mut other, "n1");
    let foreign = revoke(&theirs, &mut other, &node("n1")).unwrap().lists;
    let mine = authority.publish_lists(&ours.lists(), now()).unwrap();
    let (crl, deny_list) = (mine.crl, ours.out().join("deny-list.txt"));
    let own = fs::read_to_string(&crl).unwrap();
    let both = own.clone() + &fs::read_to_string(&foreign.crl).unwrap();
    let in_the_way = [
        (&crl, fs::read_to_string(&foreign.crl).unwrap()),
        (&crl, both),
        (&crl, String::new()),
        (&crl, "a note\n".to_owned()),
        (&deny_list, "4f00 # by hand\n".to_owned()),
        (&deny_list, String::new()),
    ];
    for (path, text) in in_the_way {
        fs::write(path, &text).unwrap();
        let error = revoke(&ours, &mut authority, &node("n1")).unwrap_err();
        let expected = if path == &crl {
            matches!(&error, RevokeError::Output(OutputError::OtherAuthority { path: at }) if at == path)
        } else {
            matches!(&error, RevokeError::Output(OutputError::ForeignList { path: at }) if at == path)
        };
        assert!(expected, "{error}");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
        assert_eq!(authority.revoked(), []);
        fs::write(&crl, &own).unwrap();
    }
    fs::remove_file(&deny_list).unwrap();
    revoke(&ours, &mut authority, &node("n1")).unwrap();
}

#[test]
fn the_key_of_a_root_that_expired_is_not_needed_any_more() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let late = authority.not_after() + Duration::from_secs(1);
    authority.start_rotation(&fixture.rotation(), late).unwrap();
    drop(authority);
    fs::remove_file(fixture.pki().join("ca-1-key.pem")).unwrap();
    let mut authority = fixture.reopen();
    authority.issue(&fixture.request("n1"), late).unwrap();
    let lists = authority.publish_lists(&fixture.lists(), late).unwrap();
    assert_eq!(said(&lists.crl).len(), 1);
    let node = Node::in_directory(&fixture.out(), "n1").with_crl(&lists);
    node.at(late).load().unwrap();
}

#[test]
fn lists_may_lie_beside_the_nodes_files_and_are_replaced_whole() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for name in ["n1", "n2"] {
        issue(&fixture, &mut authority, name);
    }
    revoke(&fixture, &mut authority, &node("n1")).unwrap();
    let lists = revoke(&fixture, &mut authority, &node("n2")).unwrap().lists;
    let text = fs::read_to_string(lists.deny_list).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert_eq!(said(&lists.crl)[0].serials.len(), 2);
    let hidden = names_in(&fixture.out()).into_iter();
    assert_eq!(hidden.filter(|name| name.starts_with('.')).count(), 0);
}

#[test]
fn a_list_of_a_clock_that_is_put_back_is_not_overdue_before_it_begins() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let mut request = fixture.lists();
    request.days = Some(Days::ONE);
    // Within the day that is asked for, and after it.
    for ahead in [Duration::from_secs(3600), days(3)] {
        let ahead = now() + ahead;
        authority.publish_lists(&request, ahead).unwrap();
        let lists = authority.publish_lists(&request, now()).unwrap();
        let list = &said(&lists.crl)[0];
        let from = seconds(ahead) - 300 + 1;
        let until = seconds(now() + days(1));
        let expected = if from < until { until } else { from + 86_400 };
        assert_eq!((list.from, list.until), (from, expected));
        assert_eq!(seconds(lists.next_update), list.until);
    }
}

#[test]
fn no_list_goes_beyond_the_end_of_its_root() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let just = authority.not_after() - Duration::from_secs(1);
    authority.publish_lists(&fixture.lists(), just).unwrap();
    let mut request = fixture.lists();
    request.days = Some(Days::ONE);
    let lists = authority.publish_lists(&request, now()).unwrap();
    let list = &said(&lists.crl)[0];
    let end = seconds(authority.not_after());
    assert_eq!((list.from, list.until), (end - 300, end));
}

#[test]
fn records_of_an_old_copy_take_nobody_off_a_list() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for name in ["n1", "n2"] {
        issue(&fixture, &mut authority, name);
    }
    revoke(&fixture, &mut authority, &node("n1")).unwrap();
    let revoked = fixture.pki().join("revoked.jsonl");
    let old = fs::read(&revoked).unwrap();
    let lists = revoke(&fixture, &mut authority, &node("n2")).unwrap().lists;
    drop(authority);
    let new = fs::read(&revoked).unwrap();
    let told = (
        fs::read(&lists.crl).unwrap(),
        fs::read(&lists.deny_list).unwrap(),
    );
    fs::write(&revoked, old).unwrap();
    let mut authority = fixture.reopen();
    for (one, other) in [
        (&lists.crl, &lists.deny_list),
        (&lists.deny_list, &lists.crl),
    ] {
        // Either list is enough to know.
        fs::remove_file(one).unwrap();
        let error = authority
            .publish_lists(&fixture.lists(), now())
            .unwrap_err();
        assert!(
            matches!(
                error,
                RevokeError::Output(OutputError::ListKnowsMore { count: 1, .. })
            ),
            "{error}"
        );
        assert!(!one.exists() && other.exists());
        fs::write(&lists.crl, &told.0).unwrap();
        fs::write(&lists.deny_list, &told.1).unwrap();
    }
    drop(authority);
    fs::write(&revoked, new).unwrap();
    let mut authority = fixture.reopen();
    authority.publish_lists(&fixture.lists(), now()).unwrap();
}

#[test]
fn settings_of_an_old_copy_give_no_number_a_second_time() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let settings = fixture.pki().join("authority.json");
    let old = fs::read(&settings).unwrap();
    for _ in 0..3 {
        authority.publish_lists(&fixture.lists(), now()).unwrap();
    }
    drop(authority);
    fs::write(&settings, old).unwrap();
    let mut authority = fixture.reopen();
    let lists = authority.publish_lists(&fixture.lists(), now()).unwrap();
    assert_eq!((lists.number, said(&lists.crl)[0].number), (4, 4));
}
