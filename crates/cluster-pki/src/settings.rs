//! What an authority remembers about itself, and the file whose presence makes it one.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::files::{self, Access, FileError};
use crate::key_type::KeyType;
use crate::name::Domain;
use crate::rotation::{Retiring, RootState};
use crate::stored::unix_seconds;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    schema_version: u32,
    pub(crate) domain: Domain,
    pub(crate) key_type: KeyType,
    /// Names the pair of files that signs, `ca-<generation>.pem` and its key. Writing this number
    /// is what makes an authority, and what switches it to another root.
    generation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retiring: Option<Retiring>,
    /// The root that was believed until the last change. Its key goes after this was written, and
    /// no other sign tells it from the key of a newer root than an old copy of this file knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_up: Option<u64>,
    /// The number of the newest revocation lists; 0 before the first. Numbers only rise
    /// (RFC 5280, section 5.2.3).
    #[serde(default)]
    pub(crate) crl_number: u64,
    /// The moment of which the newest revocation lists say that it is theirs, which only rises
    /// too: nodes take no list that says to be older than the one they have.
    #[serde(
        default = "unix_epoch",
        rename = "crl_from_unix_s",
        with = "unix_seconds"
    )]
    pub(crate) crl_from: SystemTime,
    #[serde(rename = "created_at_unix_s", with = "unix_seconds")]
    pub(crate) created_at: SystemTime,
}

impl Settings {
    pub(crate) fn new(
        domain: Domain,
        key_type: KeyType,
        generation: u64,
        created_at: SystemTime,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            domain,
            key_type,
            generation,
            retiring: None,
            given_up: None,
            crl_number: 0,
            crl_from: unix_epoch(),
            created_at,
        }
    }

    /// Which roots there are, and what each is for.
    pub(crate) fn roots(&self) -> RootState {
        RootState {
            generation: self.generation,
            retiring: self.retiring,
        }
    }

    /// The root whose key is to be destroyed, if it is still there.
    pub(crate) fn given_up(&self) -> Option<u64> {
        self.given_up
    }

    /// The same authority with these roots.
    pub(crate) fn with_roots(&self, roots: RootState) -> Self {
        let retiring = self.retiring.map(|retiring| retiring.generation);
        let mut before = [Some(self.generation), retiring].into_iter().flatten();
        let given_up = before.find(|generation| !roots.believes(*generation));
        Self {
            generation: roots.generation,
            retiring: roots.retiring,
            given_up: given_up.or(self.given_up),
            ..self.clone()
        }
    }

    /// Reads the settings, or `None` where no authority was ever completed.
    pub(crate) fn load(directory: &Path) -> Result<Option<Self>, SettingsError> {
        let path = Self::path(directory);
        let Some(text) = files::read_optional(&path)? else {
            return Ok(None);
        };
        // The version is looked at first: a newer file may have fields unknown here.
        let version: SchemaVersion =
            serde_json::from_str(&text).map_err(|source| damaged(&path, source))?;
        if version.schema_version != SCHEMA_VERSION {
            let found = version.schema_version;
            return Err(SettingsError::Version { path, found });
        }
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| damaged(&path, source))
    }

    pub(crate) fn store(&self, directory: &Path) -> Result<(), SettingsError> {
        let path = Self::path(directory);
        let mut text =
            serde_json::to_string_pretty(self).map_err(|source| damaged(&path, source))?;
        text.push('\n');
        files::replace(&path, Access::Owner, text.as_bytes())?;
        Ok(())
    }

    pub(crate) fn path(directory: &Path) -> PathBuf {
        directory.join("authority.json")
    }
}

/// Why the settings of an authority cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not what this program writes.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The settings file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The file was written by another version of this program.
    #[error("{} has schema version {found}, this program reads version {SCHEMA_VERSION}", path.display())]
    Version {
        /// The settings file.
        path: PathBuf,
        /// The version it states.
        found: u32,
    },
}

#[derive(Deserialize)]
struct SchemaVersion {
    schema_version: u32,
}

fn unix_epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

fn damaged(path: &Path, source: serde_json::Error) -> SettingsError {
    let path = path.to_owned();
    SettingsError::Damaged { path, source }
}

const SCHEMA_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn settings() -> Settings {
        Settings::new(Domain::default(), KeyType::P256, 1, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Settings::load(dir.path()).unwrap(), None);
        settings().store(dir.path()).unwrap();
        assert_eq!(Settings::load(dir.path()).unwrap(), Some(settings()));
    }

    #[test]
    fn reads_back_a_rotation_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH;
        let roots = settings().roots().started(2, now).unwrap();
        let rotating = settings().with_roots(roots);
        rotating.store(dir.path()).unwrap();
        let read = Settings::load(dir.path()).unwrap().unwrap();
        assert_eq!(read, rotating);
        assert_eq!(read.roots(), roots);
    }

    #[test]
    fn refuses_another_version_and_a_truncated_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = Settings::path(dir.path());
        fs::write(&path, r#"{"schema_version": 2, "more": true}"#).unwrap();
        let error = Settings::load(dir.path()).unwrap_err();
        assert!(matches!(error, SettingsError::Version { found: 2, .. }));
        fs::write(&path, r#"{"schema_version": 1, "dom"#).unwrap();
        let error = Settings::load(dir.path()).unwrap_err();
        assert!(matches!(error, SettingsError::Damaged { .. }));
    }
}
