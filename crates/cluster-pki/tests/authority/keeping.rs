//! What is kept, for whom, and what is never overwritten.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use cluster_pki::{
    Authority, Existing, InitError, InitRequest, IssueError, KeyError, NodeName, OpenError,
    OutputError, RecordError, RevocationReason, RevokeTarget, Warning,
};
use cluster_tls::Role;

use crate::fixture::{Fixture, contents, mode, names_in, now};

#[test]
fn only_the_owner_may_enter_and_read_the_authority() {
    let fixture = Fixture::new();
    drop(fixture.init());
    assert_eq!(mode(&fixture.pki()), 0o700);
    assert_eq!(
        names_in(&fixture.pki()),
        [
            "authority.json",
            "ca-1-key.pem",
            "ca-1.pem",
            "issued.jsonl",
            "lock",
            "revoked.jsonl"
        ]
    );
    assert_eq!(mode(&fixture.pki().join("issued.jsonl")), 0o600);
    assert_eq!(mode(&fixture.pki().join("revoked.jsonl")), 0o600);
    assert_eq!(mode(&fixture.pki().join("ca-1-key.pem")), 0o600);
}

#[test]
fn a_node_gets_three_files_and_the_key_is_its_owners() {
    let fixture = Fixture::new();
    let issued = fixture.init().issue(&fixture.request("n1"), now()).unwrap();
    assert_eq!(names_in(&fixture.out()), ["ca.pem", "n1-key.pem", "n1.pem"]);
    assert_eq!(mode(&issued.files.key), 0o600);
    assert_eq!(mode(&issued.files.certificate) & 0o600, 0o600);
    let key = fs::read_to_string(&issued.files.key).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8");
}

#[test]
fn an_authority_is_never_overwritten() {
    let fixture = Fixture::new();
    let first = fixture.init().ca_pem();
    let error = Authority::init(&fixture.pki(), &InitRequest::default(), now()).unwrap_err();
    assert!(matches!(error, InitError::Exists { .. }));
    assert_eq!(Authority::open(&fixture.pki()).unwrap().ca_pem(), first);
}

#[test]
fn of_many_runs_one_makes_the_authority() {
    let fixture = Fixture::new();
    let pki = fixture.pki();
    let made = thread::scope(|scope| {
        let run = || Authority::init(&pki, &InitRequest::default(), now()).is_ok();
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        runs.into_iter()
            .filter_map(|run| run.join().ok())
            .filter(|made| *made)
            .count()
    });
    assert_eq!(made, 1);
    assert_eq!(Authority::open(&pki).unwrap().generation(), 1);
}

