//! Signing a leaf for a node and writing its files.

use std::path::PathBuf;
use std::time::SystemTime;

use cluster_tls::{Name, Role};

use crate::authority::Authority;
use crate::days::Days;
use crate::files::FileError;
use crate::index::{IndexError, IssuedRecord};
use crate::mint::{LeafPlan, MintError, Minted, fingerprint, mint_leaf};
use crate::name::{Host, NodeName};
use crate::output::{self, Existing, NodeFiles, OutputError, StagedNode};
use crate::policy::{self, Localhost, ValidityError, Warning, Window};
use crate::role::{RoleReason, decide_role};

/// Which certificate a node is to have.
#[derive(Debug, Clone)]
pub struct LeafRequest {
    /// The node.
    pub name: NodeName,
    /// Where else it may be reached.
    pub hosts: Vec<Host>,
    /// What it may act as; decided from the name when nothing is asked for.
    pub role: Option<Role>,
    /// How long the certificate is valid, unless the authority ends before.
    pub days: Days,
    /// Whether it carries the names of its own machine.
    pub localhost: Localhost,
    /// The directory that gets the node's files; it is created unless it is there.
    pub out: PathBuf,
    /// What to do when the node or its files are already there.
    pub existing: Existing,
}

impl LeafRequest {
    /// A certificate of one year with nothing but the node's own names.
    pub fn new(name: NodeName, out: impl Into<PathBuf>) -> Self {
        Self {
            name,
            hosts: Vec::new(),
            role: None,
            days: Days::LEAF_DEFAULT,
            localhost: Localhost::default(),
            out: out.into(),
            existing: Existing::default(),
        }
    }
}

/// A certificate that was signed, recorded and written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    /// What it says.
    pub record: IssuedRecord,
    /// Why it states that role.
    pub role_reason: RoleReason,
    /// Where the node's files are.
    pub files: NodeFiles,
    /// The certificate of the same node before it, which stays valid until it expires.
    pub replaced: Option<IssuedRecord>,
    /// What its user should know.
    pub warnings: Vec<Warning>,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The node has a certificate.
    #[error("the node `{}` has a certificate already", current.name)]
    AlreadyIssued {
        /// Its newest certificate.
        current: Box<IssuedRecord>,
    },
    /// A certificate cannot be issued for a role that is the absence of one.
    #[error("`{0}` is not a role that a certificate can state")]
    Role(Role),
    /// The authority cannot sign at this time.
    #[error(transparent)]
    Validity(#[from] ValidityError),
    /// The files would be in the way of others.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key or the certificate could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The certificate could not be recorded.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl Authority {
    /// Issues a certificate for a node and writes its files.
    ///
    /// The order of the writes is chosen for a crash between any two of them:
    ///
    /// 1. All files, complete, under temporary names beside their targets. A crash here leaves
    ///    nothing that anybody uses, and the next run removes it.
    /// 2. The record. From here on the node counts as issued; a crash leaves a record without
    ///    files, and issuing again with [`Existing::Replace`] heals it. The other order could
    ///    leave a certificate in use that no record knows and nobody could revoke.
    /// 3. The renames: roots, key, certificate.
    ///
    /// # Errors
    ///
    /// [`IssueError::AlreadyIssued`] and [`IssueError::Output`] when something would be
    /// overwritten; whatever the error, no file of the node is half-written.
    pub fn issue(&mut self, request: &LeafRequest, now: SystemTime) -> Result<Issued, IssueError> {
        let decision = self.decide(request, now)?;
        let files = NodeFiles::new(&request.out, &request.name);
        output::make_directory(&request.out, &self.directory)?;
        output::check(&files, self.ca_pem(), request.existing)?;
        let minted = self.mint(request, &decision)?;
        let staged = StagedNode::write(&files, self.ca_pem(), &minted)?;
        let record = self.record(request, &decision, &minted);
        self.index.append(record.clone())?;
        staged.publish()?;
        Ok(Issued {
            record,
            role_reason: decision.role_reason,
            files,
            replaced: decision.replaced,
            warnings: decision.warnings,
        })
    }

    /// Everything that needs no file but the index, which was read under the lock.
    fn decide(&self, request: &LeafRequest, now: SystemTime) -> Result<Decision, IssueError> {
        let name = &request.name;
        let replaced = self.index.current(name).cloned();
        if let (Some(current), Existing::Refuse) = (&replaced, request.existing) {
            let current = Box::new(current.clone());
            return Err(IssueError::AlreadyIssued { current });
        }
        let (role, role_reason) = decide_role(request.role, name);
        if role == Role::Unspecified {
            return Err(IssueError::Role(role));
        }
        let (window, warnings) = policy::leaf_window(now, request.days, self.root.window)?;
        let domain = self.domain();
        Ok(Decision {
            role,
            role_reason,
            names: policy::leaf_names(name, domain, &request.hosts, request.localhost),
            uri: policy::identity_uri(domain, role, name),
            window,
            warnings,
            replaced,
            now,
        })
    }

    fn mint(&self, request: &LeafRequest, decision: &Decision) -> Result<Minted, MintError> {
        let plan = LeafPlan {
            name: &request.name,
            domain: self.domain(),
            names: &decision.names,
            uri: &decision.uri,
            key_type: self.key_type(),
            window: decision.window,
        };
        mint_leaf(&plan, &self.issuer)
    }

    fn record(&self, request: &LeafRequest, decision: &Decision, minted: &Minted) -> IssuedRecord {
        IssuedRecord {
            name: request.name.clone(),
            role: decision.role,
            uri: decision.uri.clone(),
            names: decision.names.clone(),
            serial: minted.serial.hex(),
            fingerprint: fingerprint(&minted.certificate),
            not_before: decision.window.not_before,
            not_after: decision.window.not_after,
            issued_at: decision.now,
            generation: self.generation(),
        }
    }
}

/// What a certificate will say and why, before any key is made.
struct Decision {
    role: Role,
    role_reason: RoleReason,
    names: Vec<Name>,
    uri: String,
    window: Window,
    warnings: Vec<Warning>,
    replaced: Option<IssuedRecord>,
    now: SystemTime,
}
