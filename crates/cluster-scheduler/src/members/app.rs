//! Which application definitions an executor has open, which is what makes it ready.

use std::collections::VecDeque;
use std::time::Duration;

use cluster_proto::{ExecutorRun, NodeId};
use tokio::time::timeout;

use super::{AppFailure, Members};

/// What one executor said about the definitions that it has open.
#[derive(Debug, Default)]
pub(super) struct MemberApp {
    /// Digests, the newest last.
    loaded: VecDeque<String>,
    /// The definition that it could not open, if it was its last word about it.
    failed: Option<AppFailure>,
}

/// How far the connected executors are with a definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppProgress {
    /// They have it open.
    pub(crate) ready: Vec<NodeId>,
    /// They have said that they cannot open it.
    pub(crate) failed: Vec<NodeId>,
    /// They have said nothing yet.
    pub(crate) waiting: Vec<NodeId>,
}

/// How far one executor is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Ready,
    Failed,
    Waiting,
}

impl MemberApp {
    /// The digest to show to whoever serves `served`: an executor has others open as well, for
    /// other schedulers and for queries that began with them.
    pub(super) fn shown_to(&self, served: &str) -> Option<&str> {
        let mut loaded = self.loaded.iter().rev();
        let shown = loaded.find(|loaded| *loaded == served);
        shown.or(self.loaded.back()).map(String::as_str)
    }

    pub(super) fn failure(&self) -> Option<&AppFailure> {
        self.failed.as_ref()
    }

    fn failed_at(&self, digest: &str) -> bool {
        let failed = self.failed.as_ref();
        failed.is_some_and(|failed| failed.digest == digest)
    }

    /// The digests of all definitions that it has open.
    pub(super) fn all_loaded(&self) -> impl Iterator<Item = &str> {
        self.loaded.iter().map(String::as_str)
    }

    /// The digest of the definition that it could not open, unless it had it open before.
    pub(super) fn only_failed(&self) -> Option<&str> {
        let failed = self.failed.as_ref().map(|failed| failed.digest.as_str());
        failed.filter(|digest| !self.has(digest))
    }

    fn has(&self, digest: &str) -> bool {
        self.loaded.iter().any(|loaded| loaded == digest)
    }

    fn stage(&self, digest: &str) -> Stage {
        if self.has(digest) {
            Stage::Ready
        } else if self.only_failed() == Some(digest) {
            Stage::Failed
        } else {
            Stage::Waiting
        }
    }

    /// Notes that a definition is open, and says whether that is news.
    pub(super) fn loaded(&mut self, digest: &str) -> bool {
        let news = !self.has(digest);
        self.loaded.retain(|loaded| loaded != digest);
        self.loaded.push_back(digest.to_owned());
        if self.loaded.len() > DIGEST_LIMIT {
            self.loaded.pop_front();
        }
        if self.failed_at(digest) {
            self.failed = None;
        }
        news
    }

    fn forget(&mut self, digest: &str) {
        self.loaded.retain(|loaded| loaded != digest);
        if self.failed_at(digest) {
            self.failed = None;
        }
    }

    pub(super) fn fail(&mut self, failure: AppFailure) {
        self.failed = Some(failure);
    }
}

impl Members {
    /// Notes that an executor has a definition open, and says whether that is news: it says so when
    /// it opens its stream, and again when it is asked to open what it has.
    pub(crate) fn record_loaded(&self, id: &NodeId, digest: &str) -> bool {
        let news = self.lock().change(id, |member| member.app.loaded(digest));
        self.app_changed();
        news.unwrap_or_default()
    }

    /// Notes that an executor could not open a definition.
    pub(crate) fn record_failed(&self, id: &NodeId, failure: AppFailure) {
        self.lock().change(id, |member| member.app.fail(failure));
        self.app_changed();
    }

