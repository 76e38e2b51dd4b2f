//! `spice cluster tls`: its commands, and what several of them take.

mod add;
mod bundle;
mod connect;
mod credentials;
mod csr;
mod init;
mod inspect;
mod list;
mod passphrase;
mod renew;
mod revoke;
mod rotate_ca;
mod sign;
mod verify;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use cluster_pki::KeyType;
use cluster_tls::Role;

pub(crate) use self::add::AddArgs;
pub(crate) use self::bundle::{BundleArgs, BundleForm, Destination};
pub(crate) use self::connect::ConnectArgs;
pub(crate) use self::credentials::CredentialArgs;
pub(crate) use self::csr::CsrArgs;
pub(crate) use self::init::InitArgs;
pub(crate) use self::inspect::InspectArgs;
pub(crate) use self::list::ListArgs;
pub(crate) use self::passphrase::PassphraseArgs;
pub(crate) use self::renew::RenewArgs;
pub(crate) use self::revoke::{CrlArgs, ListsArgs, RevokeArgs};
pub(crate) use self::rotate_ca::{
    AbortArgs, FinishArgs, RotateCaArgs, RotateCaCommand, StartArgs, StatusArgs,
};
pub(crate) use self::sign::SignArgs;
pub(crate) use self::verify::VerifyArgs;

#[derive(Subcommand)]
pub(crate) enum TlsCommand {
    Init(InitArgs),
    Add(AddArgs),
    Csr(CsrArgs),
    Sign(SignArgs),
    List(ListArgs),
    Inspect(InspectArgs),
    Verify(VerifyArgs),
    Connect(ConnectArgs),
    Renew(RenewArgs),
    Revoke(RevokeArgs),
    Crl(CrlArgs),
    RotateCa(RotateCaArgs),
    Bundle(BundleArgs),
}

#[derive(Args)]
pub(crate) struct PkiArgs {
    /// The authority's directory [default: ~/.spice/pki].
    #[arg(long, value_name = "DIR", env = PKI_DIR_VARIABLE)]
    pub(crate) pki_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ConsentArgs {
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
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

fn key_types() -> impl TypedValueParser<Value = KeyType> {
    PossibleValuesParser::new(KeyType::ALL.map(KeyType::as_str)).try_map(|text| text.parse())
}

/// Every role but the absence of one.
fn roles() -> impl TypedValueParser<Value = Role> {
    let roles = [Role::Scheduler, Role::Executor, Role::Node, Role::Client];
    PossibleValuesParser::new(roles.map(Role::as_str)).try_map(|text| text.parse())
}

/// Names the PKI directory where the flag does not.
pub(crate) const PKI_DIR_VARIABLE: &str = "SPICE_PKI_DIR";
