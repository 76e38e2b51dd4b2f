//! A run of `spice` that strace hits with a signal at a chosen moment.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::fixture::Home;
use crate::tool::{tls_words, wrapped};

/// The moment before a system call that changes what is on disk.
#[derive(Debug)]
pub(crate) struct Moment {
    /// The name of the call.
    call: String,
    /// Which call of that name it is, as strace counts them.
    number: usize,
    /// The call as strace shows it.
    pub(crate) shown: String,
}

/// How a run ended that was hit.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) said: String,
}

/// Runs a command to its end and gives every moment at which the disk looks different from the
/// moment before, and the one at which all is done and nothing told.
///
/// Between those a kill leaves what it leaves at the next of them: what only reads is no moment,
/// nor is a call that failed, nor one that makes durable what is there.
pub(crate) fn moments(home: &Home, line: &str) -> Vec<Moment> {
    let log = home.home().join("strace.log");
    let trace = format!("--trace={CALLS}");
    let path = log.to_str().unwrap();
    let options = ["--follow-forks", "--output", path, trace.as_str()];
    let output = traced(home, line, &options).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{line}`: {said}");
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let main = text.split_whitespace().next().unwrap();
    let mut moments = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut told = false;
    for (process, shown) in text.lines().filter_map(|line| line.split_once(' ')) {
        let Some((call, arguments)) = shown.trim_start().split_once('(') else {
            continue;
        };
        let tells = call == "write" && arguments.starts_with("1,");
        let is_moment = changes(call, arguments) || (tells && !told);
        if process != main {
            // strace counts the calls of each thread for itself.
            assert!(!is_moment, "another thread writes: {shown}");
            continue;
        }
        let number = numbers.entry(call).or_default();
        *number += 1;
        if is_moment {
            moments.push(Moment {
                call: call.to_owned(),
                number: *number,
                shown: shown.to_owned(),
            });
        }
        told |= tells;
    }
    assert!(told, "`{line}` says nothing: {text}");
    moments
}

/// Runs a command and sends it a signal at a moment.
pub(crate) fn hit(home: &Home, line: &str, moment: &Moment, signal: &str) -> Hit {
    let Moment { call, number, .. } = moment;
    let trace = format!("--trace={call}");
    let inject = format!("--inject={call}:signal={signal}:when={number}");
    let options = ["--follow-forks", "--output", "/dev/null", &trace, &inject];
    let output = traced(home, line, &options).output().unwrap();
    Hit {
        code: output.status.code(),
        // strace ends as its child did.
        signal: output.status.signal(),
        said: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    }
}

fn traced(home: &Home, line: &str, options: &[&str]) -> Command {
    let command = home.command(&tls_words(line));
    wrapped("strace", options, &command)
}

fn changes(call: &str, arguments: &str) -> bool {
    if arguments.contains(" = -1 ") {
        return false;
    }
    match call {
        "open" | "openat" => arguments.contains("O_CREAT"),
        // Standard output and standard error are not on the disk.
        "write" => !arguments.starts_with("1,") && !arguments.starts_with("2,"),
        _ => true,
    }
}

/// What changes a disk; a question mark lets strace overlook what an architecture does not have.
const CALLS: &str = "?open,openat,write,?rename,?renameat,renameat2,?link,linkat,?unlink,unlinkat,\
                     ?rmdir,?mkdir,mkdirat,truncate,ftruncate,?chmod,fchmod,fchmodat";
