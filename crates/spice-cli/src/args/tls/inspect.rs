//! `spice cluster tls inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::args::tls::ReportArgs;

/// Show what is in a file of certificates, keys, requests or revocations.
///
/// Reads PEM with any mixture of sections, one object in binary form (DER), and deny-lists. Says
/// what a node would object to at first sight, which key belongs to which certificate, and which
/// certificate signed which. No secret part of a key is ever shown.
#[derive(Args)]
#[command(after_help = EXAMPLES, alias = "show")]
pub(crate) struct InspectArgs {
    /// The file; `-` reads the standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls inspect executor1.pem
  spice cluster tls inspect executor1.csr -o json
  cat executor1.pem executor1-key.pem ca.pem | spice cluster tls inspect -";
