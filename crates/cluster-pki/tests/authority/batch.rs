//! Many certificates at once: all of them, or none.

use std::collections::HashSet;
use std::fs;
use std::ops::ControlFlow;

use cluster_pki::{
    Authority, BatchError, Days, IssueError, Issued, LeafRequest, OutputError, RevocationReason,
    RevokeTarget,
};
use cluster_tls::Role;

use crate::fixture::{Fixture, names_in, now};
use crate::node::Node;

fn requests(fixture: &Fixture, names: &[&str]) -> Vec<LeafRequest> {
    names.iter().map(|name| fixture.request(name)).collect()
}

fn issue_all(
    authority: &mut Authority,
    requests: &[LeafRequest],
) -> Result<Vec<Issued>, BatchError> {
    authority.issue_all(requests, now(), &mut |_| ControlFlow::Continue(()))
}

fn faults(result: Result<Vec<Issued>, BatchError>) -> Vec<(usize, IssueError)> {
    match result.unwrap_err() {
        BatchError::Requests(faults) => faults,
        other => panic!("{other}"),
    }
}

#[test]
fn fifty_nodes_are_issued_together_and_accepted_each_as_itself() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let names: Vec<_> = (0..50).map(|number| format!("node-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut told = Vec::new();
    let issued = authority
        .issue_all(&requests(&fixture, &names), now(), &mut |made| {
            told.push(made);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(told, (1..=50).collect::<Vec<_>>());
    let mut keys = HashSet::new();
    for (issued, name) in issued.iter().zip(names) {
        assert_eq!(
            issued.record.name.as_str(),
            name,
            "in the order of the requests"
        );
        let snapshot = Node::of(&issued.files).load().unwrap();
        assert!(snapshot.own().has_name(name));
        assert_eq!(snapshot.own().fingerprint(), issued.record.fingerprint);
        keys.insert(fs::read(&issued.files.key).unwrap());
    }
    assert_eq!(keys.len(), 50);
    assert_eq!(names_in(&fixture.out()).len(), 1 + 2 * 50);
    let records: Vec<_> = issued.into_iter().map(|issued| issued.record).collect();
    assert_eq!(authority.issued(), records);
    drop(authority);
    assert_eq!(fixture.reopen().issued(), records);
}

#[test]
fn a_batch_may_fill_several_directories() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let mut requests = requests(&fixture, &["a", "b"]);
    requests[1].out = fixture.out().join("second");
    let issued = issue_all(&mut authority, &requests).unwrap();
    for issued in &issued {
        Node::of(&issued.files).load().unwrap();
    }
    assert_ne!(issued[0].files.ca, issued[1].files.ca);
}

#[test]
fn nothing_is_asked_and_nothing_is_issued() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    assert_eq!(issue_all(&mut authority, &[]).unwrap(), []);
    assert_eq!(authority.issued(), []);
}

#[test]
fn every_fault_is_told_with_its_place_and_nothing_is_issued() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    authority.issue(&fixture.request("there"), now()).unwrap();
    fs::write(fixture.out().join("blocked.pem"), "mine").unwrap();
    let names = [
        "good", "there", "Good", "blocked", "endless", "roleless", "fine",
    ];
    let mut requests = requests(&fixture, &names);
    requests[4].days = Days::new(Days::LIMIT).unwrap();
    requests[5].role = Some(Role::Unspecified);
    let before = names_in(&fixture.out());
    let faults = faults(issue_all(&mut authority, &requests));
    let places: Vec<_> = faults.iter().map(|(at, _)| *at).collect();
    assert_eq!(places, [1, 2, 3, 4, 5]);
    assert!(matches!(faults[0].1, IssueError::AlreadyIssued { .. }));
    assert!(matches!(&faults[1].1, IssueError::Twice(name) if name.as_str() == "Good"));
    assert!(matches!(
        faults[2].1,
        IssueError::Output(OutputError::Exists { .. })
    ));
    assert!(matches!(faults[3].1, IssueError::Validity(_)));
    assert!(matches!(faults[4].1, IssueError::Role(Role::Unspecified)));
    assert_eq!(names_in(&fixture.out()), before);
    assert_eq!(authority.issued().len(), 1);
    let good = [requests[0].clone(), requests[6].clone()];
    assert_eq!(issue_all(&mut authority, &good).unwrap().len(), 2);
}

