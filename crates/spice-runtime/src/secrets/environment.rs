//! Secrets in the environment of the process, and in a file of the same form.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::reading;
use super::store_error::StoreError;

/// Looks `key` up in the environment, and then in `file` where there is one: what was set for
/// this very process comes first. The file is read anew each time; environments do not change.
///
/// Blocks.
pub(super) fn lookup(
    file: Option<&PathBuf>,
    key: &str,
) -> Result<Option<SecretString>, StoreError> {
    let of_process = std::env::var_os(key).map(std::ffi::OsString::into_string);
    match (of_process, file) {
        (Some(Ok(value)), _) => Ok(Some(SecretString::from(value))),
        (Some(Err(_)), _) => Err(StoreError::NotText {
            what: format!("the environment variable {key}"),
        }),
        (None, Some(path)) => in_file(path, key),
        (None, None) => Ok(None),
    }
}

/// A file that was named must be there: its absence is more likely a mistake than a wish.
fn in_file(path: &Path, key: &str) -> Result<Option<SecretString>, StoreError> {
    let text = reading::text(path)?.ok_or_else(|| StoreError::Read {
        path: path.to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    })?;
    let mut found = None;
    for (index, entry) in dotenvy::from_read_iter(text.as_bytes()).enumerate() {
        // The error holds the line.
        let (name, value) = entry.map_err(|_| StoreError::NotAnEntry {
            path: path.to_owned(),
            entry: index + 1,
        })?;
        let value = Zeroizing::new(value);
        if name == key && found.is_none() {
            found = Some(SecretString::from(value.as_str()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_environment_comes_before_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".env");
        fs::write(
            &file,
            "PATH=elsewhere\nOURS='a $b'\n# no\nOURS=second\nEMPTY=\n",
        )
        .unwrap();
        let value = |key: &str| {
            let found = lookup(Some(&file), key).unwrap();
            found.map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(value("PATH"), std::env::var("PATH").ok());
        assert_eq!(value("OURS").as_deref(), Some("a $b"));
        assert_eq!(value("EMPTY").as_deref(), Some(""));
        assert_eq!(value("OTHER_THAT_NOBODY_SETS"), None);
        assert!(lookup(None, "OURS").unwrap().is_none());

        fs::write(&file, "OURS=rotated\n").unwrap();
        assert_eq!(value("OURS").as_deref(), Some("rotated"));
    }

    #[test]
    fn a_broken_or_missing_file_is_told_of_without_its_text() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".env");
        let error = lookup(Some(&file), "OURS").unwrap_err();
        assert!(matches!(error, StoreError::Read { .. }), "{error}");
        fs::write(&file, "# note\nA=b\nhunter2 is the password\n").unwrap();
        let error = lookup(Some(&file), "OURS").unwrap_err();
        assert!(error.to_string().contains("entry 2"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
