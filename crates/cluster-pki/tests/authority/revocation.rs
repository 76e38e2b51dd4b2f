//! Revoking: which certificates, what nodes make of the lists, and what is never overwritten.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cluster_pki::{
    Authority, Days, Due, Existing, InitRequest, IssueError, IssuedRecord, KeyError, Lists,
    OutputError, RevocationReason, RevokeError, RevokeTarget, Revoked,
};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::fixture::{Fixture, days, names_in, now};
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
fn a_node_loses_every_certificate_that_is_still_believed() {
    let fixture = Fixture::new();
    let long_ago = now() - days(2);
    let init = InitRequest::default();
    let mut authority = Authority::init(&fixture.pki(), &init, long_ago).unwrap();
    let mut brief = fixture.request("n1");
    brief.days = Days::ONE;
    authority.issue(&brief, long_ago).unwrap();
    let mut request = fixture.request("N1");
    request.existing = Existing::Replace;
    let second = authority.issue(&request, now()).unwrap().record;
    let third = authority.issue(&request, now()).unwrap().record;
    issue(&fixture, &mut authority, "n2");
    let revoked = revoke(&fixture, &mut authority, &node("n1")).unwrap();
    assert_eq!(serials(&revoked), [second.serial, third.serial]);
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
fn what_was_never_issued_or_is_over_is_not_revoked() {
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
fn of_what_has_expired_only_the_newest_certificate_of_a_node_is_revoked() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let old = issue(&fixture, &mut authority, "n1");
    let newest = authority
        .renew(&fixture.renewal("n1"), now())
        .unwrap()
        .record;
    let late = newest.not_after + Duration::from_secs(1);
    let found = authority.to_revoke(&node("n1"), late).unwrap();
    assert_eq!(found, [&newest]);
    let error = authority.to_revoke(&RevokeTarget::Serial(old.serial), late);
    assert!(matches!(error, Err(RevokeError::NothingLeft(_))));
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
fn lists_about_nobody_are_taken_by_nodes() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    issue(&fixture, &mut authority, "n1");
    assert!(!authority.has_lists());
    let lists = authority.publish_lists(&fixture.lists(), now()).unwrap();
    assert!(authority.has_lists());
    assert_eq!(said(&lists.crl)[0].serials, [""; 0]);
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
    for (number, (asked, until)) in (1..).zip(table) {
        let mut request = fixture.lists();
        request.days = asked.map(|asked| Days::new(asked).unwrap());
        let lists = authority.publish_lists(&request, now()).unwrap();
        assert_eq!((lists.number, seconds(lists.next_update)), (number, until));
        let expected = Said {
            issuer: authority.subject().to_owned(),
            number,
            from: seconds(now()) - 300,
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
    assert_eq!(said(&lists.crl)[0].from, first);
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
    assert!(!fixture.pki().join("revoked.jsonl").exists());
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
fn a_revoked_node_is_issued_anew_without_force() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let first = issue(&fixture, &mut authority, "n1");
    let stolen = fixture.keep("stolen");
    let lists = revoke(&fixture, &mut authority, &node("n1")).unwrap().lists;
    let again = authority.issue(&fixture.request("n1"), now()).unwrap();
    assert_eq!(again.replaced, Some(first));
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
