//! Telling in time that something in use will end: pure.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::event::{ExpiryEvent, ExpiryStage};
use crate::load::CredentialFile;
use crate::revocation::Revocations;
use crate::snapshot::Snapshot;

/// What has been told of one snapshot.
#[derive(Debug, Default)]
pub(super) struct ExpiryWatch {
    told: HashMap<(CredentialFile, String), ExpiryStage>,
}

/// Something that ends.
struct Ending {
    file: CredentialFile,
    subject: String,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl ExpiryWatch {
    /// What has come nearer to its end than was told.
    pub(super) fn due(&mut self, snapshot: &Snapshot, now: SystemTime) -> Vec<ExpiryEvent> {
        endings(snapshot)
            .into_iter()
            .filter_map(|ending| self.news(ending, now))
            .collect()
    }

    fn news(&mut self, ending: Ending, now: SystemTime) -> Option<ExpiryEvent> {
        let stage = stage(ending.not_before, ending.not_after, now)?;
        let key = (ending.file, ending.subject.clone());
        if self.told.get(&key).is_some_and(|told| *told >= stage) {
            return None;
        }
        self.told.insert(key, stage);
        Some(ExpiryEvent {
            file: ending.file,
            subject: ending.subject,
            not_after: ending.not_after,
            stage,
        })
    }
}

fn endings(snapshot: &Snapshot) -> Vec<Ending> {
    let own = snapshot.own();
    let node = Ending {
        file: CredentialFile::Certificate,
        subject: own.label(),
        not_before: own.not_before(),
        not_after: own.not_after(),
    };
    let roots = snapshot.verifier().roots().iter().map(|root| Ending {
        file: CredentialFile::Ca,
        subject: root.summary.subject.clone(),
        not_before: root.not_before,
        not_after: root.summary.not_after,
    });
    let lists = snapshot.verifier().revocations().into_iter();
    let lists = lists.flat_map(Revocations::lists).map(|list| Ending {
        file: CredentialFile::Crl,
        subject: list.summary.issuer.clone(),
        not_before: list.not_before,
        not_after: list.summary.not_after,
    });
    std::iter::once(node).chain(roots).chain(lists).collect()
}

fn stage(not_before: SystemTime, not_after: SystemTime, now: SystemTime) -> Option<ExpiryStage> {
    let Ok(left) = not_after.duration_since(now) else {
        return Some(ExpiryStage::Expired);
    };
    let whole = not_after.duration_since(not_before).unwrap_or_default();
    if left < whole / LATE_SHARE {
        Some(ExpiryStage::Late)
    } else if left < whole / DUE_SHARE {
        Some(ExpiryStage::Due)
    } else {
        None
    }
}

/// Renewal at a third of the lifetime is what certificate managers do by default.
const DUE_SHARE: u32 = 3;
const LATE_SHARE: u32 = 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(hours: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(3600 * hours)
    }

    #[test]
    fn the_stages_come_at_a_third_a_tenth_and_the_end() {
        let stage = |hours| stage(at(0), at(100), at(hours));
        assert_eq!(stage(66), None);
        assert_eq!(stage(67), Some(ExpiryStage::Due));
        assert_eq!(stage(91), Some(ExpiryStage::Late));
        assert_eq!(stage(101), Some(ExpiryStage::Expired));
    }

    #[test]
    fn each_stage_is_told_once_also_when_the_clock_jumps() {
        let mut watch = ExpiryWatch::default();
        let mut told = |hours| {
            let ending = Ending {
                file: CredentialFile::Certificate,
                subject: "executor1".to_owned(),
                not_before: at(0),
                not_after: at(100),
            };
            watch.news(ending, at(hours)).map(|event| event.stage)
        };
        assert_eq!(told(10), None);
        assert_eq!(told(70), Some(ExpiryStage::Due));
        assert_eq!(told(71), None);
        assert_eq!(told(200), Some(ExpiryStage::Expired));
        assert_eq!(told(95), None);
    }
}
