//! Certificates for keys that nodes made: what a request does not get.

use std::fs;

use cluster_pki::{
    Authority, Existing, IssueError, Issued, LeafRequest, Localhost, RequestFiles, RequestPlan,
    RequestedNames, RevocationReason, RevokeTarget, SigningRequest,
};

use rcgen::{CertificateParams, KeyPair};

use crate::fixture::{Fixture, now};

/// What the node of that name makes on its own machine.
fn request(fixture: &Fixture, name: &str, hosts: &[&str]) -> RequestFiles {
    let machine = fixture.out().join("machines").join(name);
    let mut plan = RequestPlan::new(name.parse().unwrap(), machine);
    plan.hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    plan.make().unwrap().files
}

fn sign(
    authority: &mut Authority,
    files: &RequestFiles,
    leaf: &LeafRequest,
) -> Result<Issued, IssueError> {
    let request = SigningRequest::from_pem(&fs::read(&files.request).unwrap()).unwrap();
    authority.sign(request, RequestedNames::Confirmed, leaf, now())
}

fn revoke(fixture: &Fixture, authority: &mut Authority, name: &str, reason: RevocationReason) {
    let target = RevokeTarget::Node(name.parse().unwrap());
    let lists = fixture.lists();
    authority.revoke(&target, reason, &lists, now()).unwrap();
}

#[test]
fn a_name_of_another_node_is_not_signed_and_those_of_every_machine_are() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let mut scheduler = fixture.request("scheduler");
    scheduler.hosts = vec!["10.0.0.7".parse().unwrap()];
    authority.issue(&scheduler, now()).unwrap();
    let leaf = fixture.request("n1");
    for host in ["Scheduler", "scheduler.cluster.local", "10.0.0.7"] {
        let error = sign(&mut authority, &request(&fixture, "n1", &[host]), &leaf).unwrap_err();
        assert!(
            matches!(&error, IssueError::NameTaken { name, other }
                if other.as_str() == "scheduler" && name.to_string() == host.to_lowercase()),
            "{error}"
        );
        fs::remove_dir_all(fixture.out().join("machines")).unwrap();
    }
    assert_eq!(authority.issued().len(), 1);
    let own = request(&fixture, "n1", &["10.0.0.8"]);
    let signed = sign(&mut authority, &own, &leaf).unwrap();
    assert_eq!(leaf.localhost, Localhost::Included);
    let names: Vec<_> = signed
        .record
        .names
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(names.contains(&"localhost".to_owned()), "{names:?}");
    // Names that are free again.
    revoke(
        &fixture,
        &mut authority,
        "scheduler",
        RevocationReason::Superseded,
    );
    let heir = request(&fixture, "n2", &["scheduler", "10.0.0.7"]);
    sign(&mut authority, &heir, &fixture.request("n2")).unwrap();
}

#[test]
fn a_key_is_that_of_one_node() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let files = request(&fixture, "n1", &[]);
    let mut leaf = fixture.request("n1");
    let first = sign(&mut authority, &files, &leaf).unwrap();
    let mut plain = fixture.request("n2");
    plain.existing = Existing::Replace;
    let error = sign(&mut authority, &files, &plain).unwrap_err();
    assert!(
        matches!(&error, IssueError::KeyUsed { name, serial }
            if name.as_str() == "n1" && *serial == first.record.serial),
        "{error}"
    );
    leaf.existing = Existing::Replace;
    sign(&mut authority, &files, &leaf).unwrap();
}

#[test]
fn a_key_that_somebody_else_may_have_is_nobodys() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let files = request(&fixture, "n1", &[]);
    let leaf = fixture.request("n1");
    sign(&mut authority, &files, &leaf).unwrap();
    let superseded = RevocationReason::Superseded;
    revoke(&fixture, &mut authority, "n1", superseded);
    sign(&mut authority, &files, &leaf).unwrap();
    let compromised = RevocationReason::KeyCompromise;
    revoke(&fixture, &mut authority, "n1", compromised);
    let error = sign(&mut authority, &files, &leaf).unwrap_err();
    assert!(matches!(error, IssueError::KeyUsed { .. }), "{error}");
    fs::remove_dir_all(fixture.out().join("machines")).unwrap();
    let new = request(&fixture, "n1", &[]);
    sign(&mut authority, &new, &leaf).unwrap();
}

#[test]
fn a_key_that_the_authority_made_and_that_was_given_away_does_not_come_back_in_a_request() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let mut leaf = fixture.request("n1");
    let issued = authority.issue(&leaf, now()).unwrap();
    let key = KeyPair::from_pem(&fs::read_to_string(&issued.files.key).unwrap()).unwrap();
    let params = CertificateParams::new(["n1".to_owned()]).unwrap();
    let text = params.serialize_request(&key).unwrap().pem().unwrap();
    let mut sign = |authority: &mut Authority| {
        let request = SigningRequest::from_pem(text.as_bytes()).unwrap();
        leaf.existing = Existing::Replace;
        authority.sign(request, RequestedNames::Confirmed, &leaf, now())
    };
    sign(&mut authority).unwrap();
    let compromised = RevocationReason::KeyCompromise;
    revoke(&fixture, &mut authority, "n1", compromised);
    let error = sign(&mut authority).unwrap_err();
    assert!(matches!(error, IssueError::KeyUsed { .. }), "{error}");
}
