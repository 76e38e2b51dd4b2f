//! The same certificate again: new key, new dates.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::plan::{Plan, Subject};
use super::{Authority, IssueError, Issued};
use crate::days::Days;
use crate::index::{IssuedRecord, KeyOrigin};
use crate::name::NodeName;
use crate::output::{Existing, NodeFiles};
use crate::policy;
use crate::role::RoleReason;

/// Whose certificate is to be renewed.
#[derive(Debug, Clone)]
pub struct RenewRequest {
    /// The node.
    pub name: NodeName,
    /// How long the new certificate is valid; as long as the old one was asked to be when nothing
    /// is asked for.
    pub days: Option<Days>,
    /// The directory that has the node's files.
    pub out: PathBuf,
    /// What to do when it has none: [`Existing::Require`] refuses, [`Existing::Replace`] writes
    /// them anew.
    pub existing: Existing,
}

/// Which nodes are due for a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// All of them.
    All,
    /// Those whose certificate ends within this time, or has ended.
    Within(Duration),
    /// Those whose certificate is of the root that a rotation takes out of use.
    OfRetiringRoot,
}

/// What became of many renewals.
#[derive(Debug)]
#[non_exhaustive]
pub struct Renewals {
    /// The certificates that were made, in the order in which they were asked for.
    pub renewed: Vec<Issued>,
    /// The nodes that could not be renewed, and why.
    pub refused: Vec<(NodeName, IssueError)>,
}

impl Authority {
    /// Renews the certificate of a node: same names and role, new key and dates.
    ///
    /// The old files are kept until the new ones are complete.
    ///
    /// # Errors
    ///
    /// [`IssueError::NeverIssued`], [`IssueError::Revoked`] and [`IssueError::OwnKey`] where there
    /// is nothing that can be renewed, [`IssueError::Output`] where the node's files are not in
    /// the directory.
    pub fn renew(&mut self, request: &RenewRequest, now: SystemTime) -> Result<Issued, IssueError> {
        let plan = self.decide_renewal(request, now)?;
        self.check_places(&plan, &self.roots_file()?)?;
        self.carry_out_one(plan, now)
    }

    /// Renews the certificates of many nodes, in one go.
    ///
    /// One that cannot be renewed keeps none of the others waiting. `progress` is told after each
    /// certificate how many are made, and may end it all: nothing has happened then.
    ///
    /// # Errors
    ///
    /// What went wrong while the certificates were made; no node is renewed then.
    pub fn renew_all(
        &mut self,
        requests: &[RenewRequest],
        now: SystemTime,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Renewals, IssueError> {
        let roots = self.roots_file()?;
        let mut plans = Vec::with_capacity(requests.len());
        let mut refused = Vec::new();
        for request in requests {
            let plan = self.decide_renewal(request, now);
            match plan.and_then(|plan| Ok(self.check_places(&plan, &roots).map(|()| plan)?)) {
                Ok(plan) => plans.push(plan),
                Err(error) => refused.push((request.name.clone(), error)),
            }
        }
        let renewed = match plans.is_empty() {
            true => Vec::new(),
            false => self.carry_out(plans, now, progress)?,
        };
        Ok(Renewals { renewed, refused })
    }

    /// The newest certificates of the nodes that are due, oldest first.
    ///
    /// Revoked ones are none of them.
    pub fn due(&self, which: Due, now: SystemTime) -> Vec<&IssuedRecord> {
        let retiring = self.retiring.as_ref().map(|root| root.generation);
        let is_due = |record: &IssuedRecord| match which {
            Due::All => true,
            Due::Within(time) => now
                .checked_add(time)
                .is_none_or(|end| record.not_after < end),
            Due::OfRetiringRoot => Some(record.generation) == retiring,
        };
        self.certificates(now)
            .into_iter()
            .filter(|certificate| certificate.is_newest && certificate.revoked.is_none())
            .map(|certificate| certificate.record)
            .filter(|record| is_due(record))
            .collect()
    }

    fn decide_renewal(&self, request: &RenewRequest, now: SystemTime) -> Result<Plan, IssueError> {
        let never = || IssueError::NeverIssued(request.name.clone());
        let current = self.index.current(&request.name).ok_or_else(never)?.clone();
        if self.revocations.of(&current.serial).is_some() {
            let current = Box::new(current);
            return Err(IssueError::Revoked { current });
        }
        if current.key == KeyOrigin::Request {
            let current = Box::new(current);
            return Err(IssueError::OwnKey { current });
        }
        let days = request.days.unwrap_or(current.days);
        let (window, warnings) = policy::leaf_window(now, days, self.signing.window)?;
        Ok(Plan {
            // As it was typed first: the files have that name.
            name: current.name.clone(),
            role: current.role,
            role_reason: RoleReason::Renewed,
            names: current.names.clone(),
            uri: current.uri.clone(),
            window,
            days,
            warnings,
            files: NodeFiles::new(&request.out, &current.name),
            existing: request.existing,
            replaced: Some(current),
            subject: Subject::NewKey,
        })
    }
}
