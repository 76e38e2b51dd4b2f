//! What an authority issues, a node accepts: by the very code that nodes run.

use std::time::SystemTime;

use cluster_pki::{Authority, Days, InitRequest, Issued, KeyType};
use cluster_tls::{LoadError, Role, Snapshot};

use crate::fixture::{Fixture, now};
use crate::node::Node;

fn load(issued: &Issued, at: SystemTime) -> Result<Snapshot, LoadError> {
    Node::of(&issued.files).at(at).load()
}

#[test]
fn every_key_type_and_role_is_accepted_as_what_it_was_issued_as() {
    let roles = [Role::Scheduler, Role::Executor, Role::Node, Role::Client];
    for key_type in KeyType::ALL {
        let fixture = Fixture::new();
        let request = InitRequest {
            key_type,
            ..InitRequest::default()
        };
        let mut authority = Authority::init(&fixture.pki(), &request, now()).unwrap();
        for role in roles {
            let mut request = fixture.request(&format!("a-{role}"));
            request.role = Some(role);
            let issued = authority.issue(&request, now()).unwrap();
            let snapshot = load(&issued, now()).unwrap();
            let own = snapshot.own();
            assert_eq!(own.role(), role, "{key_type}");
            assert_eq!(own.uri(), Some(issued.record.uri.as_str()));
            assert_eq!(own.names(), issued.record.names);
            assert_eq!(own.fingerprint(), issued.record.fingerprint);
            assert_eq!(own.not_after(), issued.record.not_after);
        }
    }
}

#[test]
fn every_name_of_the_grammar_is_accepted() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let longest = format!("{}.b", "a".repeat(62));
    for name in [
        "A",
        "7a",
        "rack-3.node_7",
        "_x",
        "n.cluster.local",
        &longest,
    ] {
        let mut request = fixture.request(name);
        request.hosts = ["2001:db8::1", "10.0.0.7", "x_y.example"]
            .map(|host| host.parse().unwrap())
            .to_vec();
        let issued = authority.issue(&request, now()).unwrap();
        let snapshot = load(&issued, now()).unwrap();
        for name in &issued.record.names {
            assert!(snapshot.own().has_name(&name.to_string()), "{name}");
        }
    }
}

#[test]
fn the_longest_leaf_is_accepted_for_as_long_as_it_lasts() {
    let fixture = Fixture::new();
    let mut request = fixture.request("n1");
    request.days = Days::LEAF_LONGEST;
    let issued = fixture.init().issue(&request, now()).unwrap();
    load(&issued, issued.record.not_before).unwrap();
    load(&issued, issued.record.not_after).unwrap();
    let second = std::time::Duration::from_secs(1);
    load(&issued, issued.record.not_before - second).unwrap_err();
    load(&issued, issued.record.not_after + second).unwrap_err();
}
