//! `spice cluster tls sign`.

use std::path::PathBuf;

use clap::Args;
use cluster_pki::{Days, Host, NodeName};
use cluster_tls::Role;

use crate::args::tls::{ConsentArgs, PassphraseArgs, PkiArgs, ReportArgs, roles};

/// Sign the request of a node that made its own key.
///
/// Of the request only the key is taken unasked. What it wants to be called is shown and must be
/// confirmed; with `--name` it is not even looked at, and the names are those that `add` would
/// give. Role and validity always come from here.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SignArgs {
    /// The request, PEM.
    #[arg(value_name = "FILE")]
    pub(crate) request: PathBuf,

    /// The node, whatever the request calls it.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<NodeName>,

    /// Another DNS name, IPv4 or IPv6 address of the node; may be given several times.
    #[arg(long = "host", value_name = "HOST", requires = "name")]
    pub(crate) hosts: Vec<Host>,

    /// Leave out `localhost`, `127.0.0.1` and `::1`.
    #[arg(long, requires = "name")]
    pub(crate) no_localhost: bool,

    /// What the node may act as [default: from the start of its name, else `node`].
    #[arg(long, value_name = "ROLE", value_parser = roles())]
    pub(crate) role: Option<Role>,

    /// How many days the certificate is valid; it never outlives the authority.
    #[arg(long, value_name = "DAYS", default_value_t = Days::LEAF_DEFAULT)]
    pub(crate) days: Days,

    /// Replace the node's certificate if it has one.
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,

    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,

    /// The directory for `ca.pem` and the certificate.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls sign executor1.csr
  spice cluster tls sign executor1.csr --name executor1 --host 10.0.0.7 --yes --out signed";
