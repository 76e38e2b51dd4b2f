//! Asking before something that cannot be taken back.

use std::io::{self, IsTerminal, Write};

use crate::args::ConsentArgs;
use crate::failure::{Failure, FailureKind};

/// Asks, unless the answer was given in advance. Whatever is not a yes is a no, and a no ends the
/// command with a failure: a script must not take it for done.
pub(super) fn ask(question: &str, args: &ConsentArgs) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let message = format!("not confirmed, and there is no terminal to ask at: {question}");
        return Err(Failure::new(message)
            .of_kind(FailureKind::Refused)
            .with_next("if so, type the same command with --yes"));
    }
    let mut answer = String::new();
    write!(io::stderr(), "{question} [y/N] ")?;
    io::stderr().flush()?;
    io::stdin().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new("not confirmed; nothing was changed").of_kind(FailureKind::Refused)),
    }
}
