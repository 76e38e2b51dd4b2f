//! How the command speaks on standard error: to a person, or to a program.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::printable::printable_lines;

/// Lines for people, or a JSON object a line (`--machine`).
///
/// Nothing is left to be done where standard error cannot be written to, so that nothing here
/// fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Plain,
    Machine,
}

impl Voice {
    /// What the words of the command line ask for, also of one that will not be understood.
    pub(crate) fn asked_for(words: impl IntoIterator<Item = OsString>) -> Self {
        let mut words = words.into_iter().skip(1).take_while(|word| word != "--");
        if words.any(|word| word == "--machine") {
            Self::Machine
        } else {
            Self::Plain
        }
    }

    /// Tells why a command stopped.
    pub(crate) fn fail(self, failure: &Failure) {
        let Failure::Told {
            kind,
            message,
            next,
        } = failure
        else {
            return;
        };
        match (self, next) {
            (Self::Plain, None) => say(&format!("error: {message}")),
            (Self::Plain, Some(next)) => say(&format!("error: {message}\nnext: {next}")),
            (Self::Machine, next) => say_object(&json!({
                "status": "error",
                "error": { "code": kind.code(), "message": message, "next": next },
            })),
        }
    }

    /// Tells what should be known about something that was done all the same.
    pub(crate) fn warn(self, message: impl Display) {
        match self {
            Self::Plain => say(&format!("warning: {message}")),
            Self::Machine => say_object(&json!({
                "status": "warning",
                "warning": { "message": message.to_string() },
            })),
        }
    }

    /// Tells what somebody is to look at before anything is done: lines, or an object of this kind.
    pub(crate) fn show(self, kind: &str, lines: &str, document: &Value) {
        match self {
            Self::Plain => say(lines),
            Self::Machine => say_object(&json!({ "status": kind, kind: document })),
        }
    }

    /// Tells how long a statement took.
    pub(crate) fn timing(self, rows: usize, took: Duration) {
        let seconds = took.as_secs_f64();
        let noun = if rows == 1 { "row" } else { "rows" };
        match self {
            Self::Plain => say(&format!("{rows} {noun} in {seconds:.3} s")),
            Self::Machine => say_object(&json!({
                "status": "timing",
                "timing": { "rows": rows, "seconds": seconds },
            })),
        }
    }
}

/// Lines for people.
fn say(text: &str) {
    write(&printable_lines(text));
}

/// An object for programs. What would be escaped for people is escaped as JSON does it.
fn say_object(object: &Value) {
    let mut line = String::new();
    for character in object.to_string().chars() {
        if character.is_control() {
            line += &format!("\\u{:04x}", u32::from(character));
        } else {
            line.push(character);
        }
    }
    write(&line);
}

/// One write, so that lines of several processes do not run into each other.
fn write(line: &str) {
    let _ = io::stderr()
        .lock()
        .write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_counts_anywhere_before_two_dashes() {
        let asked = |line: &str| Voice::asked_for(line.split(' ').map(OsString::from));
        for line in [
            "spice --machine sql",
            "spice sql --machine",
            "spice --machine -- a",
        ] {
            assert_eq!(asked(line), Voice::Machine, "{line}");
        }
        for line in [
            "spice",
            "--machine",
            "spice add -- --machine",
            "spice --machines",
        ] {
            assert_eq!(asked(line), Voice::Plain, "{line}");
        }
    }
}
