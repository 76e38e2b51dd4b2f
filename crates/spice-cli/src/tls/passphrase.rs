//! Passphrases: from a file, standard input, a variable or a prompt, and asked for once.

mod authority;
mod terminal;

use std::env::{self, VarError};
use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;

use cluster_pki::Passphrase;
use zeroize::Zeroizing;

pub(crate) use self::authority::AuthorityPassphrase;
use crate::failure::Failure;
use crate::tls::passphrase::terminal::prompt;

/// The ways in which one passphrase may be given.
pub(crate) struct PassphraseInput {
    file: Option<PathBuf>,
    flag: &'static str,
    variable: &'static str,
}

/// Why there is no passphrase.
enum Missing {
    /// None was given, and there is nobody to ask.
    NoTerminal,
    /// The way that was chosen does not work.
    Broken(Box<dyn Error + Send + Sync>),
}

impl PassphraseInput {
    /// That of a bundle.
    pub(crate) fn bundle(file: Option<PathBuf>) -> Self {
        Self {
            file,
            flag: "--bundle-passphrase-file",
            variable: "SPICE_BUNDLE_PASSPHRASE",
        }
    }

    /// Takes a new passphrase, which a prompt asks for twice.
    pub(crate) fn choose(&self, file: &str) -> Result<Passphrase, Failure> {
        let text = match self.given() {
            Ok(Some(text)) => Ok(text),
            Ok(None) => prompt_twice(file),
            Err(missing) => Err(missing),
        };
        let failed =
            |error: &(dyn Error + 'static)| Failure::from_error(error).with_next(self.ways());
        match text {
            Ok(text) => Passphrase::chosen(text).map_err(|error| failed(&error)),
            Err(Missing::Broken(error)) => Err(failed(error.as_ref())),
            Err(Missing::NoTerminal) => {
                let message = "needs a passphrase, and there is no terminal to ask for one at";
                Err(Failure::new(format!("{file} {message}")).with_next(self.ways()))
            }
        }
    }

    /// How to give it, as the next thing to do.
    pub(crate) fn ways(&self) -> String {
        let (flag, variable) = (self.flag, self.variable);
        format!(
            "give the passphrase with {flag} FILE (`-` for standard input), in the variable \
             {variable}, or at a terminal"
        )
    }

    /// What was given without being asked for; `None` leaves the prompt.
    fn given(&self) -> Result<Option<Zeroizing<String>>, Missing> {
        match &self.file {
            None => self.variable(),
            Some(path) if path.as_os_str() != "-" => {
                Passphrase::first_line(path).map(Some).map_err(broken)
            }
            // Typed into a terminal it would be seen; the prompt hides it.
            Some(_) if io::stdin().is_terminal() => Ok(None),
            Some(_) => first_line_of_stdin().map(Some),
        }
    }

    /// An empty variable is how scripts say that there is none.
    fn variable(&self) -> Result<Option<Zeroizing<String>>, Missing> {
        match env::var(self.variable).map(Zeroizing::new) {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(VarError::NotPresent) => Ok(None),
            // Its own error would show the value.
            Err(VarError::NotUnicode(_)) => Err(broken(format!("{} is not UTF-8", self.variable))),
        }
    }
}

fn prompt_twice(file: &str) -> Result<Zeroizing<String>, Missing> {
    let first = prompt(&format!("New passphrase for {file}: "))?;
    let second = prompt("The same again: ")?;
    if first != second {
        return Err(broken("the two passphrases differ"));
    }
    Ok(first)
}

fn first_line_of_stdin() -> Result<Zeroizing<String>, Missing> {
    let limit = Passphrase::LIMIT_BYTES + LINE_END_BYTES;
    let mut line = Zeroizing::new(String::with_capacity(limit));
    io::stdin()
        .lock()
        .take(limit as u64)
        .read_line(&mut line)
        .map_err(|error| broken(format!("cannot read standard input: {error}")))?;
    let text = line.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(text.to_owned()))
}

fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> Missing {
    Missing::Broken(error.into())
}

/// `\r\n`.
const LINE_END_BYTES: usize = 2;
