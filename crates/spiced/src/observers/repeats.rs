use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Says of a repeated event whether it is worth a line now: by its source, who chooses how often
/// it happens, and by its kind, of which there are few.
#[derive(Debug)]
pub(super) struct Repeats<S, K> {
    /// How many in a minute are worth one.
    lines: u32,
    seen: Mutex<HashMap<(Source<S>, K), Seen>>,
}

/// Whose events are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Source<S> {
    One(S),
    /// Everybody without a place of its own.
    Others,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    told: u32,
    suppressed: u64,
}

impl<S, K> Default for Repeats<S, K> {
    /// One line a minute.
    fn default() -> Self {
        Self::new(1)
    }
}

impl<S, K> Repeats<S, K> {
    /// The first `lines` events of each minute are worth one.
    pub(super) fn new(lines: u32) -> Self {
        Self {
            lines,
            seen: Mutex::default(),
        }
    }
}

impl<S: Eq + Hash, K: Copy + Eq + Hash> Repeats<S, K> {
    /// `Some` with the number of events since the last line about this source and kind, or `None`
    /// when there were enough within this minute.
    pub(super) fn record(&self, source: S, kind: K) -> Option<u64> {
        self.record_at(Source::One(source), kind, Instant::now())
    }

    fn record_at(&self, source: Source<S>, kind: K, now: Instant) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source, kind);
        if let Some(entry) = seen.get_mut(&key) {
            if now.duration_since(entry.since) >= WINDOW {
                return Some(std::mem::replace(entry, Seen::first(now)).suppressed);
            }
            if entry.told < self.lines {
                entry.told += 1;
                return Some(0);
            }
            entry.suppressed += 1;
            return None;
        }
        if seen.len() >= SOURCES {
            seen.retain(|_, entry| now.duration_since(entry.since) < WINDOW);
        }
        // A flood from ever new sources must neither fill the log nor blind it to the others: what
        // finds no place of its own has one together.
        if seen.len() >= SOURCES && key.0 != Source::Others {
            drop(seen);
            return self.record_at(Source::Others, kind, now);
        }
        seen.insert(key, Seen::first(now));
        Some(0)
    }
}

impl Seen {
    fn first(now: Instant) -> Seen {
        Seen {
            since: now,
            told: 1,
            suppressed: 0,
        }
    }
}

const WINDOW: Duration = Duration::from_secs(60);
const SOURCES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    type Addresses = Repeats<u32, &'static str>;

    const ONE: Source<u32> = Source::One(1);

    #[test]
    fn the_first_and_then_one_a_minute_with_the_count_between() {
        let repeats = Addresses::default();
        let start = Instant::now();
        assert_eq!(repeats.record_at(ONE, "plaintext", start), Some(0));
        assert_eq!(repeats.record_at(ONE, "plaintext", start), None);
        assert_eq!(repeats.record_at(ONE, "expired", start), Some(0));
        let two = Source::One(2);
        assert_eq!(repeats.record_at(two, "plaintext", start), Some(0));
        assert_eq!(repeats.record_at(ONE, "plaintext", start + WINDOW), Some(1));
    }

    #[test]
    fn as_many_a_minute_as_are_asked_for() {
        let repeats = Addresses::new(3);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(repeats.record_at(ONE, "denied", start), Some(0));
        }
        for _ in 0..2 {
            assert_eq!(repeats.record_at(ONE, "denied", start), None);
        }
        let two = Source::One(2);
        assert_eq!(repeats.record_at(two, "denied", start), Some(0));
        let later = start + WINDOW;
        assert_eq!(repeats.record_at(ONE, "denied", later), Some(2));
        assert_eq!(repeats.record_at(ONE, "denied", later), Some(0));
    }

    #[test]
    fn a_flood_of_sources_stays_bounded() {
        let repeats = Addresses::default();
        let start = Instant::now();
        for number in 0..5000 {
            let _ = repeats.record_at(Source::One(number), "plaintext", start);
        }
        assert!(repeats.seen.lock().unwrap().len() <= SOURCES + 1);
        // Who comes then is told of by the minute, with all others.
        let late = start + WINDOW / 2;
        let latecomer = Source::One(7000);
        assert_eq!(repeats.record_at(latecomer, "revoked", late), Some(0));
    }
}
