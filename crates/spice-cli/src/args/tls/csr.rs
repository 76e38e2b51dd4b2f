//! `spice cluster tls csr`.

use std::path::PathBuf;

use clap::Args;
use cluster_pki::{Domain, Host, KeyType, NodeName};

use crate::args::tls::{ReportArgs, key_types};

/// Make a node's key on the node, and a request for its certificate.
///
/// Needs no authority. Written are `NAME-key.pem`, readable by its owner only, which stays here,
/// and `NAME.csr`, which goes to the administrator of the authority. It asks for the same names
/// as `add` would certify; the role comes from the authority.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CsrArgs {
    /// The node: letters, digits, `-`, `_` and `.`.
    #[arg(value_name = "NAME")]
    pub(crate) name: NodeName,

    /// Another DNS name, IPv4 or IPv6 address of the node; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<Host>,

    /// Leave out `localhost`, `127.0.0.1` and `::1`.
    #[arg(long)]
    pub(crate) no_localhost: bool,

    /// The kind of key.
    #[arg(long, value_name = "TYPE", default_value = "p256", value_parser = key_types())]
    pub(crate) key_type: KeyType,

    /// The cluster's domain, as it was given to `init`.
    #[arg(long, value_name = "DOMAIN", default_value = Domain::DEFAULT)]
    pub(crate) domain: Domain,

    /// The directory for the key and the request.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    /// Replace the key and the request if they exist; the old key is gone then.
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls csr executor1
  spice cluster tls csr executor1 --host executor1.example --host 10.0.0.7 --out /etc/spice";
