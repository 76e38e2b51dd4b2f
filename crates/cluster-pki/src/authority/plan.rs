//! Certificates that were decided upon, and the writes that make them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{self, Path};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use cluster_tls::{Name, Role};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{Authority, IssueError, Issued};
use crate::days::Days;
use crate::files::{self, FileError, StagedFile};
use crate::index::{IssuedRecord, KeyOrigin};
use crate::mint::{LeafPlan, Serial, fingerprint, hex, mint_leaf, sign_leaf};
use crate::name::NodeName;
use crate::output::{self, Existing, NodeFiles, OutputError, StagedNode};
use crate::policy::{Warning, Window};
use crate::request::SigningRequest;
use crate::role::RoleReason;
use crate::roots_file::Roots;

/// Told after each certificate how many are made, and asked whether to go on.
pub(super) type Progress<'a> = &'a mut dyn FnMut(usize) -> ControlFlow<()>;

/// What a certificate will say and why, before any key is made.
pub(super) struct Plan {
    pub(super) name: NodeName,
    pub(super) role: Role,
    pub(super) role_reason: RoleReason,
    pub(super) names: Vec<Name>,
    pub(super) uri: String,
    pub(super) window: Window,
    pub(super) days: Days,
    pub(super) warnings: Vec<Warning>,
    pub(super) replaced: Option<IssuedRecord>,
    pub(super) files: NodeFiles,
    pub(super) existing: Existing,
    pub(super) subject: Subject,
}

/// Whose key is certified.
pub(super) enum Subject {
    /// One that is made now.
    NewKey,
    /// The one of a request, which stays where it is.
    Request(Box<SigningRequest>),
}

impl Subject {
    fn origin(&self) -> KeyOrigin {
        match self {
            Self::NewKey => KeyOrigin::Authority,
            Self::Request(_) => KeyOrigin::Request,
        }
    }
}

/// A certificate that was signed, and the files that will be it.
struct Made {
    certificate: CertificateDer<'static>,
    serial: Serial,
    staged: StagedNode,
}

impl Authority {
    /// Makes certificates together: all of them, or none.
    ///
    /// The order of the writes is chosen for a crash between any two of them:
    ///
    /// 1. All files, complete, under temporary names beside their targets. A crash here leaves
    ///    nothing that anybody uses, and the next run removes it.
    /// 2. The records, in one write. From here on the nodes count as issued. The other order could
    ///    leave a certificate in use that no record knows and nobody could revoke.
    /// 3. The renames: roots, then key and certificate of each node. What a crash leaves of them
    ///    to do, [`recover`](Authority::recover) does when the authority is opened next.
    pub(super) fn carry_out(
        &mut self,
        plans: Vec<Plan>,
        now: SystemTime,
        progress: Progress<'_>,
    ) -> Result<Vec<Issued>, IssueError> {
        self.open_issuer()?;
        let (roots, others) = self.stage_roots(&plans)?;
        let mut nodes = Vec::with_capacity(plans.len());
        let mut issued = Vec::with_capacity(plans.len());
        for plan in plans {
            let made = self.make(&plan)?;
            issued.push(self.issued_by(plan, &made, now));
            nodes.push(made.staged);
            if progress(issued.len()).is_break() {
                return Err(IssueError::Interrupted);
            }
        }
        let staged: Vec<_> = nodes.iter().flat_map(StagedNode::files).collect();
        files::sync_contents(&staged)?;
        if let Some(first) = issued.first_mut()
            && others > 0
        {
            first.warnings.push(Warning::OtherRoots { count: others });
        }
        let records = issued.iter().map(|issued| issued.record.clone());
        self.index.append(records.collect())?;
        publish(roots, nodes)?;
        let certificates = issued
            .iter()
            .map(|issued| issued.files.certificate.as_path());
        for directory in directories(certificates) {
            files::sync_directory(directory)?;
        }
        Ok(issued)
    }

    /// Checks the places that the files go to; nothing is signed before.
    pub(super) fn check_places(&self, plan: &Plan, roots: &Roots) -> Result<(), OutputError> {
        output::make_directory(files::parent(&plan.files.certificate), &self.directory)?;
        roots.check(&plan.files.ca)?;
        match plan.subject {
            Subject::NewKey => output::check(&plan.files, plan.existing),
            // The key beside it may well be the one of the request.
            Subject::Request(_) => output::check_target(&plan.files.certificate, plan.existing),
        }
    }

    /// The roots for each directory, and how many of others stay beside them.
    fn stage_roots(&self, plans: &[Plan]) -> Result<(Vec<StagedFile>, usize), IssueError> {
        let roots = self.roots_file()?;
        let paths: BTreeSet<&Path> = plans.iter().map(|plan| plan.files.ca.as_path()).collect();
        let (mut staged, mut others) = (Vec::new(), 0);
        for path in paths {
            staged.extend(roots.stage(path)?);
            others += roots.others(path)?;
        }
        Ok((staged, others))
    }

    fn make(&self, plan: &Plan) -> Result<Made, IssueError> {
        let leaf = LeafPlan {
            name: &plan.name,
            domain: self.domain(),
            names: &plan.names,
            uri: &plan.uri,
            key_type: self.key_type(),
            window: plan.window,
        };
        let issuer = self.keys.of(&self.signing)?;
        Ok(match &plan.subject {
            Subject::NewKey => {
                let minted = mint_leaf(&leaf, issuer)?;
                Made {
                    staged: StagedNode::prepare(&plan.files, &minted)?,
                    certificate: minted.certificate,
                    serial: minted.serial,
                }
            }
            Subject::Request(request) => {
                let signed = sign_leaf(&leaf, request.public_key(), issuer)?;
                let path = &plan.files.certificate;
                Made {
                    staged: StagedNode::certificate(path, &signed.certificate_pem)?,
                    certificate: signed.certificate,
                    serial: signed.serial,
                }
            }
        })
    }

    fn issued_by(&self, plan: Plan, made: &Made, now: SystemTime) -> Issued {
        let record = IssuedRecord {
            name: plan.name,
            role: plan.role,
            uri: plan.uri,
            names: plan.names,
            serial: made.serial.hex(),
            fingerprint: fingerprint(&made.certificate),
            not_before: plan.window.not_before,
            not_after: plan.window.not_after,
            issued_at: now,
            generation: self.generation(),
            days: plan.days,
            key: plan.subject.origin(),
            public_key: public_key_sha256(&made.certificate),
            directory: absolute(files::parent(&plan.files.certificate)),
        };
        Issued {
            record,
            role_reason: plan.role_reason,
            files: plan.files,
            replaced: plan.replaced,
            warnings: plan.warnings,
        }
    }
}

/// Gives every file its name. One that cannot have it keeps no other waiting: all are recorded.
fn publish(roots: Vec<StagedFile>, nodes: Vec<StagedNode>) -> Result<(), FileError> {
    let roots = roots.into_iter().map(StagedFile::rename);
    let nodes = nodes.into_iter().map(StagedNode::rename);
    let renamed: Vec<_> = roots.chain(nodes).collect();
    renamed.into_iter().collect()
}

/// What a key is known by, whoever made it.
fn public_key_sha256(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(hex(digest(&SHA256, parsed.public_key().raw).as_ref()))
}

fn absolute(directory: &Path) -> Option<String> {
    path::absolute(directory).ok()?.to_str().map(str::to_owned)
}

fn directories<'a>(paths: impl Iterator<Item = &'a Path>) -> BTreeSet<&'a Path> {
    paths.map(files::parent).collect()
}
