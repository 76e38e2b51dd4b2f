use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use cluster_tls::IdentityRule;

/// A node of a Spice cluster: scheduler or executor, or a whole cluster in one process.
///
/// Without a role and without a scheduler's address it answers SQL by itself. In a cluster the
/// nodes speak over the internal port only, by mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "spiced", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The spicepod: a directory with a spicepod.yaml, or the file itself [default: .]
    pub(crate) path: Option<PathBuf>,

    /// What this node does; executor when only --scheduler-address is given
    #[arg(long, value_enum)]
    pub(crate) role: Option<RoleArg>,

    /// The roots of the cluster, PEM
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    pub(crate) node_mtls_ca_certificate_file: Option<PathBuf>,

    /// This node's certificate, PEM, followed by intermediates if there are any
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    pub(crate) node_mtls_certificate_file: Option<PathBuf>,

    /// The private key of the certificate, PEM, not readable by everybody
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    pub(crate) node_mtls_key_file: Option<PathBuf>,

    /// Certificate revocation lists, PEM; every root then needs a current one
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    pub(crate) node_mtls_crl_file: Option<PathBuf>,

    /// Certificates to deny: a serial number or SHA-256 fingerprint a line, in hexadecimal
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    pub(crate) node_mtls_deny_list_file: Option<PathBuf>,

    /// The role of certificates of another issuer, by their identity URI, in which `*` stands for
    /// one path segment; may be given several times
    #[arg(long, value_name = "URI=ROLE", help_heading = CLUSTER)]
    pub(crate) node_mtls_identity: Vec<IdentityRule>,

    /// Refuse peers whose certificate carries no role
    #[arg(long, help_heading = CLUSTER)]
    pub(crate) node_mtls_require_role: bool,

    /// The host name or address that other nodes reach this one at; a name of its certificate
    #[arg(long, value_name = "HOST", help_heading = CLUSTER)]
    pub(crate) node_advertise_address: Option<String>,

    /// Where the internal port listens [default: 0.0.0.0:50052, 127.0.0.1:50052 when insecure]
    #[arg(long, value_name = "ADDR:PORT", help_heading = CLUSTER)]
    pub(crate) node_bind_address: Option<SocketAddr>,

    /// A scheduler to ask for all schedulers to work for, by default at port 50052; several are
    /// separated by commas or given one by one, and any one of them that answers will do
    #[arg(long, value_name = "URL", value_delimiter = ',', help_heading = CLUSTER)]
    pub(crate) scheduler_address: Vec<String>,

    /// Tasks that an executor runs at the same time [default: the number of cores]
    #[arg(long, value_name = "N", help_heading = CLUSTER)]
    pub(crate) task_slots: Option<NonZeroUsize>,

    /// Run the internal port WITHOUT any protection, for development on one machine
    #[arg(long, help_heading = CLUSTER)]
    pub(crate) allow_insecure_connections: bool,

    /// Where the HTTP API listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8090", help_heading = PUBLIC)]
    pub(crate) http: SocketAddr,

    /// Where Flight SQL listens; executors have none [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR:PORT", help_heading = PUBLIC)]
    pub(crate) flight: Option<SocketAddr>,

    /// Where Prometheus metrics are served; off unless given
    #[arg(long, value_name = "ADDR:PORT", help_heading = PUBLIC)]
    pub(crate) metrics: Option<SocketAddr>,

    /// Where this node keeps shuffle files and spills
    #[arg(long, value_name = "DIR", default_value = ".spice/data")]
    pub(crate) data_dir: PathBuf,

    /// Where audit events go, a line of JSON each: a file, or `-` for standard output; the log
    /// unless given. With it, a secret is given only once that is written
    #[arg(long, value_name = "FILE")]
    pub(crate) audit_log: Option<PathBuf>,

    /// How log lines on stderr are written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// More detail in the log; twice for the query engine's too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The role of a node in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Plans queries, answers clients, coordinates executors
    Scheduler,
    /// Runs the tasks of queries
    Executor,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One object a line, for machines
    Json,
}

const CLUSTER: &str = "Cluster";
const PUBLIC: &str = "Public listeners";

const EXAMPLES: &str = "\
Examples:
  One node, no cluster, over the datasets of ./spicepod.yaml:
    spiced

  A scheduler and an executor, with certificates of `spice cluster tls`:
    spiced --role scheduler --node-mtls-ca-certificate-file ca.pem \\
           --node-mtls-certificate-file scheduler1.pem --node-mtls-key-file scheduler1-key.pem \\
           --node-advertise-address scheduler1.cluster.local
    spiced --role executor --node-mtls-ca-certificate-file ca.pem \\
           --node-mtls-certificate-file executor1.pem --node-mtls-key-file executor1-key.pem \\
           --scheduler-address https://scheduler1.cluster.local:50052 \\
           --node-advertise-address executor1.cluster.local";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
