//! `spice cluster tls rotate-ca`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use cluster_pki::{Days, KeyType, NodeName};

use crate::args::tls::{ConsentArgs, PassphraseArgs, PkiArgs, ReportArgs, key_types};

/// Exchange the root of the cluster without an interruption.
///
/// `start` makes a new root and a `ca.pem` with both; roll that out to every node. `renew
/// --retiring` gives every node a certificate of the new root; roll those out. `finish` drops the
/// old root. `status` says at every moment what is next, and `abort` goes back.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RotateCaArgs {
    #[command(subcommand)]
    pub(crate) command: RotateCaCommand,
}

#[derive(Subcommand)]
pub(crate) enum RotateCaCommand {
    Start(StartArgs),
    Status(StatusArgs),
    Finish(FinishArgs),
    Abort(AbortArgs),
}

/// Make a new root that signs from now on, and a `ca.pem` with both roots.
#[derive(Args)]
#[command(after_help = START_EXAMPLES)]
pub(crate) struct StartArgs {
    /// How many days the new root is valid.
    #[arg(long, value_name = "DAYS", default_value_t = Days::AUTHORITY_DEFAULT)]
    pub(crate) days: Days,

    /// The kind of key that it has and makes [default: as before].
    #[arg(long, value_name = "TYPE", value_parser = key_types())]
    pub(crate) key_type: Option<KeyType>,

    /// Encrypt its key with a passphrase, as for `init`. A root whose key has one is followed by
    /// one whose key has the same.
    #[arg(long, conflicts_with = "no_encrypt")]
    pub(crate) encrypt: bool,

    /// Leave the new key without a passphrase although the old one has one.
    #[arg(long)]
    pub(crate) no_encrypt: bool,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,

    #[command(flatten)]
    pub(crate) step: StepArgs,
}

/// Say where the rotation stands and what to roll out next.
#[derive(Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Drop the old root and destroy its key.
///
/// Refused while a node whose certificate has neither expired nor been revoked has none of the
/// new root.
#[derive(Args)]
#[command(after_help = FINISH_EXAMPLES)]
pub(crate) struct FinishArgs {
    /// Go on without this node, which will be cut off; may be given several times.
    #[arg(long = "abandon", value_name = "NAME")]
    pub(crate) abandoned: Vec<NodeName>,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,

    #[command(flatten)]
    pub(crate) step: StepArgs,
}

/// Go back to the old root.
///
/// At once where no node has a certificate of the new one. Otherwise the two change places: renew
/// those nodes, then finish.
#[derive(Args)]
#[command(after_help = ABORT_EXAMPLES)]
pub(crate) struct AbortArgs {
    #[command(flatten)]
    pub(crate) consent: ConsentArgs,

    #[command(flatten)]
    pub(crate) step: StepArgs,
}

#[derive(Args)]
pub(crate) struct StepArgs {
    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    /// The directory that has `ca.pem`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls rotate-ca start
  spice cluster tls renew --retiring
  spice cluster tls rotate-ca status
  spice cluster tls rotate-ca finish";

const START_EXAMPLES: &str = "\
Examples:
  spice cluster tls rotate-ca start
  spice cluster tls rotate-ca start --key-type p384 --days 1825 --out /etc/spice";

const STATUS_EXAMPLES: &str = "\
Examples:
  spice cluster tls rotate-ca status -o json";

const FINISH_EXAMPLES: &str = "\
Examples:
  spice cluster tls rotate-ca finish
  spice cluster tls rotate-ca finish --abandon executor7 --yes";

const ABORT_EXAMPLES: &str = "\
Examples:
  spice cluster tls rotate-ca abort";
