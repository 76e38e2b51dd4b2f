//! A certificate for a key that its node made.

use std::time::SystemTime;

use super::plan::Subject;
use super::{Authority, IssueError, Issued, LeafRequest};
use crate::request::SigningRequest;

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
    /// Those of [`issue`](Authority::issue), and [`IssueError::NoNames`] where names were confirmed
    /// that a certificate can have none of.
    pub fn sign(
        &mut self,
        request: SigningRequest,
        names: RequestedNames,
        leaf: &LeafRequest,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        let mut plan = self.decide(leaf, now)?;
        if names == RequestedNames::Confirmed {
            plan.names = request
                .names()
                .iter()
                .map(|host| host.name().clone())
                .collect();
            if plan.names.is_empty() {
                return Err(IssueError::NoNames);
            }
        }
        plan.subject = Subject::Request(Box::new(request));
        self.check_places(&plan, &self.roots_file()?)?;
        self.carry_out_one(plan, now)
    }
}
