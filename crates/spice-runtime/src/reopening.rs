//! Opening later what was out of reach.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spicepod::TableName;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::contents::{Contents, UnavailableTable};
use crate::opening::Opening;

/// The contents of a runtime, which grow until all of it is open. What is behind goes on trying for
/// as long as this lives.
#[derive(Debug)]
pub(crate) struct Growing {
    contents: watch::Receiver<Arc<Contents>>,
    _trying: Option<AbortOnDropHandle<()>>,
}

impl Growing {
    /// Begins with `contents`, and tells of what they lack.
    pub(crate) fn new(opening: Opening, contents: Contents) -> Self {
        let mut log = Log::default();
        log.tell(&[], &contents.unavailable);
        let lacking = !contents.unavailable.is_empty();
        let (sender, contents) = watch::channel(Arc::new(contents));
        let trying = lacking.then(|| tokio::spawn(try_on(opening, sender, log)));
        Self {
            contents,
            _trying: trying.map(AbortOnDropHandle::new),
        }
    }

    /// What there is now.
    pub(crate) fn now(&self) -> Arc<Contents> {
        Arc::clone(&self.contents.borrow())
    }
}

async fn try_on(opening: Opening, contents: watch::Sender<Arc<Contents>>, mut log: Log) {
    let mut wait = FIRST_RETRY;
    loop {
        let before = Arc::clone(&contents.borrow());
        if before.unavailable.is_empty() {
            return;
        }
        sleep(wait).await;
        match opening.again(&before).await {
            Ok(now) => {
                log.tell(&before.unavailable, &now.unavailable);
                contents.send_replace(Arc::new(now));
            }
            Err(error) => tracing::warn!(%error, "tables not opened, trying on"),
        }
        wait = (wait * 2).min(RETRY_CAP);
    }
}

/// What the log says of tables that are not there.
#[derive(Default)]
struct Log {
    last: BTreeMap<TableName, Line>,
}

struct Line {
    reason: String,
    at: Instant,
}

impl Log {
    /// A line for each reason that is news, and one for what is there again.
    fn tell(&mut self, before: &[UnavailableTable], now: &[UnavailableTable]) {
        for (reason, tables) in self.news(now, Instant::now()) {
            let tables = joined(&tables);
            tracing::warn!(tables, reason, "tables unavailable, trying on");
        }
        let is_missing = |name: &TableName| now.iter().any(|table| table.name == *name);
        self.last.retain(|name, _| is_missing(name));
        let back = before.iter().map(|table| &table.name);
        let back: Vec<&TableName> = back.filter(|name| !is_missing(name)).collect();
        if !back.is_empty() {
            let tables = joined(&back);
            tracing::info!(tables, "tables available");
        }
    }

    /// The reasons that were not told, with their tables. A server may put it in other words at every
    /// try: of each table one line a minute is enough.
    fn news<'a>(
        &mut self,
        now: &'a [UnavailableTable],
        at: Instant,
    ) -> BTreeMap<&'a str, Vec<&'a TableName>> {
        let mut by_reason: BTreeMap<&str, Vec<&TableName>> = BTreeMap::new();
        for UnavailableTable { name, told, .. } in now {
            let is_news = self.last.get(name).is_none_or(|last| {
                last.reason != *told && at.duration_since(last.at) >= TELL_AGAIN
            });
            if is_news {
                let reason = told.clone();
                self.last.insert(name.clone(), Line { reason, at });
                by_reason.entry(told).or_default().push(name);
            }
        }
        by_reason
    }
}

fn joined(tables: &[&TableName]) -> String {
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// What restarts is there again soon.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// What stays away is tried twice a minute: seldom enough for a server that comes back to many nodes,
/// and often enough for a person who waits.
const RETRY_CAP: Duration = Duration::from_secs(30);

/// How long another reason for the same table waits.
const TELL_AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use crate::runtime::TableKind;

    use super::*;

    fn missing(told: &str) -> [UnavailableTable; 1] {
        [UnavailableTable {
            name: "t".parse().unwrap(),
            kind: TableKind::Dataset,
            source: None,
            reason: String::new(),
            told: told.to_owned(),
        }]
    }

    #[test]
    fn words_that_change_with_every_try_are_told_once_a_minute() {
        let (mut log, start) = (Log::default(), Instant::now());
        let mut told = vec![];
        for second in 0..150 {
            let now = missing(&format!("try {second}"));
            let at = start + Duration::from_secs(second);
            told.extend(log.news(&now, at).into_keys().map(str::to_owned));
        }
        assert_eq!(told, ["try 0", "try 60", "try 120"]);
    }

    #[test]
    fn the_same_words_are_told_once_and_again_after_the_table_was_there() {
        let (mut log, now) = (Log::default(), Instant::now());
        let away = missing("away");
        assert_eq!(log.news(&away, now).len(), 1);
        assert!(log.news(&away, now + TELL_AGAIN * 2).is_empty());
        log.tell(&away, &[]);
        assert_eq!(log.news(&away, now).len(), 1);
    }
}
