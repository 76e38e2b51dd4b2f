//! `spice cluster tls renew`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Args};
use cluster_pki::{Days, NodeName};

use crate::args::tls::{PassphraseArgs, PkiArgs, ReportArgs};

/// Renew certificates: same names and role, new key and dates.
///
/// A node's files are replaced where they are; the old ones stay until the new ones are complete,
/// so that a running node follows without a restart. Safe in cron: with `--all`, nodes that cannot
/// be renewed keep none of the others waiting, and the command then ends with exit code 1.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("which").required(true).args(["name", "all", "retiring"]))]
pub(crate) struct RenewArgs {
    /// The node.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<NodeName>,

    /// Renew the certificates of all nodes.
    #[arg(long)]
    pub(crate) all: bool,

    /// Renew those that are of the root which a rotation takes out of use.
    #[arg(long)]
    pub(crate) retiring: bool,

    /// With `--all`: only those that end within this time, such as `30d` or `12h`.
    #[arg(long, value_name = "TIME", requires = "all", conflicts_with_all = ["name", "retiring"])]
    pub(crate) within: Option<Within>,

    /// How many days the new certificate is valid [default: as many as the old one was].
    #[arg(long, value_name = "DAYS")]
    pub(crate) days: Option<Days>,

    #[command(flatten)]
    pub(crate) pki: PkiArgs,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,

    /// The directory that has the nodes' files.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    /// Write the files anew where they are lost.
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// A time in days or hours: `30d`, `12h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Within(pub(crate) Duration);

impl FromStr for Within {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a time such as `30d` or `12h`");
        let (number, unit) = text
            .split_at_checked(text.len().saturating_sub(1))
            .ok_or_else(wrong)?;
        let unit_s = match unit {
            "d" => 24 * 60 * 60,
            "h" => 60 * 60,
            _ => return Err(wrong()),
        };
        let count: u32 = number.parse().map_err(|_| wrong())?;
        Ok(Self(Duration::from_secs(u64::from(count) * unit_s)))
    }
}

const EXAMPLES: &str = "\
Examples:
  spice cluster tls renew executor1
  spice cluster tls renew --all --within 30d --out /etc/spice
  spice cluster tls renew executor1 --force --out recovered
  spice cluster tls renew --retiring";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_of_days_or_hours() {
        let seconds = |text: &str| text.parse::<Within>().map(|within| within.0.as_secs());
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert_eq!(seconds("12h"), Ok(43_200));
        for text in ["", "d", "30", "-1d", "1w", "1.5d", "30 d", "30é"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }
}
