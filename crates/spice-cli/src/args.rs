//! The command line, parsed into types that hold only what makes sense.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use cluster_pki::{Days, Domain, Host, KeyType, NodeName};
use cluster_tls::{AddressError, IdentityRule, NodeAddress, Role};

use crate::sql::FlightEndpoint;

/// Certificates and SQL for a Spice cluster.
#[derive(Parser)]
#[command(name = "spice", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Manage a cluster.
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
    Sql(SqlArgs),
    /// Print the version.
    Version,
}

#[derive(Subcommand)]
pub(crate) enum ClusterCommand {
    /// Manage the certificates that nodes prove themselves with.
    #[command(after_help = EXAMPLES)]
    Tls {
        #[command(subcommand)]
        command: TlsCommand,
    },
}

#[derive(Subcommand)]
pub(crate) enum TlsCommand {
    Init(InitArgs),
    Add(AddArgs),
    Connect(ConnectArgs),
}

/// Make the certificate authority of a new cluster.
///
/// The authority's key stays in the PKI directory, readable by its owner only. The roots that
/// every node needs are written to the output directory as `ca.pem`. An existing authority is
/// never overwritten.
#[derive(Args)]
#[command(after_help = INIT_EXAMPLES)]
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

    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    /// The directory for `ca.pem`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Make a key and a certificate for a node.
///
/// The node's name, its full name in the cluster's domain and `localhost` are certified without
/// being asked for. Written are `ca.pem`, `NAME.pem` and `NAME-key.pem`, the last readable by its
/// owner only; give all three to the node and to nobody else.
#[derive(Args)]
#[command(after_help = ADD_EXAMPLES)]
pub(crate) struct AddArgs {
    /// The node: letters, digits, `-`, `_` and `.`.
    #[arg(value_name = "NAME")]
    pub(crate) name: NodeName,

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

    /// The directory for the node's files.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    /// Replace the node's certificate and files if they exist.
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Dial a node with a node's certificate and report every step.
///
/// Says where and why it ends: in our own files, the name, the network, the handshake, the peer's
/// certificate, or the peer's opinion of ours. The peer is asked for nothing.
#[derive(Args)]
#[command(after_help = CONNECT_EXAMPLES)]
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

#[derive(Args)]
pub(crate) struct PkiArgs {
    /// The authority's directory [default: ~/.spice/pki].
    #[arg(long, value_name = "DIR", env = PKI_DIR_VARIABLE)]
    pub(crate) pki_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ReportArgs {
    /// How to say what was done.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: ReportFormat,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    #[default]
    Table,
    /// For scripts; the keys are stable.
    Json,
}

/// Run SQL on a node, once or interactively.
///
/// Without `--query`, statements are read from the terminal, each ended by `;`, or from standard
/// input when that is not a terminal.
#[derive(Args)]
#[command(after_help = SQL_EXAMPLES)]
pub(crate) struct SqlArgs {
    /// One statement to run.
    #[arg(short, long, value_name = "SQL")]
    pub(crate) query: Option<String>,

    /// How to print the rows.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: RowFormat,

    /// The node's Flight SQL endpoint.
    #[arg(long, value_name = "URL", default_value = FlightEndpoint::DEFAULT)]
    pub(crate) flight_endpoint: FlightEndpoint,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// For people; printed when all rows are there.
    #[default]
    Table,
    /// One array of objects, printed as the rows arrive.
    Json,
    /// A header and a line per row, printed as the rows arrive.
    Csv,
}

fn key_types() -> impl TypedValueParser<Value = KeyType> {
    PossibleValuesParser::new(KeyType::ALL.map(KeyType::as_str)).try_map(|text| text.parse())
}

/// Every role but the absence of one.
fn roles() -> impl TypedValueParser<Value = Role> {
    let roles = [Role::Scheduler, Role::Executor, Role::Node, Role::Client];
    PossibleValuesParser::new(roles.map(Role::as_str)).try_map(|text| text.parse())
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

/// Names the PKI directory where the flag does not.
pub(crate) const PKI_DIR_VARIABLE: &str = "SPICE_PKI_DIR";

const EXAMPLES: &str = "\
Examples:
  spice cluster tls init
  spice cluster tls add scheduler1
  spice cluster tls add executor1 --host executor1.cluster.local
  spice sql --query 'SELECT 1'";

const INIT_EXAMPLES: &str = "\
Examples:
  spice cluster tls init
  spice cluster tls init --domain spice.example --pki-dir /secure/pki --out /etc/spice";

const ADD_EXAMPLES: &str = "\
Examples:
  spice cluster tls add scheduler1
  spice cluster tls add executor1 --host executor1.example --host 10.0.0.7
  spice cluster tls add worker7 --role executor --days 90 --out /etc/spice";

const CONNECT_EXAMPLES: &str = "\
Examples:
  spice cluster tls connect scheduler1.cluster.local --cert executor1.pem --key executor1-key.pem
  spice cluster tls connect 10.0.0.7:50052 --role executor --cert scheduler1.pem \\
                            --key scheduler1-key.pem -o json";

const SQL_EXAMPLES: &str = "\
Examples:
  spice sql
  spice sql --query 'SELECT count(*) FROM lineitem' -o json
  spice sql --flight-endpoint http://scheduler1:50051 < report.sql";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
