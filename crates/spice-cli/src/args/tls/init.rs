//! `spice cluster tls init`.

use std::path::PathBuf;

use clap::Args;
use cluster_pki::{Days, Domain, KeyType};

use crate::args::tls::{PassphraseArgs, PkiArgs, ReportArgs, key_types};

/// Make the certificate authority of a new cluster.
///
/// The authority's key stays in the PKI directory, readable by its owner only. The roots that
/// every node needs are written to the output directory as `ca.pem`. An existing authority is
/// never overwritten.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InitArgs {
    /// The cluster's domain: the suffix of its nodes' names.
    #[arg(long, value_name = "DOMAIN", default_value = Domain::DEFAULT)]
    pub(crate) domain: Domain,

    /// How many days the authority is valid.
    #[arg(long, value_name = "DAYS", default_value_t = Days::AUTHORITY_DEFAULT)]
    pub(crate) days: Days,

    /// The kind of key that the authority has and makes.
    #[arg(long, value_name = "TYPE", default_value = "p256", value_parser = key_types())]
    pub(crate) key_type: KeyType,

    /// Encrypt the authority's key with a passphrase, which every command that signs will need.
    /// So does giving one.
    #[arg(long)]
    pub(crate) encrypt: bool,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,

    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    /// The directory for `ca.pem`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls init
  spice cluster tls init --encrypt
  spice cluster tls init --domain spice.example --pki-dir /secure/pki --out /etc/spice";
