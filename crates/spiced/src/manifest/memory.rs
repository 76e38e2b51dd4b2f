//! Which faults of the spicepod were told, and when to try again: pure.

use std::time::{Duration, Instant};

use spicepod::ManifestText;

/// Why the spicepod is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Time has passed.
    Routine,
    /// Somebody asked, and waits for an answer.
    Asked,
}

/// What was rejected last.
#[derive(Debug, Default)]
pub(super) struct Memory {
    rejected: Option<Rejected>,
}

#[derive(Debug)]
struct Rejected {
    /// Nothing where it could not even be read.
    text: Option<ManifestText>,
    fault: String,
    wait: Duration,
    retry: Instant,
}

impl Memory {
    /// Whether `text` is worth a try: it is another one than was rejected, or some time has passed
    /// in which what it lacked may have come.
    pub(super) fn is_due(&self, text: Option<&ManifestText>, now: Instant) -> bool {
        match &self.rejected {
            Some(rejected) => rejected.text.as_ref() != text || now >= rejected.retry,
            None => true,
        }
    }

    /// Notes a fault, and tells whether it is news.
    pub(super) fn reject(&mut self, text: Option<ManifestText>, fault: &str, now: Instant) -> bool {
        let (known, wait) = match &self.rejected {
            Some(before) if before.text == text => {
                let wait = (before.wait * 2).min(RETRY_CAP);
                (before.fault == fault, wait)
            }
            _ => (false, FIRST_RETRY),
        };
        self.rejected = Some(Rejected {
            text,
            fault: fault.to_owned(),
            wait,
            retry: now + wait,
        });
        !known
    }

    /// Notes that the spicepod is the one in use, and tells whether a fault has gone with that.
    pub(super) fn settle(&mut self) -> bool {
        self.rejected.take().is_some()
    }
}

/// A dataset that is being put in place is there soon.
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// One that is missing for longer is not waited for with every look: opening may read remote data.
const RETRY_CAP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str) -> ManifestText {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("spicepod.yaml"), words).unwrap();
        ManifestText::read(directory.path()).unwrap()
    }

    #[test]
    fn a_fault_is_told_once_and_another_one_again() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let pod = text("name: a");
        assert!(memory.reject(Some(pod.clone()), "no such file", now));
        assert!(!memory.reject(Some(pod.clone()), "no such file", now));
        assert!(memory.reject(Some(pod.clone()), "not readable", now));
        assert!(memory.reject(Some(text("name: b")), "not readable", now));
        assert!(memory.settle());
        assert!(!memory.settle());
        assert!(memory.reject(Some(pod), "no such file", now));
    }

    #[test]
    fn what_was_rejected_is_tried_again_ever_more_seldom_and_a_change_at_once() {
        let (mut memory, mut now) = (Memory::default(), Instant::now());
        let pod = text("name: a");
        assert!(memory.is_due(Some(&pod), now));
        let mut waits = vec![];
        for _ in 0..8 {
            memory.reject(Some(pod.clone()), "no such file", now);
            assert!(!memory.is_due(Some(&pod), now));
            assert!(memory.is_due(Some(&text("name: b")), now));
            let wait = memory.rejected.as_ref().unwrap().wait;
            now += wait;
            assert!(memory.is_due(Some(&pod), now));
            waits.push(wait.as_secs());
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
