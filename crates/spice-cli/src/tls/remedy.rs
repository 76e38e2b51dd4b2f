//! What to do about files of an authority that cannot be used.

use std::error::Error;
use std::io::{self, ErrorKind};

use cluster_pki::{KeyError, LockError, OpenError, SettingsError};

use crate::failure::Failure;
use crate::tls::PkiDirectory;
use crate::tls::next_step::quoted;

/// What anything of an authority may come to: files that the system refuses.
pub(super) fn explain(error: &(dyn Error + 'static)) -> Failure {
    explain_path(error, "--out or --pki-dir")
}

/// The same for a command whose paths come from other flags.
pub(super) fn explain_path(error: &(dyn Error + 'static), flags: &str) -> Failure {
    let failure = Failure::from_error(error);
    match io_kind(error).and_then(|kind| about_io(kind, flags)) {
        Some(remedy) => failure.with_next(remedy),
        None => failure,
    }
}

/// What not opening an authority comes to.
pub(super) fn explain_open(error: &OpenError, pki: &PkiDirectory) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        OpenError::NoAuthority { .. } => failure.with_next(format!(
            "make one with `spice cluster tls init{pki}`, or name another directory with --pki-dir DIR"
        )),
        OpenError::Lock(error) => explain_lock(error),
        OpenError::Settings(SettingsError::Version { .. }) => {
            failure.with_next("use the version of spice that wrote it, or a newer one")
        }
        OpenError::Settings(SettingsError::Damaged { .. })
        | OpenError::SettingsLost { .. }
        | OpenError::Records(_)
        | OpenError::Certificate { .. } => failure.with_next(restore(pki)),
        _ if io_kind(error) == Some(ErrorKind::NotFound) => failure.with_next(restore(pki)),
        _ => explain(error),
    }
}

/// What a key that cannot be used comes to, but for its passphrase.
pub(super) fn explain_key(error: &KeyError, pki: &PkiDirectory) -> Failure {
    match error {
        KeyError::Damaged { .. } | KeyError::Mismatch { .. } => {
            Failure::from_error(error).with_next(restore(pki))
        }
        _ if io_kind(error) == Some(ErrorKind::NotFound) => {
            Failure::from_error(error).with_next(restore(pki))
        }
        _ => explain(error),
    }
}

pub(super) fn explain_lock(error: &LockError) -> Failure {
    match error {
        LockError::Busy { path, .. } => Failure::from_error(error).with_next(format!(
            "wait until it ends and type the same command again; `fuser {}` says which it is",
            quoted(path)
        )),
        _ => explain(error),
    }
}

/// Nothing that is typed here brings a record or a key back.
fn restore(pki: &PkiDirectory) -> String {
    format!(
        "restore {} from a backup; running nodes are not affected",
        quoted(pki.path())
    )
}

fn about_io(kind: ErrorKind, flags: &str) -> Option<String> {
    Some(match kind {
        ErrorKind::PermissionDenied => {
            format!("run it as the owner of that path, or choose another directory with {flags}")
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound => {
            format!("choose a directory that can be written to with {flags}")
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            format!("name a directory with {flags}, or a path where there is nothing yet")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on that file system and type the same command again".to_owned()
        }
        _ => return None,
    })
}

/// What the system said, where it is the cause. Errors that only pass another one on are not
/// among the causes, but the system's answer always is.
fn io_kind(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found.kind());
        }
        current = error.source();
    }
    None
}
