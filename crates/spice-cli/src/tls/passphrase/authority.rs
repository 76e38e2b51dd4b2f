//! The passphrase of the authority's key.

use std::env;
use std::path::Path;

use cluster_pki::{Passphrase, PassphraseError, PassphraseSource};
use zeroize::Zeroizing;

use crate::args::PassphraseArgs;
use crate::tls::passphrase::{Missing, PassphraseInput, prompt};

impl PassphraseInput {
    /// That of the authority's key.
    pub(crate) fn authority(args: &PassphraseArgs) -> Self {
        Self {
            file: args.passphrase_file.clone(),
            flag: "--passphrase-file",
            variable: "SPICE_CA_PASSPHRASE",
        }
    }

    /// Whether one was given without being asked for: who gives a passphrase wants it used.
    pub(crate) fn is_given(&self) -> bool {
        self.file.is_some() || env::var_os(self.variable).is_some_and(|text| !text.is_empty())
    }
}

/// Gets the passphrase when the key must be opened, and keeps it: a batch asks once, and standard
/// input can be read only once.
pub(crate) struct AuthorityPassphrase {
    input: PassphraseInput,
    known: Option<Zeroizing<String>>,
}

impl AuthorityPassphrase {
    pub(crate) fn new(args: &PassphraseArgs) -> Self {
        Self {
            input: PassphraseInput::authority(args),
            known: None,
        }
    }

    /// How to give it, as the next thing to do.
    pub(crate) fn ways(&self) -> String {
        self.input.ways()
    }

    fn ask(&self, key: &Path) -> Result<Zeroizing<String>, PassphraseError> {
        let text = match self.input.given() {
            Ok(Some(text)) => Ok(text),
            Ok(None) => prompt(&format!("Passphrase of {}: ", key.display())),
            Err(missing) => Err(missing),
        };
        text.map_err(|missing| match missing {
            Missing::NoTerminal => PassphraseError::needed(key),
            Missing::Broken(error) => PassphraseError::unavailable(key, error),
        })
    }
}

impl PassphraseSource for AuthorityPassphrase {
    fn passphrase(&mut self, key: &Path) -> Result<Passphrase, PassphraseError> {
        let text = match self.known.take() {
            Some(text) => text,
            None => self.ask(key)?,
        };
        self.known = Some(Zeroizing::clone(&text));
        Passphrase::given(text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    fn source(file: PathBuf) -> AuthorityPassphrase {
        AuthorityPassphrase::new(&PassphraseArgs {
            passphrase_file: Some(file),
        })
    }

    fn private(path: &Path, content: &str) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn the_file_is_read_when_the_key_is_opened_and_only_then() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passphrase");
        // Made before there is a file, and asked again when there is none any more.
        let mut source = source(file.clone());
        private(&file, "correct horse\n");
        assert!(source.passphrase(Path::new("ca-1-key.pem")).is_ok());
        fs::remove_file(&file).unwrap();
        assert!(source.passphrase(Path::new("ca-2-key.pem")).is_ok());
    }

    #[test]
    fn what_cannot_be_had_names_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut source = source(dir.path().join("missing"));
        let expected = Path::new("ca-1-key.pem");
        assert!(matches!(
            source.passphrase(expected),
            Err(PassphraseError::Unavailable { key, .. }) if key == expected
        ));
        assert!(source.ways().contains("--passphrase-file FILE"));
        assert!(source.ways().contains("SPICE_CA_PASSPHRASE"));
    }

    #[test]
    fn an_empty_line_is_no_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passphrase");
        private(&file, "\n");
        let answer = source(file).passphrase(Path::new("ca-1-key.pem"));
        assert!(matches!(answer, Err(PassphraseError::Empty)));
    }
}
