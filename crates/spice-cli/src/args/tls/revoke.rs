//! `spice cluster tls revoke` and `crl`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use cluster_pki::{Days, NodeName, RevocationReason};

use crate::args::tls::{ConsentArgs, PassphraseArgs, PkiArgs, ReportArgs};

/// Revoke certificates: nodes believe them no more, whatever their dates say.
///
/// Everything that a node was issued and that has not expired is revoked, for good. Written are
/// `crl.pem`, a revocation list, and `deny-list.txt`, the same as serial numbers; nodes need one
/// of the two, and follow it when the file changes. A revoked node can be given a new certificate
/// with `add`.
#[derive(Args)]
#[command(after_help = REVOKE_EXAMPLES)]
#[command(group = ArgGroup::new("which").required(true).args(["name", "serial"]))]
pub(crate) struct RevokeArgs {
    /// The node.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<NodeName>,

    /// Only the certificate with this serial number, as `list --all` shows it.
    #[arg(long, value_name = "HEX")]
    pub(crate) serial: Option<String>,

    /// Only the certificates that renewals left behind; the newest one stays.
    #[arg(long, requires = "name", conflicts_with = "serial")]
    pub(crate) replaced: bool,

    /// Why.
    #[arg(long, value_name = "REASON", default_value = "unspecified", value_parser = reasons())]
    pub(crate) reason: RevocationReason,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,

    #[command(flatten)]
    pub(crate) lists: ListsArgs,
}

/// Write the revocation lists anew.
///
/// For nodes that are to start with `--node-mtls-crl-file` before anything was revoked, for lists
/// that were lost or are due, and after a rotation of the root has begun: each root needs a list.
#[derive(Args)]
#[command(after_help = CRL_EXAMPLES)]
pub(crate) struct CrlArgs {
    #[command(flatten)]
    pub(crate) lists: ListsArgs,
}

#[derive(Args)]
pub(crate) struct ListsArgs {
    /// How many days until the next revocation list is due: nodes believe nobody when it is
    /// overdue [default: as long as the authority is valid].
    #[arg(long, value_name = "DAYS")]
    pub(crate) crl_days: Option<Days>,

    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,

    /// The directory for `crl.pem` and `deny-list.txt`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

fn reasons() -> impl TypedValueParser<Value = RevocationReason> {
    PossibleValuesParser::new(RevocationReason::ALL.map(RevocationReason::as_str))
        .try_map(|text| text.parse())
}

const REVOKE_EXAMPLES: &str = "\
Examples:
  spice cluster tls revoke executor1 --reason key-compromise
  spice cluster tls revoke executor1 --replaced --yes
  spice cluster tls revoke --serial 5f0c9e2ab1d4470c8f11e2d3a4b5c6d7e8f90a1b";

const CRL_EXAMPLES: &str = "\
Examples:
  spice cluster tls crl --out /etc/spice
  spice cluster tls crl --crl-days 30";
