//! `spice completions`.

use std::io::{self, Write};

use clap::{Command, CommandFactory};

use crate::args::{Cli, CompletionsArgs};
use crate::failure::Failure;

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    // Through memory, because the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), "spice", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}

/// The commands that help lists: the generators offer hidden ones too.
fn visible() -> Command {
    let all = Cli::command();
    let listed = all.get_subcommands().filter(|it| !it.is_hide_set());
    Command::new("spice")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(listed)
}