#[test]
fn lost_records_are_not_taken_for_none() {
    let fixture = Fixture::new();
    fixture.init().issue(&fixture.request("n1"), now()).unwrap();
    for name in ["issued.jsonl", "revoked.jsonl"] {
        let path = fixture.pki().join(name);
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        let error = Authority::open(&fixture.pki()).unwrap_err();
        assert!(
            matches!(&error, OpenError::Records(RecordError::Missing { path: at }) if *at == path),
            "{error}"
        );
        assert!(!path.exists());
        fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(fixture.reopen().issued().len(), 1);
}

#[test]
fn an_authority_whose_settings_are_lost_is_not_made_anew() {
    let fixture = Fixture::new();
    fixture.init().issue(&fixture.request("n1"), now()).unwrap();
    let settings = fixture.pki().join("authority.json");
    let aside = settings.with_extension("aside");
    fs::rename(&settings, &aside).unwrap();
    let before = names_in(&fixture.pki());
    let error = Authority::open(&fixture.pki()).unwrap_err();
    assert!(matches!(error, OpenError::SettingsLost { path } if path == settings));
    let error = Authority::init(&fixture.pki(), &InitRequest::default(), now()).unwrap_err();
    assert!(matches!(error, InitError::Open(OpenError::SettingsLost { path }) if path == settings));
    assert_eq!(names_in(&fixture.pki()), before);
    fs::rename(&aside, &settings).unwrap();
    assert_eq!(fixture.reopen().issued().len(), 1);
}

#[test]
fn a_directory_that_others_may_enter_holds_no_authority() {
    let fixture = Fixture::new();
    let pki = fixture.pki();
    fs::create_dir_all(&pki).unwrap();
    fs::set_permissions(&pki, fs::Permissions::from_mode(0o755)).unwrap();
    let init = || Authority::init(&pki, &InitRequest::default(), now());
    assert!(matches!(init(), Err(InitError::File(_))));
    assert_eq!(names_in(&pki), Vec::<String>::new());
    fs::set_permissions(&pki, fs::Permissions::from_mode(0o700)).unwrap();
    init().unwrap();
    fs::set_permissions(&pki, fs::Permissions::from_mode(0o705)).unwrap();
    assert!(matches!(Authority::open(&pki), Err(OpenError::File(_))));
}

#[test]
fn a_ca_key_that_others_may_read_signs_nothing() {
    let fixture = Fixture::new();
    drop(fixture.init());
    let key = fixture.pki().join("ca-1-key.pem");
    let issue = |name| {
        let mut authority = Authority::open(&fixture.pki()).unwrap();
        authority.issue(&fixture.request(name), now())
    };
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = issue("n1").unwrap_err();
    assert!(matches!(error, IssueError::Key(KeyError::File(_))));
    assert!(Authority::open(&fixture.pki()).unwrap().issued().is_empty());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    issue("n1").unwrap();
}

#[test]
fn the_key_of_another_authority_signs_nothing() {
    let (ours, theirs) = (Fixture::new(), Fixture::new());
    drop((ours.init(), theirs.init()));
    let key = |fixture: &Fixture| fixture.pki().join("ca-1-key.pem");
    fs::copy(key(&theirs), key(&ours)).unwrap();
    let mut authority = Authority::open(&ours.pki()).unwrap();
    let error = authority.issue(&ours.request("n1"), now()).unwrap_err();
    assert!(matches!(error, IssueError::Key(KeyError::Mismatch { .. })));
    assert_eq!(names_in(&ours.out()), [""; 0]);
}

#[test]
fn opening_a_strangers_directory_leaves_no_trace() {
    let fixture = Fixture::new();
    let open = || Authority::open(&fixture.pki());
    assert!(matches!(open(), Err(OpenError::NoAuthority { .. })));
    fs::create_dir_all(fixture.pki()).unwrap();
    assert!(matches!(open(), Err(OpenError::NoAuthority { .. })));
    assert_eq!(names_in(&fixture.pki()), Vec::<String>::new());
}

#[test]
fn a_node_is_issued_once_unless_it_is_to_be_replaced() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let first = authority.issue(&fixture.request("n1"), now()).unwrap();
    let before = contents(&first.files);
    for name in ["n1", "N1"] {
        let error = authority.issue(&fixture.request(name), now()).unwrap_err();
        assert!(matches!(error, IssueError::AlreadyIssued { .. }), "{name}");
    }
    assert_eq!(contents(&first.files), before);
    let mut again = fixture.request("n1");
    again.existing = Existing::Replace;
    let second = authority.issue(&again, now()).unwrap();
    assert_eq!(second.replaced.as_ref(), Some(&first.record));
    assert_ne!(second.record.serial, first.record.serial);
    assert_ne!(contents(&second.files)[2], before[2], "a new key");
    assert_eq!(authority.issued(), [first.record, second.record]);
}

#[test]
fn the_short_and_the_full_name_are_those_of_one_node() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    for (first, second) in [("n1", "N1.cluster.local"), ("n2.cluster.local", "n2")] {
        authority.issue(&fixture.request(first), now()).unwrap();
        let mut request = fixture.request(second);
        for existing in [Existing::Refuse, Existing::Replace] {
            request.existing = existing;
            let error = authority.issue(&request, now()).unwrap_err();
            assert!(
                matches!(&error, IssueError::Namesake { other, .. } if other.as_str() == first),
                "{error}"
            );
        }
        let first: NodeName = first.parse().unwrap();
        let (target, reason) = (RevokeTarget::Node(first), RevocationReason::Superseded);
        let lists = fixture.lists();
        authority.revoke(&target, reason, &lists, now()).unwrap();
        authority.issue(&request, now()).unwrap();
    }
}

#[test]
fn a_file_in_the_way_is_refused_before_anything_is_signed() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    fs::create_dir_all(fixture.out()).unwrap();
    for name in ["n1.pem", "n1-key.pem"] {
        let path = fixture.out().join(name);
        fs::write(&path, "mine").unwrap();
        let error = authority.issue(&fixture.request("n1"), now()).unwrap_err();
        assert!(
            matches!(&error, IssueError::Output(OutputError::Exists { path: at }) if *at == path)
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(names_in(&fixture.out()), [name]);
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(authority.issued(), []);
    authority.issue(&fixture.request("n1"), now()).unwrap();
}

#[test]
fn a_replaced_key_file_is_a_new_file_and_a_link_is_not_followed() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    fs::create_dir_all(fixture.out()).unwrap();
    let (loose, link) = (
        fixture.out().join("loose"),
        fixture.out().join("n1-key.pem"),
    );
    fs::write(&loose, "mine").unwrap();
    symlink(&loose, &link).unwrap();
    let mut request = fixture.request("n1");
    request.existing = Existing::Replace;
    authority.issue(&request, now()).unwrap();
    assert_eq!(fs::read_to_string(&loose).unwrap(), "mine");
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(mode(&link), 0o600);
}

