//! `spice cluster tls list`.

use clap::Args;

use crate::args::tls::{PkiArgs, ReportArgs};

/// List the certificates that the authority issued, and what became of each.
///
/// Of every node the newest certificate is shown. `valid` and `expiring` ones are in use, the
/// latter for less than 30 days; `replaced` ones have a successor but are believed until they
/// expire, unless they are revoked; `untrusted` ones went with a root that is out of use.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    /// Show every certificate ever issued.
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls list
  spice cluster tls list --all -o json";
