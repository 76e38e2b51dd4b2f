//! `spice cluster tls add`.

use std::path::PathBuf;

use clap::Args;
use cluster_pki::{Days, Host, NodeName};
use cluster_tls::Role;

use crate::args::tls::{PassphraseArgs, PkiArgs, ReportArgs, roles};

/// Make a key and a certificate for a node, or for many.
///
/// The node's name, its full name in the cluster's domain and `localhost` are certified without
/// being asked for. Written are `ca.pem`, `NAME.pem` and `NAME-key.pem`, the last readable by its
/// owner only; give all three to the node and to nobody else.
#[derive(Args)]
#[command(after_help = EXAMPLES, aliases = ["create", "issue"])]
pub(crate) struct AddArgs {
    /// The node: letters, digits, `-`, `_` and `.`.
    #[arg(value_name = "NAME", required_unless_present = "from")]
    pub(crate) name: Option<NodeName>,

    /// Many nodes, all or none: a CSV file with the header `name,hosts,role,days` (several hosts
    /// with spaces between them), or a YAML list of objects with these keys. Only the name is
    /// needed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "hosts", "role"])]
    pub(crate) from: Option<PathBuf>,

    /// With `--from`: leave out the nodes that have a certificate, so that a list that grew can
    /// be given again.
    #[arg(long, requires = "from", conflicts_with_all = ["name", "force"])]
    pub(crate) skip_existing: bool,

    /// Another DNS name, IPv4 or IPv6 address of the node; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<Host>,

    /// What the node may act as [default: from the start of its name, else `node`].
    #[arg(long, value_name = "ROLE", value_parser = roles())]
    pub(crate) role: Option<Role>,

    /// How many days the certificate is valid; it never outlives the authority.
    #[arg(long, value_name = "DAYS", default_value_t = Days::LEAF_DEFAULT)]
    pub(crate) days: Days,

    /// Leave out `localhost`, `127.0.0.1` and `::1`.
    #[arg(long)]
    pub(crate) no_localhost: bool,

    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,

    /// The directory for the node's files.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    /// Replace the node's certificate and files if they exist. Those of a certificate that was
    /// revoked are replaced without it.
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls add scheduler1
  spice cluster tls add executor1 --host executor1.example --host 10.0.0.7
  spice cluster tls add worker7 --role executor --days 90 --out /etc/spice
  spice cluster tls add --from nodes.csv --out certificates";