#[test]
fn roots_of_another_authority_are_never_replaced() {
    let (ours, theirs) = (Fixture::new(), Fixture::new());
    let mut authority = ours.init();
    authority.issue(&ours.request("n1"), now()).unwrap();
    let mut stranger = theirs.init();
    let mut request = ours.request("n2");
    for existing in [Existing::Refuse, Existing::Replace] {
        request.existing = existing;
        let error = stranger.issue(&request, now()).unwrap_err();
        assert!(matches!(
            error,
            IssueError::Output(OutputError::OtherAuthority { .. })
        ));
    }
    assert_eq!(stranger.issued(), []);
    authority.issue(&ours.request("n2"), now()).unwrap();
}

#[test]
fn roots_that_hold_ours_beside_others_are_left_as_they_are() {
    let (ours, theirs) = (Fixture::new(), Fixture::new());
    let mut authority = ours.init();
    let alone = authority.issue(&ours.request("n1"), now()).unwrap();
    assert_eq!(alone.warnings, []);
    let file = ours.out().join("ca.pem");
    let both = format!("{}{}", theirs.init().ca_pem(), authority.ca_pem());
    fs::write(&file, &both).unwrap();
    let batch = ["n2", "n3"].map(|name| ours.request(name));
    let progress = &mut |_| ControlFlow::Continue(());
    let issued = authority.issue_all(&batch, now(), progress).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), both);
    assert_eq!(issued[0].warnings, [Warning::OtherRoots { count: 1 }]);
    assert_eq!(issued[1].warnings, [], "it is told once");
}

#[test]
fn init_refuses_an_output_directory_with_roots_and_makes_nothing() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.out()).unwrap();
    fs::write(fixture.out().join("ca.pem"), "theirs").unwrap();
    let request = InitRequest {
        out: Some(fixture.out()),
        ..InitRequest::default()
    };
    let error = Authority::init(&fixture.pki(), &request, now()).unwrap_err();
    assert!(matches!(
        error,
        InitError::Output(OutputError::OtherAuthority { .. })
    ));
    assert!(!fixture.pki().exists());
    fs::remove_file(fixture.out().join("ca.pem")).unwrap();
    let authority = Authority::init(&fixture.pki(), &request, now()).unwrap();
    let copy = fs::read_to_string(fixture.out().join("ca.pem")).unwrap();
    assert_eq!(copy, authority.ca_pem());
}

#[test]
fn a_node_cannot_replace_the_files_of_the_authority() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let link = fixture.pki().with_file_name("link");
    symlink(fixture.pki(), &link).unwrap();
    let mut request = fixture.request("ca-1");
    request.existing = Existing::Replace;
    for out in [fixture.pki(), link, fixture.pki().join("../pki")] {
        request.out = out;
        let error = authority.issue(&request, now()).unwrap_err();
        assert!(matches!(
            error,
            IssueError::Output(OutputError::PkiDirectory { .. })
        ));
    }
    drop(authority);
    assert_eq!(Authority::open(&fixture.pki()).unwrap().issued(), []);
}

#[test]
fn init_makes_no_copy_of_the_roots_in_its_own_directory() {
    let fixture = Fixture::new();
    let request = InitRequest {
        out: Some(fixture.pki()),
        ..InitRequest::default()
    };
    let error = Authority::init(&fixture.pki(), &request, now()).unwrap_err();
    assert!(matches!(
        error,
        InitError::Output(OutputError::PkiDirectory { .. })
    ));
    assert_eq!(names_in(&fixture.pki()), ["lock"]);
}

#[test]
fn the_absence_of_a_role_is_not_issued() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    let mut request = fixture.request("n1");
    request.role = Some(Role::Unspecified);
    let error = authority.issue(&request, now()).unwrap_err();
    assert!(matches!(error, IssueError::Role(Role::Unspecified)));
    request.role = Some(Role::Client);
    assert_eq!(
        authority.issue(&request, now()).unwrap().record.role,
        Role::Client
    );
}

#[test]
fn concurrent_runs_all_end_in_the_record() {
    let fixture = Fixture::new();
    drop(fixture.init());
    let add = |number: usize| {
        let mut authority = Authority::open(&fixture.pki()).unwrap();
        let request = fixture.request(&format!("n{number}"));
        authority.issue(&request, now()).unwrap();
    };
    thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || add(number));
        }
    });
    let authority = Authority::open(&fixture.pki()).unwrap();
    let mut names: Vec<_> = authority.issued().iter().map(|r| r.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"]);
    assert_eq!(names_in(&fixture.out()).len(), 1 + 2 * 8);
}
