//! A home and a working directory of one test, and the built binary run in them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const DONE: i32 = 0;
pub(crate) const REFUSED: i32 = 1;
pub(crate) const USAGE: i32 = 2;

pub(crate) struct Home {
    root: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        Self { root }
    }

    /// A home with an authority.
    pub(crate) fn with_authority() -> Self {
        let home = Self::new();
        home.spice(&["cluster", "tls", "init"]).expect(DONE);
        home
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.home().join(".spice/pki")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.work()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spice"));
        command
            .args(args)
            .current_dir(self.work())
            .env("HOME", self.home())
            .env_remove("SPICE_PKI_DIR")
            .env_remove("SPICE_BUNDLE_PASSPHRASE")
            .env_remove("SPICE_HTTP_ENDPOINT")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn spice(&self, args: &[&str]) -> Ended {
        Ended::new(self.command(args).output().unwrap())
    }

    pub(crate) fn spice_with_input(&self, args: &[&str], input: &str) -> Ended {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        Ended::new(child.wait_with_output().unwrap())
    }
}

/// What a run left on its outputs and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks the exit code, and that errors are told on stderr and nowhere else.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        let told = self.stderr.starts_with("error: ");
        assert_eq!(told, code != DONE, "{self:#?}");
        assert!(!self.stdout.contains("error:"), "{self:#?}");
        assert!(!self.stderr.contains('\u{1b}'), "colour: {self:#?}");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The lines that say what to do next.
    pub(crate) fn next(&self) -> &str {
        let (_, next) = self.stderr.split_once("next: ").unwrap();
        next.trim_end()
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
