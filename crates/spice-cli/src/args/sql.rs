//! `spice sql`.

use clap::{Args, ValueEnum};

use crate::endpoint::PublicEndpoint;

/// Run SQL on a node, once or interactively.
///
/// Without `--query`, statements are read from the terminal, each ended by `;`, or from standard
/// input when that is not a terminal. At the prompt `.help` says what else there is; what was
/// typed there is kept in `~/.spice/sql_history`, except statements that begin with a space.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SqlArgs {
    /// One statement to run.
    #[arg(short, long, value_name = "SQL")]
    pub(crate) query: Option<String>,

    /// How to print the rows.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: RowFormat,

    /// Say on standard error how many rows each statement gave and how long it took; the prompt
    /// says so of tables anyway.
    #[arg(long)]
    pub(crate) timing: bool,

    /// The node's Flight SQL endpoint.
    #[arg(long, value_name = "URL", default_value = PublicEndpoint::FLIGHT)]
    pub(crate) flight_endpoint: PublicEndpoint,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// For people; printed when all rows are there.
    #[default]
    Table,
    /// One array of objects, printed as the rows arrive.
    Json,
    /// A header and a line per row, printed as the rows arrive.
    Csv,
}

const EXAMPLES: &str = "\
Examples:
  spice sql
  spice sql --query 'SELECT count(*) FROM lineitem' -o json --timing
  spice sql --flight-endpoint http://scheduler1:50051 < report.sql";
