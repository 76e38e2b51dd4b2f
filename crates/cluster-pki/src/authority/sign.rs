//! A certificate for a key that its node made.

use std::time::SystemTime;

use cluster_tls::Name;

use super::plan::Subject;
use super::{Authority, IssueError, Issued, LeafRequest};
use crate::index::IssuedRecord;
use crate::name::NodeName;
use crate::request::SigningRequest;
use crate::revocations::RevocationReason;

/// Where the names of a certificate come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestedNames {
    /// From the authority, by the same rules as without a request.
    Ignored,
    /// From the request: exactly those, which somebody has looked at.
    Confirmed,
}

impl Authority {
    /// Issues a certificate for the key of a request, and writes it beside the roots.
    ///
    /// Role and validity are those of `leaf`; the names are too, unless those of the request were
    /// confirmed. Nothing else of the request is taken over. The key file that `leaf` would name
    /// is neither written nor looked at.
    ///
    /// # Errors
    ///
    /// Those of [`issue`](Authority::issue); [`IssueError::NoNames`] where names were confirmed that
    /// a certificate can have none of, [`IssueError::NameTaken`] where another node has one of
    /// them, [`IssueError::KeyUsed`] where another node has the key, or somebody else may.
    pub fn sign(
        &mut self,
        request: SigningRequest,
        names: RequestedNames,
        leaf: &LeafRequest,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        let mut plan = self.decide(leaf, now)?;
        self.check_key(&request, &leaf.name)?;
        if names == RequestedNames::Confirmed {
            plan.names = request
                .names()
                .iter()
                .map(|host| host.name().clone())
                .collect();
            if plan.names.is_empty() {
                return Err(IssueError::NoNames);
            }
            self.check_names(&plan.names, &leaf.name, now)?;
        }
        plan.subject = Subject::Request(Box::new(request));
        self.check_places(&plan, &self.roots_file()?)?;
        self.carry_out_one(plan, now)
    }

    /// A key belongs to one node, and a key that was given away belongs to nobody.
    fn check_key(&self, request: &SigningRequest, name: &NodeName) -> Result<(), IssueError> {
        let key = request.key().sha256.as_str();
        let same_key = |record: &&IssuedRecord| record.public_key.as_deref() == Some(key);
        for record in self.issued().iter().filter(same_key) {
            let revoked = self.revocations.of(&record.serial);
            let is_compromised =
                revoked.is_some_and(|it| it.reason == RevocationReason::KeyCompromise);
            if is_compromised || record.name.canonical() != name.canonical() {
                return Err(IssueError::KeyUsed {
                    name: record.name.clone(),
                    serial: record.serial.clone(),
                });
            }
        }
        Ok(())
    }

    /// A request must not get what others are reached by.
    fn check_names(
        &self,
        names: &[Name],
        own: &NodeName,
        now: SystemTime,
    ) -> Result<(), IssueError> {
        let canonical = own.canonical();
        for certificate in self.certificates(now) {
            let record = certificate.record;
            if !certificate.standing.is_in_use() || record.name.canonical() == canonical {
                continue;
            }
            let shared = |name: &&Name| record.names.contains(*name) && !is_of_every_machine(name);
            if let Some(name) = names.iter().find(shared) {
                return Err(IssueError::NameTaken {
                    name: name.clone(),
                    other: record.name.clone(),
                });
            }
        }
        Ok(())
    }
}

fn is_of_every_machine(name: &Name) -> bool {
    match name {
        Name::Dns(name) => name == "localhost",
        Name::Ip(address) => address.is_loopback(),
    }
}
