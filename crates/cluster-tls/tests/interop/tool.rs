//! Programs of others, as child processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

/// Runs `command` to its end in `place` and gives what it wrote to its standard output.
///
/// The command is split at spaces, so that it reads as it would be typed; no name has one.
pub(crate) fn run(place: &Path, command: &str) -> String {
    let output = words(place, command).output().unwrap();
    assert!(
        output.status.success(),
        "`{command}` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A program that is under way. It is killed when this is dropped.
pub(crate) struct Running {
    command: String,
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
    heard: String,
}

impl Running {
    pub(crate) fn start(place: &Path, command: &str) -> Self {
        let mut child = words(place, command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel(LINES_MAX);
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Self {
            command: command.to_owned(),
            stdin: child.stdin.take().unwrap(),
            child,
            lines,
            heard: String::new(),
        }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Waits for a line that holds `wanted`, and gives it.
    pub(crate) async fn line_with(&mut self, wanted: &str) -> String {
        while let Some(line) = self.next().await {
            if line.contains(wanted) {
                return line;
            }
        }
        panic!("no line with {wanted:?} from {}", self.so_far());
    }

    /// Waits until all of `wanted` has been said. The order counts for nothing: what goes to the
    /// standard output may be heard after what was said later and goes to the other one.
    pub(crate) async fn must_say(&mut self, wanted: &[&str]) {
        for wanted in wanted {
            if !self.heard.contains(wanted) {
                self.line_with(wanted).await;
            }
        }
    }

    /// Waits until the program has ended by itself, and gives all that it said.
    pub(crate) async fn until_it_ends(mut self) -> String {
        while self.next().await.is_some() {}
        self.so_far()
    }

    /// The command and what it has said up to the last line that was waited for.
    pub(crate) fn so_far(&self) -> String {
        format!("`{}`:\n{}", self.command, self.heard)
    }

    async fn next(&mut self) -> Option<String> {
        let Ok(line) = timeout(PATIENCE, self.lines.recv()).await else {
            panic!("nothing more from {}", self.so_far());
        };
        if let Some(line) = &line {
            self.heard.push_str(line);
        }
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(place: &Path, command: &str) -> Command {
    let mut words = command.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.current_dir(place).args(words).stdin(Stdio::null());
    // The texts of GnuTLS are translated.
    command.env("LC_ALL", "C");
    command
}

/// Tools also say what is not text.
fn forward(output: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let text = String::from_utf8_lossy(&line).into_owned();
            if lines.blocking_send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
}

/// For one line of a tool or one handshake: what takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// More than any tool says in a test.
const LINES_MAX: usize = 4096;