#[test]
fn a_batch_that_is_interrupted_leaves_no_file_and_no_record() {
    for stop in 1..=3 {
        let fixture = Fixture::new();
        let mut authority = fixture.init();
        let requests = requests(&fixture, &["a", "b", "c"]);
        let result = authority.issue_all(&requests, now(), &mut |made| {
            if made == stop {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        let error = result.unwrap_err();
        assert!(matches!(error, BatchError::Issue(IssueError::Interrupted)));
        assert_eq!(names_in(&fixture.out()), [""; 0], "stopped after {stop}");
        assert_eq!(authority.issued(), []);
        drop(authority);
        let mut authority = fixture.reopen();
        assert_eq!(authority.issued(), []);
        issue_all(&mut authority, &requests).unwrap();
    }
}

#[test]
fn a_batch_that_cannot_be_recorded_leaves_no_file() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    // Not even the system's administrator can put a file in the place of a directory.
    fs::remove_file(fixture.pki().join("issued.jsonl")).unwrap();
    fs::create_dir(fixture.pki().join("issued.jsonl")).unwrap();
    let error = issue_all(&mut authority, &requests(&fixture, &["a", "b"])).unwrap_err();
    assert!(matches!(error, BatchError::Issue(IssueError::Records(_))));
    assert_eq!(names_in(&fixture.out()), [""; 0]);
    assert_eq!(authority.issued(), []);
    assert!(!names_in(&fixture.pki()).contains(&".issued.jsonl.new".to_owned()));
}

#[test]
fn a_batch_takes_a_revoked_node_back_in() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let requests = requests(&fixture, &["a", "b"]);
    authority.issue(&requests[0], now()).unwrap();
    let target = RevokeTarget::Node("a".parse().unwrap());
    let reason = RevocationReason::Superseded;
    let lists = fixture.lists();
    authority.revoke(&target, reason, &lists, now()).unwrap();
    let issued = issue_all(&mut authority, &requests).unwrap();
    assert_eq!(issued[0].replaced, None);
    Node::of(&issued[0].files).load().unwrap();
}

#[test]
fn two_names_of_one_node_are_refused_in_whatever_order() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let (short, full) = ("N1", "n1.Cluster.Local");
    for names in [[short, full], [full, short]] {
        let faults = faults(issue_all(&mut authority, &requests(&fixture, &names)));
        assert!(
            matches!(&faults[..], [(1, IssueError::Namesake { name, other })]
                if [other.as_str(), name.as_str()] == names),
            "{faults:?}"
        );
    }
    assert_eq!(authority.issued(), []);
    let apart = ["n1", "n1.cluster", "n1.cluster.local.other"];
    issue_all(&mut authority, &requests(&fixture, &apart)).unwrap();
}

/// Whoever can write to a directory can put something in the way of a key at any moment.
#[test]
fn a_key_that_cannot_have_its_name_keeps_its_certificate_from_having_one() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let in_the_way = fixture.out().join("a-key.pem");
    let result = authority.issue_all(&requests(&fixture, &["a", "b"]), now(), &mut |_| {
        fs::create_dir_all(in_the_way.join("full")).unwrap();
        ControlFlow::Continue(())
    });
    assert!(matches!(
        result,
        Err(BatchError::Issue(IssueError::File(_)))
    ));
    let staged = [".a-key.pem.new", ".a.pem.new"];
    let left = names_in(&fixture.out());
    assert!(staged.iter().all(|name| left.contains(&(*name).to_owned())));
    assert!(!left.contains(&"a.pem".to_owned()), "{left:?}");
    Node::in_directory(&fixture.out(), "b").load().unwrap();
    drop(authority);
    fs::remove_dir_all(&in_the_way).unwrap();
    let authority = fixture.reopen();
    let a = Node::in_directory(&fixture.out(), "a").load().unwrap();
    assert_eq!(a.own().fingerprint(), authority.issued()[0].fingerprint);
}
