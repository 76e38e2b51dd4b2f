//! A node's files and how it judges certificates: what `connect` and `verify` have in common.

use std::path::PathBuf;

use clap::Args;
use cluster_tls::IdentityRule;

#[derive(Args)]
pub(crate) struct CredentialArgs {
    /// The roots of the cluster, PEM.
    #[arg(long, value_name = "FILE", default_value = "ca.pem")]
    pub(crate) ca: PathBuf,

    /// The node's certificate, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: PathBuf,

    /// The key of the certificate, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,

    /// Certificate revocation lists, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) crl: Option<PathBuf>,

    /// Denied certificates, a serial number or SHA-256 fingerprint a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) deny_list: Option<PathBuf>,

    /// The role of certificates of another issuer, as for `spiced --node-mtls-identity`.
    #[arg(long, value_name = "URI=ROLE")]
    pub(crate) identity: Vec<IdentityRule>,
}
