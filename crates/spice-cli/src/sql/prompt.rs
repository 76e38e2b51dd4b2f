//! The prompt: statements typed by a person, over as many lines as they like.

use std::io::{self, Write};

use rustyline::error::ReadlineError;

use crate::args::RowFormat;
use crate::failure::{Failure, FailureKind};
use crate::sql::Session;
use crate::sql::history::{History, Keep};
use crate::sql::statements::Statements;

/// Reads and runs statements until the person leaves. A statement that fails is told and
/// forgotten; only an output that is gone ends the prompt.
pub(crate) fn run(session: &mut Session) -> Result<(), Failure> {
    let mut history = History::open(session.voice)?;
    let mut statements = Statements::default();
    // Whoever waits at a table wants to know how long it took.
    session.timing |= session.format == RowFormat::Table;
    writeln!(
        io::stdout(),
        "End statements with `;`, leave with `exit` or Ctrl-D; `.help` lists the rest."
    )?;
    let mut keep = Keep::Yes;
    loop {
        let prompt = if statements.is_pending() { MORE } else { NEW };
        let line = match history.editor().readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                statements.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(Failure::from_error(&error)),
        };
        if !statements.is_pending() {
            match Typed::of(&line) {
                Typed::Farewell => return Ok(()),
                Typed::Help => {
                    writeln!(io::stdout(), "{HELP}")?;
                    continue;
                }
                Typed::Unknown => {
                    session.voice.fail(&unknown(&line));
                    continue;
                }
                Typed::Sql => keep = Keep::of(&line),
            }
        }
        for statement in statements.push_line(&line) {
            history.remember(&statement, keep);
            run_statement(session, &statement)?;
        }
    }
}

fn run_statement(session: &mut Session, statement: &str) -> Result<(), Failure> {
    match session.run_interruptible(statement) {
        Err(Failure::OutputClosed) => Err(Failure::OutputClosed),
        Err(failure) => {
            session.voice.fail(&failure);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// What a line is that begins nothing pending.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Farewell,
    Help,
    /// No statement begins with a dot.
    Unknown,
    Sql,
}

impl Typed {
    fn of(line: &str) -> Self {
        let word = line.trim().trim_end_matches(';').trim_end();
        if word.eq_ignore_ascii_case("exit") || word.eq_ignore_ascii_case("quit") {
            Self::Farewell
        } else if word.eq_ignore_ascii_case(".help") {
            Self::Help
        } else if word.starts_with('.') {
            Self::Unknown
        } else {
            Self::Sql
        }
    }
}

fn unknown(line: &str) -> Failure {
    Failure::new(format!("there is no `{}` here", line.trim()))
        .of_kind(FailureKind::Refused)
        .with_next(".help")
}

const NEW: &str = "sql> ";
const MORE: &str = "  -> ";

const HELP: &str = "\
SELECT ...;       runs a statement, over as many lines as it takes up to the `;`
Ctrl-C            cancels the statement that runs, or forgets the one that is being typed
Up, Ctrl-R        statements of before, from ~/.spice/sql_history; one that begins with a space
                  is not kept
.help             this
exit, quit, Ctrl-D  leaves";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_and_quit_leave_and_nothing_else_does() {
        for line in ["exit", "quit", " EXIT ; ", "Quit;"] {
            assert_eq!(Typed::of(line), Typed::Farewell, "{line:?}");
        }
        for line in ["", "exit now", "SELECT exit", "quit x;"] {
            assert_eq!(Typed::of(line), Typed::Sql, "{line:?}");
        }
    }

    #[test]
    fn a_line_with_a_dot_is_no_statement() {
        for line in [".help", " .HELP;"] {
            assert_eq!(Typed::of(line), Typed::Help, "{line:?}");
        }
        for line in [".timing on", ".", ".help me"] {
            assert_eq!(Typed::of(line), Typed::Unknown, "{line:?}");
        }
        assert_eq!(Typed::of("SELECT .5;"), Typed::Sql);
    }
}
