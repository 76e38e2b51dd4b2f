//! Secrets in a directory, one file for each: what orchestrators mount.

use std::fs;
use std::path::Path;

use secrecy::SecretString;

use super::reading;
use super::store_error::StoreError;

/// Reads the file `key` of `directory`, without the line end that editors leave behind. Links are
/// followed, since mounted secrets are links.
///
/// That a key is no path was checked where its reference was made. Blocks.
pub(super) fn lookup(directory: &Path, key: &str) -> Result<Option<SecretString>, StoreError> {
    let Some(text) = reading::text(&directory.join(key))? else {
        // A directory that is not mounted is no directory without this secret.
        let there = fs::metadata(directory).map_err(|source| StoreError::Read {
            path: directory.to_owned(),
            source,
        });
        return there.map(|_| None);
    };
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    Ok(Some(SecretString::from(value)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn value(directory: &Path, key: &str) -> Option<String> {
        let found = lookup(directory, key).unwrap();
        found.map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn gives_files_without_their_last_line_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (content, expected) in [
            ("value", "value"),
            ("value\n", "value"),
            ("value\r\n", "value"),
            ("two\nlines\n\n", "two\nlines\n"),
            (" spaced ", " spaced "),
            ("", ""),
        ] {
            fs::write(path.join("key"), content).unwrap();
            assert_eq!(value(path, "key").as_deref(), Some(expected), "{content:?}");
        }
        assert_eq!(value(path, "other"), None);
    }

    #[test]
    fn follows_a_mounted_secret_as_it_is_swapped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (version, text) in [("..1", "old"), ("..2", "new")] {
            fs::create_dir(path.join(version)).unwrap();
            fs::write(path.join(version).join("key"), text).unwrap();
        }
        symlink("..1", path.join("..data")).unwrap();
        symlink("..data/key", path.join("key")).unwrap();
        assert_eq!(value(path, "key").as_deref(), Some("old"));
        symlink("..2", path.join("..next")).unwrap();
        fs::rename(path.join("..next"), path.join("..data")).unwrap();
        assert_eq!(value(path, "key").as_deref(), Some("new"));
    }

    #[test]
    fn tells_a_directory_that_is_not_there_from_a_secret_that_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("absent");
        let error = lookup(&absent, "key").unwrap_err();
        assert!(matches!(error, StoreError::Read { .. }), "{error}");
        let error = lookup(directory.path().parent().unwrap(), &name(directory.path()));
        let error = error.unwrap_err();
        assert!(matches!(error, StoreError::NotAFile { .. }), "{error}");
    }

    fn name(path: &Path) -> String {
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }
}
