//! An authority whose key has a passphrase: it signs when the passphrase was given, and not before.

use std::fs;
use std::path::Path;

use cluster_pki::{
    Authority, InitRequest, IssueError, KeyError, NoPassphrase, Passphrase, PassphraseError,
    PassphraseSource, RevocationReason, RevokeError, RevokeTarget, SealError,
};
use zeroize::Zeroizing;

use crate::fixture::{Fixture, mode, now};

/// Knows one passphrase, and counts how often it was asked.
struct Knows {
    passphrase: &'static str,
    asked: usize,
}

impl Knows {
    fn new(passphrase: &'static str) -> Self {
        let asked = 0;
        Self { passphrase, asked }
    }
}

impl PassphraseSource for Knows {
    fn passphrase(&mut self, _key: &Path) -> Result<Passphrase, PassphraseError> {
        self.asked += 1;
        Passphrase::given(Zeroizing::new(self.passphrase.to_owned()))
    }
}

/// An authority under `correct horse`, opened anew.
fn sealed(fixture: &Fixture) -> Authority {
    let passphrase = Zeroizing::new("correct horse".to_owned());
    let request = InitRequest {
        passphrase: Some(Passphrase::chosen(passphrase).unwrap()),
        ..InitRequest::default()
    };
    drop(Authority::init(&fixture.pki(), &request, now()).unwrap());
    Authority::open(&fixture.pki()).unwrap()
}

#[test]
fn the_key_lies_encrypted_and_is_its_owners() {
    let fixture = Fixture::new();
    drop(sealed(&fixture));
    let key = fixture.pki().join("ca-1-key.pem");
    let text = fs::read_to_string(&key).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn the_passphrase_is_asked_for_once_and_then_it_signs() {
    let fixture = Fixture::new();
    let mut authority = sealed(&fixture);
    let mut source = Knows::new("correct horse");
    authority.unlock(&mut source).unwrap();
    authority.unlock(&mut source).unwrap();
    for name in ["n1", "n2"] {
        authority.issue(&fixture.request(name), now()).unwrap();
    }
    assert_eq!(source.asked, 1);
}

#[test]
fn a_key_without_one_is_not_asked_for() {
    let fixture = Fixture::new();
    let mut source = Knows::new("correct horse");
    fixture.init().unlock(&mut source).unwrap();
    assert_eq!(source.asked, 0);
}

#[test]
fn without_its_passphrase_nothing_is_signed() {
    let fixture = Fixture::new();
    let mut authority = sealed(&fixture);
    let reason = |error| match error {
        KeyError::Passphrase { source, .. } => Some(source),
        _ => None,
    };
    let none = authority.unlock(&mut NoPassphrase).unwrap_err();
    assert!(matches!(reason(none), Some(PassphraseError::Needed { .. })));
    let wrong = authority.unlock(&mut Knows::new("correct Horse"));
    assert!(matches!(
        reason(wrong.unwrap_err()),
        Some(PassphraseError::Seal(SealError::WrongPassphrase))
    ));
    assert!(authority.issue(&fixture.request("n1"), now()).is_err());
    assert!(!fixture.out().join("n1.pem").exists());
    // The same authority, once it is told.
    authority.unlock(&mut Knows::new("correct horse")).unwrap();
    authority.issue(&fixture.request("n1"), now()).unwrap();
}

fn revoke(fixture: &Fixture, authority: &mut Authority) -> Result<(), RevokeError> {
    let target = RevokeTarget::Node("n1".parse().unwrap());
    let reason = RevocationReason::KeyCompromise;
    let lists = fixture.lists();
    authority.revoke(&target, reason, &lists, now()).map(|_| ())
}

#[test]
fn a_new_root_may_have_a_passphrase_that_the_old_one_has_not() {
    let fixture = Fixture::new();
    let mut authority = fixture.init();
    authority.issue(&fixture.request("n1"), now()).unwrap();
    let mut request = fixture.rotation();
    let passphrase = Zeroizing::new("correct horse".to_owned());
    request.passphrase = Some(Passphrase::chosen(passphrase).unwrap());
    authority.start_rotation(&request, now()).unwrap();
    let error = authority.renew(&fixture.renewal("n1"), now()).unwrap_err();
    assert!(matches!(
        error,
        IssueError::Key(KeyError::Passphrase { .. })
    ));
    assert!(authority.has_passphrase().unwrap());
    authority.unlock(&mut Knows::new("correct horse")).unwrap();
    authority.renew(&fixture.renewal("n1"), now()).unwrap();
    revoke(&fixture, &mut authority).unwrap();
}

#[test]
fn a_new_root_may_do_without_the_passphrase_of_the_old_one() {
    let fixture = Fixture::new();
    let mut authority = sealed(&fixture);
    authority.unlock(&mut Knows::new("correct horse")).unwrap();
    authority.issue(&fixture.request("n1"), now()).unwrap();
    authority
        .start_rotation(&fixture.rotation(), now())
        .unwrap();
    drop(authority);
    let mut authority = fixture.reopen();
    authority.renew(&fixture.renewal("n1"), now()).unwrap();
    let error = revoke(&fixture, &mut authority).unwrap_err();
    let of_old = matches!(&error, RevokeError::Key(KeyError::Passphrase { path, .. })
        if path.ends_with("ca-1-key.pem"));
    assert!(of_old, "its list needs its key: {error}");
    assert_eq!(authority.revoked(), []);
    let mut source = Knows::new("correct horse");
    authority.unlock(&mut source).unwrap();
    assert_eq!(source.asked, 0, "the key that signs needs none");
    let mut wrong = Knows::new("wrong");
    authority.unlock_lists(&mut wrong).unwrap_err();
    authority.unlock_lists(&mut source).unwrap();
    assert_eq!((wrong.asked, source.asked), (1, 1));
    revoke(&fixture, &mut authority).unwrap();
    let out = fixture.out();
    authority.finish_rotation(&[], &out).unwrap();
}