    /// Forgets what executors said about a definition, before they are asked to open it: what was
    /// open long ago has been closed since, and what failed may not fail again.
    pub(crate) fn ask_anew(&self, digest: &str) {
        self.lock().change_all(|member| member.app.forget(digest));
    }

    /// Whether `run` can take tasks of queries over the application with this digest.
    pub(crate) fn is_ready(&self, run: &ExecutorRun, digest: &str) -> bool {
        let table = self.lock();
        let member = table.get(run.node());
        member.is_some_and(|member| {
            member.takes_work() && member.run.as_ref() == Some(run) && member.app.has(digest)
        })
    }

    /// Whether there is an executor of those that `is_fit` can name that can take tasks of queries over
    /// this application, or over any.
    pub(crate) fn is_any_ready(
        &self,
        digest: Option<&str>,
        is_fit: impl Fn(&ExecutorRun) -> bool,
    ) -> bool {
        let table = self.lock();
        let mut able = table.values().filter(|member| member.takes_work());
        able.any(|member| {
            digest.is_none_or(|digest| member.app.has(digest))
                && member.run.as_ref().is_some_and(&is_fit)
        })
    }

    /// The executors that can take tasks now.
    pub(crate) fn able(&self) -> Vec<NodeId> {
        let table = self.lock();
        let able = table.iter().filter(|(_, member)| member.takes_work());
        able.map(|(id, _)| id.clone()).collect()
    }

    /// How many executors can take tasks of queries over the application with this digest.
    pub(crate) fn ready_count(&self, digest: &str) -> usize {
        self.lock().tally().ready(digest)
    }

    /// How far the executors are that could take work.
    fn app_progress(&self, digest: &str) -> AppProgress {
        let mut progress = AppProgress::default();
        for (id, member) in self.lock().iter().filter(|(_, it)| it.takes_work()) {
            let told = match member.app.stage(digest) {
                Stage::Ready => &mut progress.ready,
                Stage::Failed => &mut progress.failed,
                Stage::Waiting => &mut progress.waiting,
            };
            told.push(id.clone());
        }
        progress
    }

    /// Asked at every change of every member.
    fn is_settled(&self, digest: &str) -> bool {
        self.lock().tally().waiting(digest) == 0
    }

    /// Waits until every connected executor has said how it is with a definition, or for `patience`.
    pub(crate) async fn app_settled(&self, digest: &str, patience: Duration) -> AppProgress {
        let mut changes = self.app_changes.subscribe();
        let settled = changes.wait_for(|_| self.is_settled(digest));
        // Late ones are among those that are still waited for below.
        let _ = timeout(patience, settled).await;
        self.app_progress(digest)
    }

    /// Waits until some executor has a definition open, or every one said that it has not, or for
    /// `patience`.
    pub(crate) async fn app_begun(&self, digest: &str, patience: Duration) -> AppProgress {
        let mut changes = self.app_changes.subscribe();
        let is_begun = || self.ready_count(digest) > 0 || self.is_settled(digest);
        let begun = changes.wait_for(|_| is_begun());
        // Without one, that is what the progress below says.
        let _ = timeout(patience, begun).await;
        self.app_progress(digest)
    }

    pub(super) fn app_changed(&self) {
        self.app_changes.send_modify(|changes| *changes += 1);
    }
}

