//! `spice cluster tls verify`.

use clap::Args;
use cluster_tls::{Name, Role};

use crate::args::tls::{CredentialArgs, ReportArgs, roles};

/// Say what a node would say of a certificate and its key.
///
/// The files are read and judged by the very code that `spiced` and its peers judge them with.
/// Nothing is dialled and nothing is written.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,

    /// A name or address that the node is to be reached at; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<Name>,

    /// What the node must be allowed to act as.
    #[arg(long, value_name = "ROLE", value_parser = roles())]
    pub(crate) role: Option<Role>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const EXAMPLES: &str = "\
Exit codes:
  0   a node would use these files, and its peers would accept them
  2   the command line was not understood
  10  credentials: the files would be refused
  15  name: the certificate does not carry the host
  16  role: the certificate may not act in the role
  1   anything else

Examples:
  spice cluster tls verify --cert scheduler1.pem --key scheduler1-key.pem --role scheduler
  spice cluster tls verify --cert executor1.pem --key executor1-key.pem \\
                           --host executor1.cluster.local --crl crl.pem -o json";
