//! Whatever is done in whatever order: what always holds.

use std::collections::BTreeSet;
use std::fs;
use std::time::SystemTime;

use cluster_pki::{
    Authority, Days, InitRequest, IssueError, NodeName, RevocationReason, RevokeError,
    RevokeTarget, RotateError,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::fixture::{Fixture, days, names_in, now};
use crate::node::Node;

#[derive(Debug, Clone)]
enum Step {
    Issue(usize, u32),
    Renew(usize),
    Revoke(usize),
    RevokeReplaced(usize),
    Publish,
    Start,
    Finish,
    Abandon,
    Abort,
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NAMES.len();
    prop_oneof![
        4 => (node.clone(), 1..120u32).prop_map(|(node, length)| Step::Issue(node, length)),
        4 => node.clone().prop_map(Step::Renew),
        1 => node.clone().prop_map(Step::Revoke),
        1 => node.prop_map(Step::RevokeReplaced),
        1 => Just(Step::Publish),
        2 => Just(Step::Start),
        3 => Just(Step::Finish),
        1 => Just(Step::Abandon),
        2 => Just(Step::Abort),
        2 => (1..90u32).prop_map(Step::Wait),
    ]
}

/// An authority in the course of time.
struct Story {
    fixture: Fixture,
    authority: Authority,
    at: SystemTime,
    /// The number of the newest lists.
    number: u64,
}

impl Story {
    fn begin() -> Self {
        let fixture = Fixture::new();
        let request = InitRequest {
            days: ROOT_DAYS.parse().unwrap(),
            out: Some(fixture.out()),
            ..InitRequest::default()
        };
        let authority = Authority::init(&fixture.pki(), &request, now()).unwrap();
        Self {
            fixture,
            authority,
            at: now(),
            number: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Issue(node, length) => self.issue(NAMES[*node], *length),
            Step::Renew(node) => self.renew(NAMES[*node]),
            Step::Revoke(node) => self.revoke(&RevokeTarget::Node(name(NAMES[*node]))),
            Step::RevokeReplaced(node) => {
                self.revoke(&RevokeTarget::Replaced(name(NAMES[*node])));
            }
            Step::Publish => self.publish(),
            Step::Start => self.start(),
            Step::Finish => self.finish(&[]),
            Step::Abandon => {
                let rotation = self.authority.rotation().unwrap();
                self.finish(&rotation.not_renewed);
            }
            Step::Abort => self.abort(),
            Step::Wait(length) => self.at += days(*length),
        }
    }

    fn issue(&mut self, node: &str, length: u32) {
        let mut request = self.fixture.request(node);
        request.days = Days::new(length).unwrap();
        match self.authority.issue(&request, self.at) {
            Ok(_) | Err(IssueError::AlreadyIssued { .. } | IssueError::Validity(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn renew(&mut self, node: &str) {
        use IssueError::{NeverIssued, Revoked, Validity};
        match self.authority.renew(&self.fixture.renewal(node), self.at) {
            Ok(_) | Err(NeverIssued(_) | Revoked { .. } | Validity(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn revoke(&mut self, target: &RevokeTarget) {
        use RevokeError::{NothingLeft, RootsExpired, Unknown};
        let (reason, lists) = (RevocationReason::KeyCompromise, self.fixture.lists());
        match self.authority.revoke(target, reason, &lists, self.at) {
            Ok(revoked) => self.numbered(revoked.lists.number),
            Err(Unknown(_) | NothingLeft(_) | RootsExpired) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn publish(&mut self) {
        let lists = self.fixture.lists();
        match self.authority.publish_lists(&lists, self.at) {
            Ok(lists) => self.numbered(lists.number),
            Err(RevokeError::RootsExpired) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn numbered(&mut self, number: u64) {
        assert!(number > self.number);
        self.number = number;
    }

    fn start(&mut self) {
        let mut request = self.fixture.rotation();
        request.days = ROOT_DAYS.parse().unwrap();
        decided(self.authority.start_rotation(&request, self.at));
    }

    fn finish(&mut self, abandoned: &[NodeName]) {
        let out = self.fixture.out();
        decided(self.authority.finish_rotation(abandoned, &out));
    }

    fn abort(&mut self) {
        let out = self.fixture.out();
        decided(self.authority.abort_rotation(&out, self.at));
    }

    fn check(self) -> Self {
        self.check_certificates();
        self.check_roots();
        let said = self.said();
        let Self {
            fixture,
            authority,
            at,
            number,
        } = self;
        drop(authority);
        let authority = fixture.reopen();
        let reopened = Self {
            fixture,
            authority,
            at,
            number,
        };
        assert_eq!(reopened.said(), said);
        reopened
    }

    fn said(&self) -> String {
        let authority = &self.authority;
        format!(
            "{:?} {:?} {:?} {:?}",
            authority.certificates(self.at),
            authority.revoked(),
            authority.rotation().unwrap(),
            authority.ca_pem()
        )
    }

    /// What is in use is believed, what is revoked is not in use.
    fn check_certificates(&self) {
        let revoked: BTreeSet<_> = self.authority.revoked().iter().map(|r| &r.serial).collect();
        let certificates = self.authority.certificates(self.at).into_iter();
        let in_use = certificates.filter(|certificate| certificate.standing.is_in_use());
        for record in in_use.map(|certificate| certificate.record) {
            assert!(!revoked.contains(&record.serial), "{}", record.name);
            let node = Node::in_directory(&self.fixture.out(), record.name.as_str());
            let loaded = node.at(self.at).load();
            let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", record.name));
            assert_eq!(loaded.own().fingerprint(), record.fingerprint);
        }
    }

    /// Nodes are told of the roots that are believed and no other, and so many keys there are.
    fn check_roots(&self) {
        let rotation = self.authority.rotation().unwrap();
        let generations = [Some(rotation.signing), rotation.retiring].into_iter();
        let generations: Vec<_> = generations.flatten().map(|root| root.generation).collect();
        let root = |generation: &u64| {
            let file = self.fixture.pki().join(format!("ca-{generation}.pem"));
            CertificateDer::from_pem_file(file).unwrap().to_vec()
        };
        let expected: BTreeSet<_> = generations.iter().map(root).collect();
        let text = fs::read(self.fixture.ca()).unwrap();
        let told = CertificateDer::pem_slice_iter(&text).map(|root| root.unwrap().to_vec());
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), generations.len());
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), expected);
        let key = |generation: &u64| format!("ca-{generation}-key.pem");
        let expected: BTreeSet<_> = generations.iter().map(key).collect();
        let files = names_in(&self.fixture.pki()).into_iter();
        let keys: BTreeSet<_> = files.filter(|name| name.ends_with("-key.pem")).collect();
        assert_eq!(keys, expected);
    }
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// A step of a rotation is taken or refused for what it is; nothing goes wrong.
fn decided<T>(result: Result<T, RotateError>) {
    match result {
        Ok(_) | Err(RotateError::Rotation(_)) => {}
        Err(other) => panic!("{other}"),
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const ROOT_DAYS: &str = "200";

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_in_use_is_believed_and_what_is_revoked_is_not(steps in vec(step(), 1..24)) {
        let mut story = Story::begin().check();
        for step in &steps {
            story.take(step);
            story = story.check();
        }
    }
}
