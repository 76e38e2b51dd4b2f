//! What was seen before, so that only news is told: pure.

use std::sync::Arc;

use crate::event::{Events, ReloadEvent};
use crate::load::{CredentialFile, LoadError};
use crate::snapshot::Snapshot;

type Digest = [u8; 32];

/// Why the source is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Time has passed, or the source told of a change.
    Routine,
    /// Somebody asked, and waits for an answer.
    Asked,
}

/// What came of one look.
#[derive(Debug)]
pub(super) enum Outcome {
    Swapped(Arc<Snapshot>),
    Unchanged,
    Rejected(LoadError),
    /// Nothing that has not been told before.
    Silent,
}

impl Outcome {
    pub(super) fn tell(&self, events: &dyn Events) {
        match self {
            Self::Swapped(snapshot) => events.reloaded(&ReloadEvent::Swapped { snapshot }),
            Self::Unchanged => events.reloaded(&ReloadEvent::Unchanged),
            Self::Rejected(error) => events.reloaded(&ReloadEvent::Rejected { error }),
            Self::Silent => {}
        }
    }
}

/// What is in use, and what was last told to be unusable.
#[derive(Debug)]
pub(super) struct Memory {
    in_use: Digest,
    told: Option<Fault>,
}

/// A fault as far as it differs from others: its text holds the time, which always differs.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    digest: Option<Digest>,
    file: CredentialFile,
    code: &'static str,
}

impl Memory {
    pub(super) fn new(in_use: Digest) -> Self {
        Self { in_use, told: None }
    }

    pub(super) fn is_in_use(&self, digest: Digest) -> bool {
        self.in_use == digest
    }

    /// The source says what is in use: news only if somebody asked, or if a fault has gone.
    pub(super) fn found_unchanged(&mut self, occasion: Occasion) -> Outcome {
        match (self.told.take(), occasion) {
            (None, Occasion::Routine) => Outcome::Silent,
            _ => Outcome::Unchanged,
        }
    }

    pub(super) fn swapped(&mut self, digest: Digest) {
        self.in_use = digest;
        self.told = None;
    }

    /// Material that cannot be used is looked at again each time, for the clock may have been what
    /// was wrong; the same fault is told once.
    pub(super) fn rejected(
        &mut self,
        digest: Option<Digest>,
        error: LoadError,
        occasion: Occasion,
    ) -> Outcome {
        let fault = Fault {
            digest,
            file: error.file(),
            code: error.fault().code(),
        };
        if occasion == Occasion::Routine && self.told.as_ref() == Some(&fault) {
            return Outcome::Silent;
        }
        self.told = Some(fault);
        Outcome::Rejected(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::LoadFault;

    const IN_USE: Digest = [1; 32];
    const BAD: Digest = [2; 32];

    fn missing() -> LoadError {
        LoadError::new(CredentialFile::Key, LoadFault::Missing)
    }

    fn reject(memory: &mut Memory, occasion: Occasion) -> bool {
        let outcome = memory.rejected(Some(BAD), missing(), occasion);
        matches!(outcome, Outcome::Rejected(_))
    }

    #[test]
    fn a_fault_is_told_once_and_again_when_somebody_asks() {
        let mut memory = Memory::new(IN_USE);
        assert!(reject(&mut memory, Occasion::Routine));
        assert!(!reject(&mut memory, Occasion::Routine));
        assert!(reject(&mut memory, Occasion::Asked));
    }

    #[test]
    fn another_fault_of_the_same_file_is_told() {
        let mut memory = Memory::new(IN_USE);
        assert!(reject(&mut memory, Occasion::Routine));
        let empty = LoadError::new(CredentialFile::Key, LoadFault::Empty);
        let outcome = memory.rejected(Some(BAD), empty, Occasion::Routine);
        assert!(matches!(outcome, Outcome::Rejected(_)));
    }

    #[test]
    fn the_end_of_a_fault_is_news_and_an_identical_rewrite_is_none() {
        let mut memory = Memory::new(IN_USE);
        let routine = Occasion::Routine;
        assert!(matches!(memory.found_unchanged(routine), Outcome::Silent));
        assert!(reject(&mut memory, routine));
        assert!(matches!(
            memory.found_unchanged(routine),
            Outcome::Unchanged
        ));
        assert!(matches!(memory.found_unchanged(routine), Outcome::Silent));
        let asked = memory.found_unchanged(Occasion::Asked);
        assert!(matches!(asked, Outcome::Unchanged));
    }

    #[test]
    fn after_a_swap_the_same_fault_is_news_again() {
        let mut memory = Memory::new(IN_USE);
        assert!(reject(&mut memory, Occasion::Routine));
        memory.swapped([3; 32]);
        assert!(memory.is_in_use([3; 32]) && !memory.is_in_use(IN_USE));
        assert!(reject(&mut memory, Occasion::Routine));
    }
}
