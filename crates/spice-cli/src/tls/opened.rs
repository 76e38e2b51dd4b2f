//! The authority that a command works with, and what to say when it refuses.

use cluster_pki::{
    Authority, IssueError, KeyError, KeyOrigin, OutputError, Passphrase, PassphraseSource,
    RevokeError, RotateError, RotationError, ValidityError,
};

use crate::args::{PassphraseArgs, PkiArgs};
use crate::failure::Failure;
use crate::tls::PkiDirectory;
use crate::tls::next_step;
use crate::tls::passphrase::AuthorityPassphrase;
use crate::tls::remedy::{explain, explain_key, explain_open};

/// An authority and how its user named it.
pub(super) struct Opened {
    pub(super) authority: Authority,
    pub(super) pki: PkiDirectory,
}

impl Opened {
    /// Opens it for reading: no key, no passphrase.
    pub(super) fn open(args: &PkiArgs) -> Result<Self, Failure> {
        let pki = PkiDirectory::decide(args)?;
        let authority = Authority::open(pki.path()).map_err(|error| explain_open(&error, &pki))?;
        Ok(Self { authority, pki })
    }

    /// Opens the key that signs certificates.
    pub(super) fn unlock(&mut self, args: &PassphraseArgs) -> Result<(), Failure> {
        let mut source = AuthorityPassphrase::new(args);
        let unlocked = self.authority.unlock(&mut source);
        unlocked.map_err(|error| self.explain_key(&error, &source))
    }

    /// Opens the keys that sign revocation lists.
    pub(super) fn unlock_lists(&mut self, args: &PassphraseArgs) -> Result<(), Failure> {
        let mut source = AuthorityPassphrase::new(args);
        let unlocked = self.authority.unlock_lists(&mut source);
        unlocked.map_err(|error| self.explain_key(&error, &source))
    }

    /// Opens the key that signs certificates, and gives the passphrase that did it, for another.
    pub(super) fn unlock_again(&mut self, args: &PassphraseArgs) -> Result<Passphrase, Failure> {
        let mut source = AuthorityPassphrase::new(args);
        let unlocked = self.authority.unlock(&mut source);
        unlocked.map_err(|error| self.explain_key(&error, &source))?;
        let known = source.passphrase(self.pki.path());
        known.map_err(|error| Failure::from_error(&error).with_next(source.ways()))
    }

    fn explain_key(&self, error: &KeyError, source: &AuthorityPassphrase) -> Failure {
        match error {
            KeyError::Passphrase { .. } => Failure::from_error(error).with_next(source.ways()),
            _ => explain_key(error, &self.pki),
        }
    }
}

/// What not issuing a certificate comes to.
pub(super) fn explain_issue(error: &IssueError, pki: &PkiDirectory) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        IssueError::AlreadyIssued { current } if current.key == KeyOrigin::Request => {
            failure.with_next(next_step::new_request(current, pki))
        }
        IssueError::AlreadyIssued { current } => {
            let (name, pki) = (&current.name, pki.with_files_of(current));
            failure.with_next(format!(
                "renew it with `spice cluster tls renew {name}{pki}`, or start over with other \
                 names or another role with `spice cluster tls add {name} --force{pki}`"
            ))
        }
        IssueError::Namesake { other, .. } => failure.with_next(format!(
            "keep to one of them: renew it with `spice cluster tls renew {other}{pki}`"
        )),
        IssueError::NeverIssued(name) => failure.with_next(format!(
            "see which nodes there are with `spice cluster tls list{pki}`, or issue it one with \
             `spice cluster tls add {name}{pki}`"
        )),
        IssueError::Revoked { current } => failure.with_next(format!(
            "issue another one with `{}`",
            next_step::add_again(current, pki)
        )),
        IssueError::OwnKey { current } => failure.with_next(next_step::new_request(current, pki)),
        IssueError::Validity(error) => explain_validity(error, failure, pki),
        IssueError::Output(error) => explain_output(error),
        IssueError::Key(error) => explain_key(error, pki),
        IssueError::Interrupted => failure.with_next("type the same command again"),
        _ => explain(error),
    }
}

pub(super) fn explain_output(error: &OutputError) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        OutputError::OtherAuthority { .. } => failure.with_next(
            "choose another directory with --out DIR, or that authority with --pki-dir DIR",
        ),
        OutputError::Exists { .. } => failure.with_next(
            "choose another directory with --out DIR, or replace the files with --force",
        ),
        OutputError::Missing { .. } => failure.with_next(
            "name the directory that has the node's files with --out DIR",
        ),
        OutputError::ForeignList { .. } => failure.with_next(
            "write the lists to another directory with --out DIR and add the lines of that deny-list \
             to this one: a node takes one",
        ),
        OutputError::ListKnowsMore { .. } => failure.with_next(
            "if the PKI directory was restored from a backup, restore the newest one; if lines were \
             added by hand, keep them in a file of their own, and move this one away",
        ),
        OutputError::PkiDirectory { .. } | OutputError::Directory { .. } => {
            failure.with_next("choose another directory with --out DIR")
        }
        _ => explain(error),
    }
}

pub(super) fn explain_revoke(error: &RevokeError, pki: &PkiDirectory) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        RevokeError::Unknown(_) => failure.with_next(format!(
            "see what was issued with `spice cluster tls list --all{pki}`"
        )),
        RevokeError::NothingLeft(_) => failure.with_next(format!(
            "see what became of it with `spice cluster tls list --all{pki}`; write the lists anew \
             with `spice cluster tls crl{pki}`"
        )),
        RevokeError::RootsExpired => failure.with_next(format!(
            "exchange the root with `spice cluster tls rotate-ca start{pki}`"
        )),
        RevokeError::Output(error) => explain_output(error),
        RevokeError::Key(error) => explain_key(error, pki),
        _ => explain(error),
    }
}

pub(super) fn explain_rotate(error: &RotateError, pki: &PkiDirectory) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        RotateError::Rotation(RotationError::NotRenewed { .. }) => failure.with_next(format!(
            "renew them with `spice cluster tls renew --retiring{pki}` and roll their files out; \
             for one that is no more, `spice cluster tls revoke NAME{pki}`, or --abandon NAME"
        )),
        RotateError::Rotation(RotationError::TurnedBack { .. }) => failure.with_next(format!(
            "renew the nodes of the other root with `spice cluster tls renew --retiring{pki}`, then \
             end it with `spice cluster tls rotate-ca finish{pki}`"
        )),
        RotateError::Rotation(RotationError::NotUnderWay) => failure.with_next(format!(
            "begin one with `spice cluster tls rotate-ca start{pki}`"
        )),
        RotateError::Rotation(_) => failure.with_next(format!(
            "see where it stands with `spice cluster tls rotate-ca status{pki}`"
        )),
        RotateError::Output(error) => explain_output(error),
        RotateError::Key(error) => explain_key(error, pki),
        RotateError::Roots(error) => explain_open(error, pki),
        _ => explain(error),
    }
}

fn explain_validity(error: &ValidityError, failure: Failure, pki: &PkiDirectory) -> Failure {
    match error {
        ValidityError::AuthorityExpired { .. } => failure.with_next(format!(
            "check the clock; if it is right, exchange the root with `spice cluster tls \
             rotate-ca start{pki}` and renew every node"
        )),
        ValidityError::AuthorityNotYetValid { .. } => failure.with_next("set the clock right"),
        ValidityError::LeafTooLong { .. } => failure.with_next("ask for fewer with --days DAYS"),
        _ => failure,
    }
}
