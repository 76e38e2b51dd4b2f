//! The newest records, within bounds of size and age.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::record::TaskRecord;

/// Records in the order in which they ended. The oldest make room for new ones.
#[derive(Debug, Default)]
pub(super) struct Ring {
    records: VecDeque<Arc<TaskRecord>>,
    bytes: usize,
}

impl Ring {
    pub(super) fn push(&mut self, record: Arc<TaskRecord>, now: SystemTime) {
        self.bytes += record.row_bytes();
        self.records.push_back(record);
        while let Some(oldest) = self.records.front() {
            if self.bytes <= RING_LIMIT_BYTES && !is_outdated(oldest, now) {
                return;
            }
            self.bytes -= oldest.row_bytes();
            self.records.pop_front();
        }
    }

    /// What is not yet too old; the rest goes with the next record.
    pub(super) fn newer_than_retention(&self, now: SystemTime) -> Vec<Arc<TaskRecord>> {
        let records = self.records.iter();
        let kept = records.filter(|record| !is_outdated(record, now));
        kept.map(Arc::clone).collect()
    }
}

fn is_outdated(record: &TaskRecord, now: SystemTime) -> bool {
    // A clock that was set back makes nothing older.
    let age = now.duration_since(record.end_time());
    age.is_ok_and(|age| age > RETENTION)
}

/// A working day, so that whoever comes to look still finds it.
const RETENTION: Duration = Duration::from_secs(8 * 60 * 60);

/// For queries, and the same again for their tasks. Both together fit into one answer to another
/// scheduler (see [`LIMIT_BYTES`](super::answer::LIMIT_BYTES)), so that no answer is ever cut. No
/// row is smaller than its fixed part, which makes this a bound on their number, too.
pub(super) const RING_LIMIT_BYTES: usize = 6 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::super::record::sample;
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn inputs(ring: &Ring, now: SystemTime) -> Vec<String> {
        let records = ring.newer_than_retention(now).into_iter();
        records.map(|record| record.input.clone()).collect()
    }

    #[test]
    fn the_oldest_records_make_room_for_new_ones() {
        let mut ring = Ring::default();
        let input = |number: usize| format!("{number:08}{}", "x".repeat(8000));
        for number in 0..1000 {
            ring.push(Arc::new(sample(&input(number))), NOW);
            assert!(ring.bytes <= RING_LIMIT_BYTES);
        }
        let kept = inputs(&ring, NOW);
        assert!(kept.len() > 700, "{}", kept.len());
        assert_eq!(kept.last(), Some(&input(999)));
        assert_eq!(kept.first(), Some(&input(1000 - kept.len())));
        let summed: usize = ring.records.iter().map(|record| record.row_bytes()).sum();
        assert_eq!(ring.bytes, summed);
    }

    #[test]
    fn a_record_is_kept_for_eight_hours_and_no_longer() {
        let mut ring = Ring::default();
        ring.push(Arc::new(sample("old")), NOW);
        let end = NOW + Duration::from_millis(1);
        assert_eq!(inputs(&ring, end + RETENTION), ["old"]);
        let later = end + RETENTION + Duration::from_millis(1);
        assert!(inputs(&ring, later).is_empty());
        ring.push(Arc::new(sample("as old")), later);
        assert!(ring.records.is_empty(), "its place is free again");
        assert_eq!(ring.bytes, 0);
    }
}
