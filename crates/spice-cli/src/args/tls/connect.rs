//! `spice cluster tls connect`.

use std::path::PathBuf;

use clap::Args;
use cluster_tls::{AddressError, IdentityRule, NodeAddress, Role};

use crate::args::tls::{ReportArgs, roles};

/// Dial a node with a node's certificate and report every step.
///
/// Says where and why it ends: in our own files, the name, the network, the handshake, the peer's
/// certificate, or the peer's opinion of ours. The peer is asked for nothing.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConnectArgs {
    /// The node's internal port.
    #[arg(value_name = "HOST:PORT", value_parser = node_address)]
    pub(crate) node: NodeAddress,

    /// The roots of the cluster, PEM.
    #[arg(long, value_name = "FILE", default_value = "ca.pem")]
    pub(crate) ca: PathBuf,

    /// The certificate to show, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: PathBuf,

    /// The key of the certificate, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,

    /// What the node must be allowed to act as [default: anything].
    #[arg(long, value_name = "ROLE", value_parser = roles())]
    pub(crate) role: Option<Role>,

    /// Certificate revocation lists to judge the node by, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) crl: Option<PathBuf>,

    /// Denied certificates to judge the node by.
    #[arg(long, value_name = "FILE")]
    pub(crate) deny_list: Option<PathBuf>,

    /// The role of certificates of another issuer, as for `spiced --node-mtls-identity`.
    #[arg(long, value_name = "URI=ROLE")]
    pub(crate) identity: Vec<IdentityRule>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// A node's address; the internal port may be left out, and the scheme of `spiced` may stand.
fn node_address(text: &str) -> Result<NodeAddress, AddressError> {
    let text = text.strip_prefix("https://").unwrap_or(text);
    match text.parse() {
        Err(AddressError::NoPort(_)) => NodeAddress::new(text, INTERNAL_PORT),
        parsed => parsed,
    }
}

/// Where nodes speak to each other.
const INTERNAL_PORT: u16 = 50052;

const EXAMPLES: &str = "\
Examples:
  spice cluster tls connect scheduler1.cluster.local --cert executor1.pem --key executor1-key.pem
  spice cluster tls connect 10.0.0.7:50052 --role executor --cert scheduler1.pem \\
                            --key scheduler1-key.pem -o json";
