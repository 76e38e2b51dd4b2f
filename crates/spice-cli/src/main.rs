//! The `spice` command: the certificates of a cluster, and SQL.
//!
//! Arguments are parsed into types that can only hold what makes sense ([`args`]), a module per
//! command decides and acts, and one type ([`failure`]) says how it ended.

mod args;
mod failure;
mod sql;
mod tls;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, ClusterCommand, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Cluster {
            command: ClusterCommand::Tls { command },
        } => tls::run(command),
        Command::Sql(args) => sql::run(&args),
        Command::Version => version(),
    }
}

fn version() -> Result<(), Failure> {
    writeln!(io::stdout(), "spice {}", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}

/// Help and version end well, anything else is a usage error; clap knows which and where it goes.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() || printed.is_err() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

const USAGE: u8 = 2;