/// Definitions of one executor that are kept in mind: it has this one open, and those that its
/// other schedulers name.
const DIGEST_LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Owner;
    use super::*;

    fn run(text: &str) -> ExecutorRun {
        text.parse().unwrap()
    }

    fn failure(digest: &str) -> AppFailure {
        AppFailure {
            digest: digest.to_owned(),
            reason: "no such file".to_owned(),
        }
    }

    fn connected(runs: &[&str]) -> std::sync::Arc<Members> {
        let members = Members::new(Duration::from_secs(30));
        for text in runs {
            let run = run(text);
            assert!(members.bind(run.node(), Owner::Anonymous, Instant::now()));
            members.connect(&run, None);
        }
        members
    }

    #[test]
    fn an_executor_is_ready_for_what_it_loaded_until_it_connects_anew_or_leaves() {
        let members = connected(&["a:1#x"]);
        let a = run("a:1#x");
        assert!(!members.is_ready(&a, "one"), "connected is not ready");
        assert!(members.record_loaded(a.node(), "one"));
        assert!(members.record_loaded(a.node(), "two"));
        assert!(!members.record_loaded(a.node(), "one"), "no news");
        assert!(members.is_ready(&a, "one") && members.is_ready(&a, "two"));
        assert!(!members.is_ready(&run("a:1#y"), "one"), "another run");
        members.drain(a.node());
        assert!(!members.is_ready(&a, "one"));
        members.connect(&a, None);
        assert!(!members.is_ready(&a, "one"));
        members.record_loaded(a.node(), "one");
        members.disconnect(a.node());
        assert!(!members.is_ready(&a, "one"));
    }

    #[test]
    fn an_executor_that_failed_and_then_managed_is_ready() {
        let members = connected(&["a:1#x", "b:1#x"]);
        let (a, b) = (run("a:1#x"), run("b:1#x"));
        let failure = failure("one");
        members.record_failed(a.node(), failure.clone());
        assert_eq!(members.summaries("")[0].app_failure, Some(failure));
        let progress = members.app_progress("one");
        assert_eq!(progress.failed, [a.node().clone()]);
        assert_eq!(progress.waiting, [b.node().clone()]);
        members.record_loaded(a.node(), "one");
        assert_eq!(members.app_progress("one").ready, [a.node().clone()]);
        assert_eq!(members.summaries("")[0].app_failure, None);
    }

    #[test]
    fn of_several_open_definitions_the_one_that_is_served_is_shown_or_the_newest() {
        let members = connected(&["a:1#x"]);
        for digest in ["one", "two", "three"] {
            members.record_loaded(run("a:1#x").node(), digest);
        }
        let shown = |served| members.summaries(served)[0].app_digest.clone();
        assert_eq!(shown("two").as_deref(), Some("two"));
        assert_eq!(shown("four").as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn what_was_said_about_a_definition_before_it_was_asked_for_again_does_not_count() {
        let members = connected(&["a:1#x", "b:1#x"]);
        let (a, b) = (run("a:1#x"), run("b:1#x"));
        for digest in ["one", "two"] {
            members.record_loaded(a.node(), digest);
        }
        members.record_failed(b.node(), failure("one"));
        members.ask_anew("one");
        assert!(!members.is_ready(&a, "one") && members.is_ready(&a, "two"));
        let progress = members.app_settled("one", Duration::ZERO).await;
        assert_eq!(progress.waiting.len(), 2);
        members.record_loaded(a.node(), "one");
        assert!(members.is_ready(&a, "one"));
    }

    #[test]
    fn an_executor_that_names_ever_new_digests_uses_no_more_room() {
        let members = connected(&["a:1#x"]);
        for number in 0..1000 {
            members.record_loaded(run("a:1#x").node(), &number.to_string());
        }
        let table = members.lock();
        let loaded = table.values().map(|member| member.app.loaded.len());
        assert_eq!(loaded.sum::<usize>(), DIGEST_LIMIT);
    }

    #[tokio::test]
    async fn waiting_for_executors_ends_with_the_last_word_or_the_patience() {
        let members = connected(&["a:1#x", "b:1#x"]);
        members.record_loaded(run("a:1#x").node(), "one");
        let late = members.app_settled("one", Duration::from_millis(20)).await;
        assert_eq!(late.waiting.len(), 1);
        let patience = Duration::from_secs(60);
        let waiting = members.app_settled("one", patience);
        let leaving = async { members.forget(run("b:1#x").node()) };
        let started = Instant::now();
        let (settled, ()) = tokio::join!(waiting, leaving);
        assert!(settled.waiting.is_empty() && settled.ready.len() == 1);
        assert!(started.elapsed() < patience);
    }
}
