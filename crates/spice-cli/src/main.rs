//! The `spice` command: the certificates of a cluster, what its nodes say, and SQL.
//!
//! Arguments are parsed into types that can only hold what makes sense ([`args`]), a module per
//! command decides and acts, one type ([`failure`]) says how it ended, and one ([`voice`]) tells
//! that to a person or to a program.

mod args;
mod columns;
mod completions;
mod endpoint;
mod failure;
mod http;
mod man;
mod printable;
mod sql;
mod times;
mod tls;
mod voice;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::{Cli, ClusterCommand, Command};
use crate::failure::{Failure, FailureKind};
use crate::voice::Voice;

fn main() -> ExitCode {
    // Known before the line is understood: what is not understood is told the same way.
    let voice = Voice::asked_for(env::args_os());
    let cli = match Cli::read(env::args_os(), voice) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, voice),
    };
    let voice = cli.voice();
    match run(cli.command, voice) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            voice.fail(&failure);
            failure.exit_code()
        }
    }
}

fn run(command: Command, voice: Voice) -> Result<(), Failure> {
    match command {
        Command::Cluster {
            command: ClusterCommand::Tls { command },
        } => tls::run(command, voice),
        Command::Sql(args) => sql::run(&args, voice),
        Command::Status(args) => http::status(&args),
        Command::Nodes(args) => http::nodes(&args),
        Command::Datasets(args) => http::datasets(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Version => version(),
    }
}

fn version() -> Result<(), Failure> {
    writeln!(io::stdout(), "spice {}", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}

/// Help and version end well, anything else is a usage error; clap knows which and where it goes.
fn usage(error: &clap::Error, voice: Voice) -> ExitCode {
    if error.use_stderr() && voice == Voice::Machine {
        let failure = Failure::from_usage(error);
        voice.fail(&failure);
        return failure.exit_code();
    }
    let printed = error.print();
    if error.use_stderr() || printed.is_err() {
        ExitCode::from(FailureKind::Usage.exit_code())
    } else {
        ExitCode::SUCCESS
    }
}
