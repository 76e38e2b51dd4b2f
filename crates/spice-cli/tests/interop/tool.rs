//! Programs of others, and ours among them.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fixture::{DONE, Ended, Home};

/// What a program said, and its verdict.
pub(crate) struct Said {
    command: String,
    accepted: bool,
    text: String,
}

/// Runs `command` to its end in `place`.
///
/// The command is split at spaces, so that it reads as it would be typed; no name has one.
pub(crate) fn tool(place: &Path, command: &str) -> Said {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .current_dir(place)
        .stdin(Stdio::null())
        // The texts of GnuTLS and Java are translated.
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("`{command}`: {error}"));
    let text = [output.stdout, output.stderr].concat();
    Said {
        command: command.to_owned(),
        accepted: output.status.success(),
        // Bundles are not text.
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

impl Said {
    /// The program found nothing wrong; gives what it said.
    pub(crate) fn accepted(self) -> String {
        assert!(self.accepted, "`{}` refused: {}", self.command, self.text);
        self.text
    }

    /// What it said, whatever its exit code means.
    pub(crate) fn said(self) -> String {
        self.text
    }

    /// The program said no, and why.
    pub(crate) fn refused(self, why: &str) {
        let told = format!("`{}`: {}", self.command, self.text);
        assert!(!self.accepted, "accepted: {told}");
        assert!(self.text.contains(why), "no {why:?}: {told}");
    }
}

/// Runs `spice cluster tls` with words that have no space.
pub(crate) fn tls(home: &Home, line: &str) -> Ended {
    home.spice(&tls_words(line))
}

/// The same for commands that are to succeed.
pub(crate) fn done(home: &Home, line: &str) -> Ended {
    tls(home, line).expect(DONE)
}

pub(crate) fn tls_words(line: &str) -> Vec<&str> {
    ["cluster", "tls"]
        .into_iter()
        .chain(line.split_whitespace())
        .collect()
}

/// The same command as an argument of another one, in its directory and with its variables.
pub(crate) fn wrapped<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    command: &Command,
) -> Command {
    let mut outer = Command::new(program);
    outer
        .args(arguments)
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// A file that only its owner may read, as a passphrase must be in.
pub(crate) fn secret_file(path: &Path, text: &str) {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
