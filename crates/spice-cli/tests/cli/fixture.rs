//! A home and a working directory of one test, and the built binary run in them.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use cluster_pki::{Authority, InitRequest, LeafRequest};
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
        // In memory where the system has files there: the command syncs what it writes, and a busy
        // disk would be most of what these tests wait for.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        fs::create_dir(root.path().join("home")).unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        Self { root }
    }

    /// A home with an authority.
    pub(crate) fn with_authority() -> Self {
        Self::with_nodes(&[])
    }

    /// A home with what `init` and `add` make, whose own tests run them. The library makes it here:
    /// most of a run is that a new process collects random numbers, and this one has them.
    pub(crate) fn with_nodes(names: &[&str]) -> Self {
        let home = Self::new();
        let init = InitRequest {
            out: Some(home.work()),
            ..InitRequest::default()
        };
        let now = SystemTime::now();
        let mut authority = Authority::init(&home.pki(), &init, now).unwrap();
        for name in names {
            let node = LeafRequest::new(name.parse().unwrap(), home.work());
            authority.issue(&node, now).unwrap();
        }
        home
    }

    /// What has both directories.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.home().join(".spice/pki")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.work()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.work().join(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.work().join(name), text).unwrap();
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn write_private(&self, name: &str, text: &str) {
        let mut private = fs::OpenOptions::new();
        private.write(true).create_new(true).mode(0o600);
        let mut file = private.open(self.work().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Every file of the home and of the working directory with its content, but for the lock,
    /// which reading creates too.
    pub(crate) fn everything(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut directories = vec![self.root.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.file_name() != Some(OsStr::new("lock")) {
                    let content = fs::read(&path).unwrap();
                    files.insert(path, content);
                }
            }
        }
        files
    }

    /// A program as this test's user would run it.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env("HOME", self.home())
            .env_remove("SPICE_PKI_DIR")
            .env_remove("SPICE_CA_PASSPHRASE")
            .env_remove("SPICE_BUNDLE_PASSPHRASE")
            .env_remove("SPICE_HTTP_ENDPOINT")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_spice"));
        command.args(args);
        command
    }

    pub(crate) fn spice(&self, args: &[&str]) -> Ended {
        Ended::new(self.command(args).output().unwrap())
    }

    /// Runs `spice cluster tls` with words that are separated by single spaces.
    pub(crate) fn tls(&self, line: &str) -> Ended {
        let words: Vec<_> = line.split(' ').collect();
        self.spice(&[&["cluster", "tls"], &words[..]].concat())
    }

    /// Types a line into a shell, like somebody who copies it from a message.
    pub(crate) fn typed(&self, line: &str) -> Ended {
        let programs = Path::new(env!("CARGO_BIN_EXE_spice")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), env::var("PATH").unwrap());
        let mut shell = self.program("sh");
        shell.args(["-c", line]).env("PATH", path);
        Ended::new(shell.output().unwrap())
    }

    /// What a node says about the files of `name`, which it accepts.
    pub(crate) fn identity(&self, name: &str) -> Value {
        let line = format!("verify --cert {name}.pem --key {name}-key.pem -o json");
        self.tls(&line).expect(DONE).json()["identity"].clone()
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

    /// Checks the exit code, that errors are told on stderr and nowhere else, and that nothing has
    /// colour, since nothing here is a terminal.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        let told = self.stderr.starts_with("error: ");
        assert_eq!(told, code != DONE, "{self:#?}");
        assert!(!self.stdout.contains("error:"), "{self:#?}");
        for output in [&self.stdout, &self.stderr] {
            assert!(!output.contains('\u{1b}'), "colour: {self:#?}");
        }
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The commands that the next step has, to be typed.
    pub(crate) fn commands(&self) -> Vec<&str> {
        let parts = self.next().split('`').skip(1).step_by(2);
        parts.filter(|part| part.starts_with("spice ")).collect()
    }

    /// The lines that say what to do next.
    pub(crate) fn next(&self) -> &str {
        let (_, next) = self.stderr.split_once("next: ").unwrap();
        next.trim_end()
    }
}

/// Runs a command of `spice cluster tls`.
pub(crate) fn tls(home: &Home, args: &[&str]) -> Ended {
    home.spice(&[&TLS, args].concat())
}

pub(crate) const TLS: [&str; 2] = ["cluster", "tls"];

/// The keys of a JSON object.
pub(crate) fn keys(value: &Value) -> BTreeSet<&str> {
    let object = value.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
