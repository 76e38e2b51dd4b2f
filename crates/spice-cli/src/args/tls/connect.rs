//! `spice cluster tls connect`.

use clap::Args;
use cluster_tls::{AddressError, NodeAddress, Role};

use crate::args::tls::{CredentialArgs, ReportArgs, roles};

/// Dial a node with a node's certificate and report every step.
///
/// Says where and why it ends: in our own files, the name, the network, the handshake, the peer's
/// certificate, or the peer's opinion of ours; which side refused the other; and by its exit code
/// which step failed. The peer is asked for nothing.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConnectArgs {
    /// The node's internal port.
    #[arg(value_name = "HOST:PORT", value_parser = node_address)]
    pub(crate) node: NodeAddress,

    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,

    /// What the node must be allowed to act as [default: anything].
    #[arg(long, value_name = "ROLE", value_parser = roles())]
    pub(crate) role: Option<Role>,

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
Exit codes:
  0   healthy: every step passed
  2   the command line was not understood
  10  credentials: our own files would be refused by every node
  11  resolve: the host name leads to no address
  12  connect: no TCP connection
  13  handshake: no TLS 1.3 with client certificates
  14  chain: the peer's certificate is not of this cluster, outside its dates or revoked
  15  name: the peer's certificate does not carry the dialled name
  16  role: the peer may not act in the expected role
  18  admission: the peer refuses our certificate
  1   anything else

Examples:
  spice cluster tls connect scheduler1.cluster.local --cert executor1.pem --key executor1-key.pem
  spice cluster tls connect 10.0.0.7:50052 --role executor --cert scheduler1.pem \\
                            --key scheduler1-key.pem -o json";
