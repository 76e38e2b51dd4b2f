//! Opening later what was out of reach.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
        tell(&[], &contents.unavailable);
        let lacking = !contents.unavailable.is_empty();
        let (sender, contents) = watch::channel(Arc::new(contents));
        let trying = lacking.then(|| tokio::spawn(try_on(opening, sender)));
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

async fn try_on(opening: Opening, contents: watch::Sender<Arc<Contents>>) {
    let mut wait = FIRST_RETRY;
    loop {
        let before = Arc::clone(&contents.borrow());
        if before.unavailable.is_empty() {
            return;
        }
        sleep(wait).await;
        match opening.again(&before).await {
            Ok(now) => {
                tell(&before.unavailable, &now.unavailable);
                contents.send_replace(Arc::new(now));
            }
            Err(error) => tracing::warn!(%error, "tables not opened, trying on"),
        }
        wait = (wait * 2).min(RETRY_CAP);
    }
}

/// A line for each reason that is news, and one for what is there again.
fn tell(before: &[UnavailableTable], now: &[UnavailableTable]) {
    let news = now.iter().filter(|table| !before.contains(table));
    let mut by_reason: BTreeMap<&str, Vec<&TableName>> = BTreeMap::new();
    for table in news {
        by_reason.entry(&table.told).or_default().push(&table.name);
    }
    for (reason, tables) in by_reason {
        let tables = joined(&tables);
        tracing::warn!(tables, reason, "tables unavailable, trying on");
    }
    let is_missing = |name: &TableName| now.iter().any(|table| table.name == *name);
    let back = before.iter().map(|table| &table.name);
    let back: Vec<&TableName> = back.filter(|name| !is_missing(name)).collect();
    if !back.is_empty() {
        let tables = joined(&back);
        tracing::info!(tables, "tables available");
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
