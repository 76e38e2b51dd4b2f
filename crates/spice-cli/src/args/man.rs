//! `spice man`.

use std::path::PathBuf;

use clap::Args;

/// Write a manual page for each command.
///
/// Pages that are there already are replaced; anything else in their place is left alone and
/// refused.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// The directory for `spice.1` and the others; made if it is not there.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  spice man /usr/local/share/man/man1";
