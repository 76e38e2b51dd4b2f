//! Mint and keep the certificates of a cluster.
//!
//! An [`Authority`] lives in a PKI directory of its own: the CA certificate and key, the
//! cluster's domain, and a line for every certificate ever signed. It issues one leaf per
//! node, which the node uses to serve and to dial, and writes the three files a node needs.
//! This crate is the only holder of a CA key; it never touches the network and a node never
//! links it.
//!
//! ```
//! use std::time::SystemTime;
//! use cluster_pki::{Authority, InitRequest, LeafRequest};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! let pki = home.path().join("pki");
//! let mut authority = Authority::init(&pki, &InitRequest::default(), SystemTime::now())?;
//! let mut request = LeafRequest::new("executor1".parse()?, home.path());
//! request.hosts.push("10.0.0.7".parse()?);
//! let issued = authority.issue(&request, SystemTime::now())?;
//! assert_eq!(issued.record.uri, "spiffe://cluster.local/executor/executor1");
//! assert!(issued.files.key.ends_with("executor1-key.pem"));
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! * Private keys are readable by their owner alone from the first byte: files are created
//!   exclusively with that mode, and never loosened or tightened afterwards.
//! * Nothing that exists is overwritten unless it was asked for, and an authority never is.
//! * Runs are serialized by a lock file, and a crash between any two writes leaves an authority
//!   that works.
//!
//! File modes, locks and atomic renames are those of Unix; this crate builds nowhere else.

mod authority;
mod bundle;
mod crl;
mod days;
mod files;
mod index;
mod inspect;
mod key_type;
mod keys;
mod lines;
mod lock;
mod mint;
mod name;
mod output;
mod passphrase;
mod pem;
mod policy;
mod public_key;
mod request;
mod revocations;
mod role;
mod root;
mod roots_file;
mod rotation;
mod settings;
mod signature;
mod standing;
mod stored;
mod text;
mod timestamp;
mod usages;

pub use crate::authority::{
    Authority, BatchError, Begun, Due, Identity, InitError, InitRequest, IssueError, Issued,
    LeafRequest, Lists, ListsRequest, OpenError, RenewRequest, Renewals, RequestedNames,
    RevokeError, RevokeTarget, Revoked, RootInfo, RotateError, Rotation, RotationRequest,
};
pub use crate::bundle::{
    Bundle, BundleError, Namespace, NodeBundle, SecretForm, SecretName, SecretNameError,
    SecretTarget,
};
pub use crate::days::{Days, DaysError};
pub use crate::files::FileError;
pub use crate::index::{IssuedRecord, KeyOrigin};
pub use crate::inspect::{
    CertificateReport, DenyListEntry, DenyListReport, InspectError, InspectedContent,
    InspectedFormat, InspectedSection, Inspection, InspectionInput, PrivateKeyReport,
    RequestReport, RevocationListReport, RevokedEntry, Validity, ValidityStatus,
};
pub use crate::key_type::{KeyType, UnknownKeyType};
pub use crate::keys::KeyError;
pub use crate::lines::RecordError;
pub use crate::lock::LockError;
pub use crate::mint::MintError;
pub use crate::name::{Domain, Host, NameError, NodeName};
pub use crate::output::{Existing, NodeFiles, OutputError};
pub use crate::passphrase::{
    NoPassphrase, Passphrase, PassphraseError, PassphraseSource, SealError,
};
pub use crate::pem::PemFault;
pub use crate::policy::{Localhost, ValidityError, Warning};
pub use crate::public_key::PublicKeySummary;
pub use crate::request::{
    NodeRequest, RefusedName, RequestError, RequestFiles, RequestPlan, SigningRequest,
    SigningRequestError,
};
pub use crate::revocations::{RevocationReason, RevokedRecord, UnknownReason};
pub use crate::role::RoleReason;
pub use crate::rotation::{Aborted, RotationError};
pub use crate::settings::SettingsError;
pub use crate::standing::{Certificate, Standing};
pub use crate::timestamp::Timestamp;
