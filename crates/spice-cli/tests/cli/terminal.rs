//! `spice` at a terminal, which `script` (util-linux) makes.

use std::io::Write;
use std::process::Stdio;

use crate::fixture::Home;

/// What a person saw who typed the lines, and how it ended.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) code: i32,
    pub(crate) seen: String,
}

/// Runs `spice` with arguments as a shell takes them; `variables` are set before it.
pub(crate) fn session(home: &Home, variables: &str, args: &str, lines: &[&str]) -> Session {
    let command = format!("{variables} {} {args}", env!("CARGO_BIN_EXE_spice"));
    let mut script = home
        .program("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        // A terminal without abilities: lines are taken as they come.
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = script.stdin.take().unwrap();
    for line in lines {
        writeln!(stdin, "{line}").unwrap();
    }
    let output = script.wait_with_output().unwrap();
    // Until here: its end would be the end of the terminal.
    drop(stdin);
    Session {
        code: output.status.code().unwrap(),
        seen: String::from_utf8(output.stdout).unwrap(),
    }
}
