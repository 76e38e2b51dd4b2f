//! Which certificate a node is to have, and what comes of asking for it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::SystemTime;

use cluster_tls::{Name, Role};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::plan::{Plan, Subject};
use super::recover::is_key_of;
use crate::authority::{Authority, OpenError};
use crate::days::Days;
use crate::files::{self, FileError};
use crate::index::IssuedRecord;
use crate::keys::KeyError;
use crate::lines::RecordError;
use crate::mint::{MintError, fingerprint};
use crate::name::{Host, NodeName};
use crate::output::{Existing, NodeFiles, OutputError};
use crate::policy::{self, Localhost, ValidityError, Warning};
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
    /// The certificate of the same node before it, which is believed until it expires. One that
    /// was revoked is none.
    pub replaced: Option<IssuedRecord>,
    /// What its user should know.
    pub warnings: Vec<Warning>,
}

/// Who a certificate would make its node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// What it could act as.
    pub role: Role,
    /// Why that.
    pub role_reason: RoleReason,
    /// The identity URI.
    pub uri: String,
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
    Records(#[from] RecordError),
    /// The authority's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The authority's roots cannot be read.
    #[error(transparent)]
    Roots(#[from] OpenError),
    /// Another node has the same DNS names: revoking one would leave the other.
    #[error("`{name}` and `{other}` are the short and the full name of one node")]
    Namesake {
        /// The node that was asked for.
        name: NodeName,
        /// The node that has a certificate.
        other: NodeName,
    },
    /// The request asks for what another node is reached by.
    #[error("the request asks for `{name}`, which is a name of the node `{other}`")]
    NameTaken {
        /// The DNS name or address.
        name: Name,
        /// The node that has it.
        other: NodeName,
    },
    /// The key is another node's, or was revoked as compromised.
    #[error("the key of the request is that of the certificate {serial} of `{name}`")]
    KeyUsed {
        /// The node that has or had it.
        name: NodeName,
        /// The serial number of its certificate.
        serial: String,
    },
    /// A node was asked for two times.
    #[error("the node `{0}` is named twice")]
    Twice(NodeName),
    /// A node without a certificate cannot be renewed.
    #[error("the node `{0}` has no certificate to renew")]
    NeverIssued(NodeName),
    /// A certificate that was revoked is not renewed: whoever had its key would be let in again.
    #[error("the certificate of `{}` was revoked", current.name)]
    Revoked {
        /// Its newest certificate.
        current: Box<IssuedRecord>,
    },
    /// The key is the node's own, and only the node can make a request with another one.
    #[error("the key of `{}` is its own: its certificate came from a signing request", current.name)]
    OwnKey {
        /// Its newest certificate.
        current: Box<IssuedRecord>,
    },
    /// A certificate without a name is nobody's.
    #[error("the request asks for no name that can be certified")]
    NoNames,
    /// It was stopped before anything was recorded.
    #[error("stopped; nothing was issued")]
    Interrupted,
}

/// Why none of many certificates was issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Requests that cannot be granted, each with its place among them.
    #[error("{} of the requests cannot be granted", .0.len())]
    Requests(Vec<(usize, IssueError)>),
    /// It went wrong while they were made.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl Authority {
    /// Issues a certificate for a node and writes its files.
    ///
    /// # Errors
    ///
    /// [`IssueError::AlreadyIssued`] and [`IssueError::Output`] when something would be
    /// overwritten; whatever the error, no file of the node is half-written.
    pub fn issue(&mut self, request: &LeafRequest, now: SystemTime) -> Result<Issued, IssueError> {
        let plan = self.decide(request, now)?;
        self.check_places(&plan, &self.roots_file()?)?;
        self.carry_out_one(plan, now)
    }

    /// Whether a certificate may be issued, as far as it can be known before anything is made.
    ///
    /// # Errors
    ///
    /// Those of [`issue`](Authority::issue) that no file is needed for.
    pub fn check(&self, request: &LeafRequest, now: SystemTime) -> Result<Identity, IssueError> {
        let plan = self.decide(request, now)?;
        Ok(Identity {
            role: plan.role,
            role_reason: plan.role_reason,
            uri: plan.uri,
        })
    }

    /// Issues certificates for many nodes: all of them, or none.
    ///
    /// `progress` is told after each how many are made, and may end it all: nothing has happened
    /// then.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the requests at once, with the place of each in `requests`;
    /// or what went wrong while the certificates were made.
    pub fn issue_all(
        &mut self,
        requests: &[LeafRequest],
        now: SystemTime,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Issued>, BatchError> {
        let roots = self.roots_file().map_err(IssueError::from)?;
        let mut seen = HashMap::new();
        let mut faults = Vec::new();
        let mut plans = Vec::with_capacity(requests.len());
        for (at, request) in requests.iter().enumerate() {
            let name = &request.name;
            let plan = if let Some(other) = seen.get(&self.other_name(name)) {
                Err(namesakes(name, other))
            } else if seen.insert(name.canonical(), name.clone()).is_some() {
                Err(IssueError::Twice(name.clone()))
            } else {
                self.decide(request, now)
            };
            match plan.and_then(|plan| Ok(self.check_places(&plan, &roots).map(|()| plan)?)) {
                Ok(plan) => plans.push(plan),
                Err(error) => faults.push((at, error)),
            }
        }
        if !faults.is_empty() {
            return Err(BatchError::Requests(faults));
        }
        Ok(self.carry_out(plans, now, progress)?)
    }

    /// The node that is called like this one, in short or in full.
    fn namesake(&self, name: &NodeName, now: SystemTime) -> Option<&NodeName> {
        let found = self.index.newest_of(&self.other_name(name))?;
        let is_revoked = self.revocations.of(&found.serial).is_some();
        (!is_revoked && found.not_after >= now).then_some(&found.name)
    }

    /// The full name of one that is short, and the short one of one that is full.
    fn other_name(&self, name: &NodeName) -> String {
        let suffix = format!(".{}", self.domain());
        let canonical = name.canonical();
        match canonical.strip_suffix(&suffix) {
            Some(short) => short.to_owned(),
            None => canonical + &suffix,
        }
    }

    pub(super) fn carry_out_one(
        &mut self,
        plan: Plan,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        let issued = self.carry_out(vec![plan], now, &mut |_| ControlFlow::Continue(()))?;
        issued.into_iter().next().ok_or(IssueError::Interrupted)
    }

    /// What is to be made, by the records, which were read under the lock.
    pub(super) fn decide(
        &self,
        request: &LeafRequest,
        now: SystemTime,
    ) -> Result<Plan, IssueError> {
        let name = &request.name;
        let current = self.index.current(name);
        let replaced = current.filter(|current| self.revocations.of(&current.serial).is_none());
        let replaced = replaced.cloned();
        if let Some(other) = self.namesake(name, now) {
            return Err(namesakes(name, other));
        }
        if let (Some(current), Existing::Refuse) = (&replaced, request.existing) {
            let current = Box::new(current.clone());
            return Err(IssueError::AlreadyIssued { current });
        }
        let (role, role_reason) = decide_role(request.role, name);
        if role == Role::Unspecified {
            return Err(IssueError::Role(role));
        }
        let (window, warnings) = policy::leaf_window(now, request.days, self.signing.window)?;
        let domain = self.domain();
        Ok(Plan {
            name: name.clone(),
            role,
            role_reason,
            names: policy::leaf_names(name, domain, &request.hosts, request.localhost),
            uri: policy::identity_uri(domain, role, name),
            window,
            days: request.days,
            warnings,
            replaced,
            existing: self.existing(request)?,
            files: NodeFiles::new(&request.out, name),
            subject: Subject::NewKey,
        })
    }

    /// What may be done with files that are in the way. Those of a certificate that was revoked
    /// are of no use to anybody, and need no permission.
    fn existing(&self, request: &LeafRequest) -> Result<Existing, FileError> {
        let files = NodeFiles::new(&request.out, &request.name);
        let in_place = match request.existing {
            Existing::Refuse => files::read_optional(&files.certificate)?,
            asked => return Ok(asked),
        };
        let in_place =
            in_place.and_then(|text| CertificateDer::from_pem_slice(text.as_bytes()).ok());
        let is_useless = match in_place {
            // A key of something else beside it may be of use to somebody.
            Some(certificate) if self.has_revoked(&certificate) => {
                !files::exists(&files.key)? || is_key_of(&files.key, &certificate)?
            }
            _ => false,
        };
        Ok(if is_useless {
            Existing::Replace
        } else {
            Existing::Refuse
        })
    }

    fn has_revoked(&self, certificate: &CertificateDer<'_>) -> bool {
        let fingerprint = fingerprint(certificate);
        let issued = self.issued().iter();
        let mut same = issued.filter(|record| record.fingerprint == fingerprint);
        same.any(|record| self.revocations.of(&record.serial).is_some())
    }
}

fn namesakes(name: &NodeName, other: &NodeName) -> IssueError {
    IssueError::Namesake {
        name: name.clone(),
        other: other.clone(),
    }
}
