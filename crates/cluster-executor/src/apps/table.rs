//! Which definitions are open, who names them, and which may go: pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cluster_tls::NodeAddress;

/// Opened definitions by their digest. `R` is what was opened.
#[derive(Debug)]
pub(super) struct Table<R> {
    open: Vec<Open<R>>,
    /// The definition that each scheduler gave last.
    named: HashMap<NodeAddress, String>,
}

#[derive(Debug)]
struct Open<R> {
    digest: String,
    runtime: R,
    last_used: Instant,
}

impl<R: Clone> Table<R> {
    pub(super) fn new() -> Self {
        Self {
            open: vec![],
            named: HashMap::new(),
        }
    }

    /// What is open under `digest`; a task that asks keeps it open for longer.
    pub(super) fn used(&mut self, digest: &str, now: Instant) -> Option<R> {
        let open = self.open.iter_mut().find(|open| open.digest == digest)?;
        open.last_used = now;
        Some(open.runtime.clone())
    }

    /// Notes that `scheduler` uses `digest` from now on, if that is open.
    pub(super) fn name(&mut self, scheduler: &NodeAddress, digest: &str, now: Instant) -> bool {
        let open = self.used(digest, now).is_some();
        if open {
            self.named.insert(scheduler.clone(), digest.to_owned());
        }
        open
    }

    pub(super) fn insert(&mut self, digest: &str, runtime: R, now: Instant) {
        self.open.retain(|open| open.digest != digest);
        self.open.push(Open {
            digest: digest.to_owned(),
            runtime,
            last_used: now,
        });
    }

    /// A scheduler that is no longer worked for names nothing.
    pub(super) fn unname(&mut self, scheduler: &NodeAddress) {
        self.named.remove(scheduler);
    }

    /// The open definitions, that of `scheduler` first.
    pub(super) fn digests_for(&self, scheduler: &NodeAddress) -> Vec<String> {
        let own = self.named.get(scheduler);
        let mut digests: Vec<_> = self.open.iter().map(|open| open.digest.clone()).collect();
        digests.sort_by_key(|digest| Some(digest) != own);
        digests
    }

    /// Closes what no scheduler names and no task has asked for in a while, and gives its digests.
    pub(super) fn retire(&mut self, now: Instant) -> Vec<String> {
        let named = &self.named;
        let is_named = |open: &Open<R>| named.values().any(|digest| *digest == open.digest);
        let mut unnamed: Vec<_> = self.open.iter().filter(|open| !is_named(open)).collect();
        unnamed.sort_by_key(|open| std::cmp::Reverse(open.last_used));
        let retired = unnamed.into_iter().enumerate().filter(|(rank, open)| {
            *rank >= UNNAMED_LIMIT || now.duration_since(open.last_used) >= UNNAMED_GRACE
        });
        let retired: Vec<_> = retired.map(|(_, open)| open.digest.clone()).collect();
        self.open.retain(|open| !retired.contains(&open.digest));
        retired
    }
}

/// Definitions that are kept for the queries that began with them.
const UNNAMED_LIMIT: usize = 4;

/// How long one is kept after the last task that asked for it. A query that runs asks again with
/// every stage.
const UNNAMED_GRACE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(port: u16) -> NodeAddress {
        NodeAddress::new("scheduler", port).unwrap()
    }

    fn table(digests: &[&str], now: Instant) -> Table<()> {
        let mut table = Table::new();
        for digest in digests {
            table.insert(digest, (), now);
        }
        table
    }

    #[test]
    fn what_a_scheduler_names_stays_open_and_comes_first() {
        let start = Instant::now();
        let mut table = table(&["a", "b"], start);
        assert!(table.name(&scheduler(1), "b", start));
        assert!(!table.name(&scheduler(1), "c", start), "it is not open");
        assert_eq!(table.digests_for(&scheduler(1)), ["b", "a"]);
        assert_eq!(table.digests_for(&scheduler(2)), ["a", "b"]);
        let later = start + UNNAMED_GRACE;
        assert_eq!(table.retire(later), ["a"]);
        assert!(table.used("a", later).is_none());
        assert!(table.used("b", later).is_some());
        table.unname(&scheduler(1));
        assert!(table.retire(later).is_empty(), "it was used just now");
        assert_eq!(table.retire(later + UNNAMED_GRACE), ["b"]);
    }

    #[test]
    fn a_task_keeps_open_what_its_query_began_with() {
        let start = Instant::now();
        let mut table = table(&["a"], start);
        let later = start + UNNAMED_GRACE / 2;
        assert!(table.used("a", later).is_some());
        assert!(table.retire(start + UNNAMED_GRACE).is_empty());
        assert_eq!(table.retire(later + UNNAMED_GRACE), ["a"]);
    }

    #[test]
    fn of_many_changes_in_a_row_the_last_few_are_kept() {
        let start = Instant::now();
        let mut table = Table::new();
        for number in 0..100 {
            let now = start + Duration::from_millis(number);
            let digest = number.to_string();
            table.insert(&digest, (), now);
            assert!(table.name(&scheduler(1), &digest, now));
            table.retire(now);
            assert!(table.open.len() <= UNNAMED_LIMIT + 1);
        }
        let kept = table.digests_for(&scheduler(1));
        assert_eq!(kept, ["99", "95", "96", "97", "98"]);
    }
}
