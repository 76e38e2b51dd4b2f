//! The command line, parsed into types that hold only what makes sense.

mod sql;
mod tls;

use clap::{Parser, Subcommand};

pub(crate) use self::sql::{RowFormat, SqlArgs};
pub(crate) use self::tls::{
    AddArgs, BundleArgs, BundleForm, ConnectArgs, Destination, InitArgs, PKI_DIR_VARIABLE,
    PassphraseArgs, PkiArgs, ReportFormat, TlsCommand,
};

/// Certificates and SQL for a Spice cluster.
#[derive(Parser)]
#[command(name = "spice", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Manage a cluster.
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
    Sql(SqlArgs),
    /// Print the version.
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

const EXAMPLES: &str = "\
Examples:
  spice cluster tls init
  spice cluster tls add scheduler1
  spice cluster tls add executor1 --host executor1.cluster.local
  spice sql --query 'SELECT 1'";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
