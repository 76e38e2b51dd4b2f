//! The prompt: statements typed by a person, over as many lines as they like.

use std::io::{self, Write};
use std::time::Instant;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::args::RowFormat;
use crate::failure::Failure;
use crate::sql::Session;
use crate::sql::statements::Statements;

/// Reads and runs statements until the person leaves. A statement that fails is told and
/// forgotten; only an output that is gone ends the prompt.
pub(crate) fn run(session: &mut Session) -> Result<(), Failure> {
    let mut editor = DefaultEditor::new().map_err(|error| Failure::from_error(&error))?;
    let mut statements = Statements::default();
    writeln!(
        io::stdout(),
        "End statements with `;`, leave with `exit` or Ctrl-D."
    )?;
    loop {
        let prompt = if statements.is_pending() { MORE } else { NEW };
        match editor.readline(prompt) {
            Ok(line) if !statements.is_pending() && is_farewell(&line) => return Ok(()),
            Ok(line) => {
                for statement in statements.push_line(&line) {
                    // History that cannot grow is no reason to refuse a statement.
                    let _ = editor.add_history_entry(format!("{statement};"));
                    run_statement(session, &statement)?;
                }
            }
            Err(ReadlineError::Interrupted) => statements.clear(),
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(Failure::from_error(&error)),
        }
    }
}

fn run_statement(session: &mut Session, statement: &str) -> Result<(), Failure> {
    let started = Instant::now();
    match session.run_interruptible(statement) {
        Ok(rows) if session.format == RowFormat::Table => {
            let seconds = started.elapsed().as_secs_f64();
            let noun = if rows == 1 { "row" } else { "rows" };
            writeln!(io::stdout(), "{rows} {noun} in {seconds:.3} s")?;
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(Failure::OutputClosed) => Err(Failure::OutputClosed),
        Err(failure) => {
            session.voice.fail(&failure);
            Ok(())
        }
    }
}

fn is_farewell(line: &str) -> bool {
    let word = line.trim().trim_end_matches(';').trim_end();
    word.eq_ignore_ascii_case("exit") || word.eq_ignore_ascii_case("quit")
}

const NEW: &str = "sql> ";
const MORE: &str = "  -> ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_and_quit_leave_and_nothing_else_does() {
        for line in ["exit", "quit", " EXIT ; ", "Quit;"] {
            assert!(is_farewell(line), "{line:?}");
        }
        for line in ["", "exit now", "SELECT exit", "quit x;"] {
            assert!(!is_farewell(line), "{line:?}");
        }
    }
}
