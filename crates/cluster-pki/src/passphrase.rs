//! What opens a key that lies encrypted, and who is asked for it.

mod seal;

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::files::{self, FileError};

pub use self::seal::SealError;

pub(crate) use self::seal::is_sealed;

/// A passphrase, wiped from memory after use and never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// The fewest characters of one that is chosen: what NIST SP 800-63B asks of a secret that
    /// people remember.
    pub const CHOSEN_LEAST: usize = 8;

    /// The longest one in bytes: OpenSSL reads no more.
    pub const LIMIT_BYTES: usize = 1024;

    /// Takes one that was chosen before, to open what it closed.
    ///
    /// # Errors
    ///
    /// [`PassphraseError::Empty`] and [`PassphraseError::TooLong`].
    pub fn given(text: Zeroizing<String>) -> Result<Self, PassphraseError> {
        if text.is_empty() {
            return Err(PassphraseError::Empty);
        }
        if text.len() > Self::LIMIT_BYTES {
            return Err(PassphraseError::TooLong);
        }
        Ok(Self(text))
    }

    /// Takes one that is chosen now, to close something with it.
    ///
    /// # Errors
    ///
    /// As [`Passphrase::given`], and [`PassphraseError::TooShort`].
    pub fn chosen(text: Zeroizing<String>) -> Result<Self, PassphraseError> {
        let passphrase = Self::given(text)?;
        let characters = passphrase.0.chars().count();
        if characters < Self::CHOSEN_LEAST {
            return Err(PassphraseError::TooShort { characters });
        }
        Ok(passphrase)
    }

    /// Reads the first line of a file that only its owner may read.
    ///
    /// It is not judged: that is for [`Passphrase::given`] or [`Passphrase::chosen`].
    ///
    /// # Errors
    ///
    /// [`FileError`] when the file is missing, a link, or open to group or others.
    pub fn first_line(path: &Path) -> Result<Zeroizing<String>, FileError> {
        let text = files::read_owner_only(path)?;
        let line = text.lines().next().unwrap_or_default();
        Ok(Zeroizing::new(line.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    /// Nothing of it: requests that hold one are printed.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Passphrase(..)")
    }
}

/// Whoever knows the passphrases of keys: a prompt, a file, a secret store.
pub trait PassphraseSource {
    /// Tells the passphrase of a key. Called only when that key must be opened.
    ///
    /// # Errors
    ///
    /// [`PassphraseError`] when there is none to be had.
    fn passphrase(&mut self, key: &Path) -> Result<Passphrase, PassphraseError>;
}

/// Knows no passphrase: for keys that have none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPassphrase;

impl PassphraseSource for NoPassphrase {
    fn passphrase(&mut self, key: &Path) -> Result<Passphrase, PassphraseError> {
        Err(PassphraseError::needed(key))
    }
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// It has no characters.
    #[error("the passphrase is empty")]
    Empty,
    /// It was chosen with too few characters to be worth having.
    #[error("a passphrase of {characters} characters is too short, use {least} or more", least = Passphrase::CHOSEN_LEAST)]
    TooShort {
        /// How many it has.
        characters: usize,
    },
    /// It is longer than [`Passphrase::LIMIT_BYTES`].
    #[error("the passphrase is longer than {limit} bytes", limit = Passphrase::LIMIT_BYTES)]
    TooLong,
    /// A key has one, and nobody gave it. Give it by a [`PassphraseSource`] that knows it.
    #[error("the key has a passphrase, which was not given")]
    Needed {
        /// The key file.
        key: PathBuf,
    },
    /// Whoever knows it could not be asked.
    #[error("cannot get the passphrase")]
    Unavailable {
        /// The key file.
        key: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It is there, and nothing was closed or opened with it.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl PassphraseError {
    /// What a source says that has no passphrase for this key.
    pub fn needed(key: &Path) -> Self {
        let key = key.to_owned();
        Self::Needed { key }
    }

    /// What a source says that could not find out.
    pub fn unavailable(key: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let (key, source) = (key.to_owned(), source.into());
        Self::Unavailable { key, source }
    }
}

/// Encrypts a PKCS#8 key in PEM.
pub(crate) fn seal(
    key_pem: &str,
    passphrase: &Passphrase,
) -> Result<Zeroizing<String>, PassphraseError> {
    Ok(seal::seal(key_pem, passphrase)?)
}

/// Opens an encrypted PKCS#8 key in PEM.
pub(crate) fn unseal(
    pem: &str,
    passphrase: &Passphrase,
) -> Result<Zeroizing<String>, PassphraseError> {
    Ok(seal::unseal(pem, passphrase)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn an_empty_or_endless_passphrase_is_refused() {
        let empty = Passphrase::given(text(""));
        assert!(matches!(empty, Err(PassphraseError::Empty)));
        assert!(Passphrase::given(text(&"x".repeat(1024))).is_ok());
        let endless = Passphrase::given(text(&"x".repeat(1025)));
        assert!(matches!(endless, Err(PassphraseError::TooLong)));
    }

    #[test]
    fn a_short_one_opens_but_is_not_chosen() {
        assert!(Passphrase::given(text("old")).is_ok());
        let short = Passphrase::chosen(text("sevenxx"));
        assert!(matches!(
            short,
            Err(PassphraseError::TooShort { characters: 7 })
        ));
        assert!(Passphrase::chosen(text("eight-xx")).is_ok());
        // Counted as people count: these are eight characters in sixteen bytes.
        assert!(Passphrase::chosen(text("äöüäöüäö")).is_ok());
        assert!(Passphrase::chosen(text("äöüä")).is_err());
    }

    #[test]
    fn the_first_line_of_a_private_file_is_the_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        for (content, expected) in [
            ("correct horse\n", "correct horse"),
            ("correct horse", "correct horse"),
            ("correct horse\r\nsecond line\n", "correct horse"),
            (" spaces stay \n", " spaces stay "),
            ("\nsecond line\n", ""),
            ("", ""),
        ] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let line = Passphrase::first_line(&path).unwrap();
            assert_eq!(line.as_str(), expected, "{content:?}");
        }
    }

    #[test]
    fn an_open_or_linked_passphrase_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("passphrase"), dir.path().join("link"));
        fs::write(&path, "correct horse").unwrap();
        symlink(&path, &link).unwrap();
        for bits in [0o640, 0o604] {
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            assert!(Passphrase::first_line(&path).is_err(), "{bits:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Passphrase::first_line(&path).is_ok());
        assert!(Passphrase::first_line(&link).is_err());
        assert!(Passphrase::first_line(&dir.path().join("missing")).is_err());
    }

    #[test]
    fn nobody_to_ask_names_the_key() {
        let error = NoPassphrase.passphrase(Path::new("ca-1-key.pem"));
        let expected = Path::new("ca-1-key.pem");
        assert!(matches!(error, Err(PassphraseError::Needed { key }) if key == expected));
    }

    #[test]
    fn a_passphrase_is_not_shown() {
        let passphrase = Passphrase::given(text("correct horse")).unwrap();
        assert_eq!(format!("{passphrase:?}"), "Passphrase(..)");
    }
}
