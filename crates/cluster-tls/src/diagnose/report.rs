//! What a diagnosis consists of.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Ended;
use crate::address::NodeAddress;
use crate::identity::PeerIdentity;
use crate::refusal::{Refusal, RefusalReason, RefusedBy};

/// What dialling a node showed; see [`diagnose`](super::diagnose).
#[derive(Clone, Debug)]
pub struct Diagnosis {
    to: NodeAddress,
    steps: Vec<Step>,
    peer: Option<Arc<PeerIdentity>>,
}

impl Diagnosis {
    /// Who was dialled.
    #[must_use]
    pub fn to(&self) -> &NodeAddress {
        &self.to
    }

    /// All steps, in order; those after a failed one are [skipped](StepOutcome::Skipped).
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Who the peer is, where it has proven that.
    #[must_use]
    pub fn peer(&self) -> Option<&PeerIdentity> {
        self.peer.as_deref()
    }

    /// The first step that failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Step> {
        self.steps
            .iter()
            .find(|step| step.outcome == StepOutcome::Failed)
    }

    /// Whether no step failed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.failure().is_none()
    }
}

/// One step of a diagnosis.
#[derive(Clone, Debug)]
pub struct Step {
    stage: Stage,
    outcome: StepOutcome,
    reason: Option<RefusalReason>,
    refused_by: Option<RefusedBy>,
    detail: String,
    remedy: Option<&'static str>,
    duration: Duration,
}

impl Step {
    /// Which step it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How it went.
    #[must_use]
    pub fn outcome(&self) -> StepOutcome {
        self.outcome
    }

    /// Why it failed, in one word; none for a fault in our own files.
    #[must_use]
    pub fn reason(&self) -> Option<RefusalReason> {
        self.reason
    }

    /// Which end refused the other, of a step that failed; none where neither did: a fault in our
    /// own files, or a way that leads nowhere.
    #[must_use]
    pub fn refused_by(&self) -> Option<RefusedBy> {
        self.refused_by
    }

    /// What was found.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What to do about a failure or a warning, as an imperative sentence.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        self.remedy
    }

    /// How long it took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// The steps of a diagnosis, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Our own roots, certificate and key.
    Credentials,
    /// From the host name to addresses.
    Resolve,
    /// The TCP connection.
    Connect,
    /// TLS version, key exchange and cipher.
    Handshake,
    /// The peer's chain leads to our roots, and its certificate is one for a node.
    Chain,
    /// The peer's certificate carries the dialled name.
    Name,
    /// The peer may act in the expected role.
    Role,
    /// How long the peer's certificate is valid.
    Expiry,
    /// The peer accepts our certificate.
    Admission,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 9] = [
        Self::Credentials,
        Self::Resolve,
        Self::Connect,
        Self::Handshake,
        Self::Chain,
        Self::Name,
        Self::Role,
        Self::Expiry,
        Self::Admission,
    ];

    /// The stage as one word, for output that programs read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::Chain => "chain",
            Self::Name => "name",
            Self::Role => "role",
            Self::Expiry => "expiry",
            Self::Admission => "admission",
        }
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepOutcome {
    /// As it should.
    Passed,
    /// As it should, but not for long.
    Warned,
    /// It ends here.
    Failed,
    /// It was not tried, because an earlier step failed.
    Skipped,
}

impl StepOutcome {
    /// The outcome as one word, for output that programs read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Display for StepOutcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A diagnosis in the making.
pub(super) struct Report {
    diagnosis: Diagnosis,
    entered: Instant,
}

impl Report {
    pub(super) fn new(to: NodeAddress) -> Self {
        Self {
            diagnosis: Diagnosis {
                to,
                steps: Vec::new(),
                peer: None,
            },
            entered: Instant::now(),
        }
    }

    pub(super) fn pass(&mut self, stage: Stage, detail: String) {
        self.enter(stage, StepOutcome::Passed, detail, None);
    }

    pub(super) fn fail(
        &mut self,
        stage: Stage,
        refusal: &Refusal,
        remedy: Option<&'static str>,
    ) -> Ended {
        let detail = refusal.detail().to_owned();
        self.enter(stage, StepOutcome::Failed, detail, remedy);
        if let Some(step) = self.diagnosis.steps.last_mut() {
            step.reason = Some(refusal.reason());
            step.refused_by = refusal.refused_by();
        }
        Ended
    }

    pub(super) fn enter(
        &mut self,
        stage: Stage,
        outcome: StepOutcome,
        detail: String,
        remedy: Option<&'static str>,
    ) {
        let now = Instant::now();
        self.diagnosis.steps.push(Step {
            stage,
            outcome,
            reason: None,
            refused_by: None,
            detail,
            remedy,
            duration: now - self.entered,
        });
        self.entered = now;
    }

    pub(super) fn know(&mut self, peer: PeerIdentity) {
        self.diagnosis.peer = Some(Arc::new(peer));
    }

    /// The diagnosis, with a step for each stage.
    pub(super) fn finish(mut self) -> Diagnosis {
        for stage in Stage::ALL {
            if !self.diagnosis.steps.iter().any(|step| step.stage == stage) {
                self.enter(stage, StepOutcome::Skipped, String::new(), None);
            }
        }
        self.diagnosis.steps.sort_by_key(|step| step.stage);
        self.diagnosis
    }
}
