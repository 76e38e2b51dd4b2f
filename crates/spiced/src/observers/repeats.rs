use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Says of a repeated event whether it is worth a line now.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seen: Mutex<HashMap<(IpAddr, &'static str), Seen>>,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    suppressed: u64,
}

impl Repeats {
    /// `Some` with the number of events since the last line about this source and reason, or
    /// `None` when the last line is less than a minute old.
    pub(super) fn record(&self, source: IpAddr, reason: &'static str) -> Option<u64> {
        self.record_at(source, reason, Instant::now())
    }

    fn record_at(&self, source: IpAddr, reason: &'static str, now: Instant) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = seen.get_mut(&(source, reason)) {
            if now.duration_since(entry.since) < WINDOW {
                entry.suppressed += 1;
                return None;
            }
            let repeated = entry.suppressed;
            entry.since = now;
            entry.suppressed = 0;
            return Some(repeated);
        }
        if seen.len() >= SOURCES {
            seen.retain(|_, entry| now.duration_since(entry.since) < WINDOW);
        }
        // A flood from ever new addresses must neither fill the log nor blind it to the others: what
        // finds no place of its own has one together.
        if seen.len() >= SOURCES && source != OTHERS {
            drop(seen);
            return self.record_at(OTHERS, reason, now);
        }
        seen.insert(
            (source, reason),
            Seen {
                since: now,
                suppressed: 0,
            },
        );
        Some(0)
    }
}

const WINDOW: Duration = Duration::from_secs(60);
const SOURCES: usize = 1024;

/// Stands for everybody without a place of its own.
const OTHERS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_then_one_a_minute_with_the_count_between() {
        let repeats = Repeats::default();
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        let start = Instant::now();
        assert_eq!(repeats.record_at(source, "plaintext", start), Some(0));
        assert_eq!(repeats.record_at(source, "plaintext", start), None);
        assert_eq!(repeats.record_at(source, "expired", start), Some(0));
        assert_eq!(
            repeats.record_at(source, "plaintext", start + WINDOW),
            Some(1)
        );
    }

    #[test]
    fn a_flood_of_sources_stays_bounded() {
        let repeats = Repeats::default();
        let start = Instant::now();
        for number in 0..5000_u32 {
            let _ = repeats.record_at(IpAddr::from(number.to_be_bytes()), "plaintext", start);
        }
        assert!(repeats.seen.lock().unwrap().len() <= SOURCES + 1);
        // Who comes then is told of by the minute, with all others.
        let late = start + WINDOW / 2;
        assert_eq!(
            repeats.record_at("192.0.2.7".parse().unwrap(), "revoked", late),
            Some(0)
        );
    }
}
