//! Where passphrases come from. Never from an argument: every user of the machine can read those.

use std::path::PathBuf;

use clap::Args;

/// For every command that opens the authority's key.
#[derive(Args)]
pub(crate) struct PassphraseArgs {
    /// A file whose first line is the passphrase of the authority's key, or `-` for standard input
    /// [default: the variable SPICE_CA_PASSPHRASE, else you are asked].
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}
