//! What a run that died between two writes leaves, constructed by hand.

use std::fs;
use std::path::Path;

use cluster_pki::{Authority, Existing, InitRequest, IssueError, OpenError};

use crate::fixture::{Fixture, names_in, now};

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

#[test]
fn an_init_that_died_before_its_last_write_is_no_authority_and_can_be_repeated() {
    let full = ["authority.json", "ca-1.pem", "ca-1-key.pem"];
    for lost in 1..=full.len() {
        let fixture = Fixture::new();
        drop(fixture.init());
        for name in &full[..lost] {
            remove(&fixture.pki().join(name));
        }
        let open = Authority::open(&fixture.pki());
        assert!(matches!(open, Err(OpenError::NoAuthority { .. })));
        let orphan = fs::read(fixture.pki().join("ca-1-key.pem")).ok();
        let mut authority = fixture.init();
        authority.issue(&fixture.request("n1"), now()).unwrap();
        let left = fs::read(fixture.pki().join("ca-1-key.pem")).ok();
        if lost < full.len() {
            assert_eq!(left, orphan, "a key is never overwritten");
            assert_eq!(authority.generation(), 2);
        }
    }
}

#[test]
fn half_written_settings_are_no_authority() {
    let fixture = Fixture::new();
    drop(fixture.init());
    let settings = fixture.pki().join("authority.json");
    let text = fs::read_to_string(&settings).unwrap();
    remove(&settings);
    fs::write(fixture.pki().join(".authority.json.new"), &text[..20]).unwrap();
    drop(fixture.init());
    assert!(!names_in(&fixture.pki()).contains(&".authority.json.new".to_owned()));
}

#[test]
fn an_init_that_died_before_the_copy_of_the_roots_is_an_authority() {
    let fixture = Fixture::new();
    let request = InitRequest {
        out: Some(fixture.out()),
        ..InitRequest::default()
    };
    let authority = Authority::init(&fixture.pki(), &request, now()).unwrap();
    let (copy, staged) = (
        fixture.out().join("ca.pem"),
        fixture.out().join(".ca.pem.new"),
    );
    fs::rename(&copy, &staged).unwrap();
    drop(authority);
    let mut authority = Authority::open(&fixture.pki()).unwrap();
    authority.issue(&fixture.request("n1"), now()).unwrap();
    assert_eq!(fs::read_to_string(copy).unwrap(), authority.ca_pem());
    assert!(!staged.exists());
}

#[test]
fn an_add_that_died_before_the_record_leaves_nothing_in_the_way() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    fs::create_dir_all(fixture.out()).unwrap();
    for name in [".ca.pem.new", ".n1.pem.new", ".n1-key.pem.new"] {
        fs::write(fixture.out().join(name), "half a fi").unwrap();
    }
    fs::write(fixture.pki().join(".issued.jsonl.new"), "{\"na").unwrap();
    authority.issue(&fixture.request("n1"), now()).unwrap();
    assert_eq!(names_in(&fixture.out()), ["ca.pem", "n1-key.pem", "n1.pem"]);
    drop(authority);
    let reopened = Authority::open(&fixture.pki()).unwrap();
    assert_eq!(reopened.issued().len(), 1);
}

#[test]
fn an_add_that_died_between_record_and_files_is_healed_by_replacing() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let dead = authority.issue(&fixture.request("n1"), now()).unwrap();
    remove(&dead.files.certificate);
    remove(&dead.files.key);
    let error = authority.issue(&fixture.request("n1"), now()).unwrap_err();
    assert!(matches!(error, IssueError::AlreadyIssued { .. }));
    let mut request = fixture.request("n1");
    request.existing = Existing::Replace;
    let healed = authority.issue(&request, now()).unwrap();
    assert!(healed.files.certificate.exists() && healed.files.key.exists());
    assert_eq!(authority.issued(), [dead.record, healed.record]);
}
