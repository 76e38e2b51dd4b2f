//! The command line, parsed into types that hold only what makes sense.

mod completions;
mod http;
mod man;
mod sql;
mod tls;

use std::ffi::OsString;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::voice::Voice;

pub(crate) use self::completions::CompletionsArgs;
pub(crate) use self::http::{DatasetsArgs, NodeStatusArgs, NodesArgs};
pub(crate) use self::man::ManArgs;
pub(crate) use self::sql::{RowFormat, SqlArgs};
pub(crate) use self::tls::{
    AbortArgs, AddArgs, BundleArgs, BundleForm, ConnectArgs, ConsentArgs, CredentialArgs, CrlArgs,
    CsrArgs, Destination, FinishArgs, InitArgs, InspectArgs, ListArgs, ListsArgs, PKI_DIR_VARIABLE,
    PassphraseArgs, PkiArgs, RenewArgs, ReportFormat, RevokeArgs, RotateCaArgs, RotateCaCommand,
    SignArgs, StartArgs, StatusArgs, TlsCommand, VerifyArgs,
};

/// Certificates and SQL for a Spice cluster.
///
/// With `--machine`, standard error has JSON objects and nothing else, one a line:
/// `{"status":"error","error":{"code","message","next"}}` says why a command stopped,
/// `{"status":"warning","warning":{"message"}}` what should be known of one that did not, and
/// `{"status":"request","request":{...}}` what a request asks for that is to be signed. Codes
/// are `usage`, `refused`, `failed`, `io`, and `stage_` with the step that failed of `connect` and
/// `verify`. Exit codes are the same as without: 0 done, 1 refused or failed, 2 usage.
#[derive(Parser)]
#[command(name = "spice", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Tell errors and warnings as JSON, and results too unless `-o` says otherwise.
    #[arg(long, global = true, display_order = LAST)]
    machine: bool,
}

impl Cli {
    /// Understands a command line.
    pub(crate) fn read(
        words: impl IntoIterator<Item = OsString>,
        voice: Voice,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        if voice == Voice::Machine {
            command = json_by_default(command);
        }
        let mut matches = command.try_get_matches_from_mut(words)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }

    pub(crate) fn voice(&self) -> Voice {
        if self.machine {
            Voice::Machine
        } else {
            Voice::Plain
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Manage a cluster.
    #[command(after_help = EXAMPLES)]
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
    Sql(SqlArgs),
    Status(NodeStatusArgs),
    Nodes(NodesArgs),
    Datasets(DatasetsArgs),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    Man(ManArgs),
    /// Print the version.
    #[command(after_help = VERSION_EXAMPLES)]
    Version,
}

#[derive(Subcommand)]
pub(crate) enum ClusterCommand {
    /// Manage the certificates that nodes prove themselves with.
    #[command(after_help = EXAMPLES)]
    Tls {
        #[command(subcommand)]
        command: TlsCommand,
    },
}

/// The same commands, with `-o json` where nobody says `-o`.
fn json_by_default(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            if writes_json(&arg) {
                arg.default_value("json")
            } else {
                arg
            }
        })
        .mut_subcommands(json_by_default)
}

fn writes_json(arg: &Arg) -> bool {
    let values = arg.get_possible_values();
    arg.get_id() == "output" && values.iter().any(|value| value.matches("json", false))
}

/// Behind the options of each command.
const LAST: usize = 900;

const EXAMPLES: &str = "\
Examples:
  spice cluster tls init
  spice cluster tls add scheduler1
  spice cluster tls add executor1 --host executor1.cluster.local
  spice status
  spice sql --query 'SELECT 1'";

const VERSION_EXAMPLES: &str = "\
Examples:
  spice version";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
        json_by_default(Cli::command()).debug_assert();
    }

    fn each(command: &clap::Command, check: &mut impl FnMut(&clap::Command)) {
        check(command);
        for subcommand in command.get_subcommands() {
            each(subcommand, check);
        }
    }

    #[test]
    fn every_command_has_an_example_of_itself() {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        each(&command, &mut |command| {
            let name = command.get_bin_name().unwrap_or("spice");
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let (_, examples) = help.split_once("Examples:\n").expect(name);
            let typed = format!("  {name} ");
            let is_example =
                |line: &str| line.starts_with(&typed) || line == typed.trim_end_matches(' ');
            assert!(examples.lines().any(is_example), "{name}: {examples}");
        });
    }

    #[test]
    fn a_program_gets_json_unless_it_asks_for_something_else() {
        let output = |line: &str| {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            let voice = Voice::asked_for(words.clone());
            match Cli::read(words, voice).ok().unwrap().command {
                Command::Sql(args) => args.output,
                _ => panic!("{line}"),
            }
        };
        for (line, format) in [
            ("spice sql", RowFormat::Table),
            ("spice --machine sql", RowFormat::Json),
            ("spice sql --machine", RowFormat::Json),
            ("spice sql --machine -o csv", RowFormat::Csv),
        ] {
            assert!(output(line) == format, "{line}");
        }
    }
}
