//! Carrying out a scheduler's commands, each once.

use std::sync::Arc;
use std::time::Duration;

use cluster_proto::pb;
use cluster_tls::NodeAddress;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::remembered::Remembered;
use crate::apps::{AdoptError, OpenApps};
use crate::backoff::Backoff;
use crate::boot::chain;
use crate::engine::Worker;
use crate::links::LinkWatch;
use crate::metrics::{self, MetricsSource};
use pb::executor_control_message::Message as Report;
use pb::scheduler_control_message::Message as Command;

/// What one scheduler asked of this executor. It outlives single streams, so that a command which
/// is sent again is known again.
pub(super) struct Commands {
    scheduler: NodeAddress,
    watch: LinkWatch,
    engine: Worker,
    apps: Arc<OpenApps>,
    metrics: Arc<dyn MetricsSource>,
    done: Remembered,
    wanted: Option<Wanted>,
    /// At most one goes on: a newer definition takes the place of one that is being opened.
    opening: JoinSet<Opening>,
}

/// The definition that the scheduler asked for last, while it is not open.
struct Wanted {
    digest: String,
    request_id: String,
    /// Why it could not be opened last, which the scheduler is told once; further tries are our own.
    error: Option<String>,
    backoff: Backoff,
}

/// One try to open a definition, at its end.
struct Opening {
    digest: String,
    outcome: Result<String, AdoptError>,
}

impl Commands {
    pub(super) fn new(
        watch: LinkWatch,
        engine: Worker,
        apps: Arc<OpenApps>,
        metrics: Arc<dyn MetricsSource>,
    ) -> Self {
        Self {
            scheduler: watch.scheduler().clone(),
            watch,
            engine,
            apps,
            metrics,
            done: Remembered::default(),
            wanted: None,
            opening: JoinSet::new(),
        }
    }

    /// Carries out one command, or begins to, and gives what there is to report.
    pub(super) async fn obey(&mut self, command: pb::SchedulerControlMessage) -> Vec<Report> {
        let id_bytes = command.message.as_ref().map_or(0, request_id_bytes);
        if id_bytes > REQUEST_ID_LIMIT_BYTES {
            // An answer would have to repeat it.
            tracing::warn!(
                scheduler = %self.scheduler, id_bytes,
                "command refused: its request id is longer than any"
            );
            return vec![];
        }
        match command.message {
            Some(Command::PollNow(_)) => self.engine.poll_now(),
            Some(Command::CancelTasks(cancel)) => return self.cancel(cancel).await,
            Some(Command::AppChanged(change)) => return self.app_changed(change),
            // Of features that this executor does not have: who waits must not wait in vain.
            Some(Command::RefreshDataset(refresh)) => return self.refuse(&refresh.request_id),
            Some(Command::UpdatePartitions(update)) => return self.refuse(&update.request_id),
            Some(Command::RequestMetrics(request)) => {
                return vec![Report::Metrics(metrics::answer(&self.metrics, request))];
            }
            None => {
                tracing::warn!(scheduler = %self.scheduler, "command not understood");
            }
        }
        vec![]
    }

    /// What there is to report of a command that took its time; `None` while there is none.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken out unless it is returned.
    pub(super) async fn next_done(&mut self) -> Option<Vec<Report>> {
        let Ok(opening) = self.opening.join_next().await? else {
            // A newer one took its place.
            return Some(vec![]);
        };
        Some(match opening.outcome {
            Ok(open) => self.opened(&opening.digest, open),
            Err(error) => self.not_opened(&opening.digest, &error),
        })
    }

    async fn cancel(&mut self, cancel: pb::CancelTasks) -> Vec<Report> {
        if let Some(error) = self.done.answer_to(&cancel.request_id) {
            return vec![acknowledgement(&cancel.request_id, error)];
        }
        self.engine.cancel(&cancel.tasks).await;
        self.answer(&cancel.request_id, "")
    }

    fn app_changed(&mut self, change: pb::AppChanged) -> Vec<Report> {
        let pb::AppChanged { digest, request_id } = change;
        if let Some(error) = self.done.answer_to(&request_id) {
            return vec![acknowledgement(&request_id, error)];
        }
        // A stream that broke while the definition is being opened asks for it anew.
        if let Some(wanted) = &mut self.wanted
            && wanted.digest == digest
            && wanted.error.is_none()
        {
            wanted.request_id = request_id;
            return vec![];
        }
        self.opening.abort_all();
        self.wanted = Some(Wanted {
            digest: digest.clone(),
            request_id,
            error: None,
            backoff: Backoff::default(),
        });
        self.open(digest, Duration::ZERO);
        vec![]
    }

    fn open(&mut self, digest: String, wait: Duration) {
        let (scheduler, apps) = (self.scheduler.clone(), self.apps.clone());
        self.opening.spawn(async move {
            sleep(wait).await;
            let outcome = apps.adopt(&scheduler, &digest).await;
            Opening { digest, outcome }
        });
    }

    /// What is open goes first: the scheduler goes by that, and stops waiting at the answer.
    fn opened(&mut self, asked: &str, open: String) -> Vec<Report> {
        tracing::info!(scheduler = %self.scheduler, digest = open, "application definition in use");
        self.watch.app_opened();
        let mut reports = vec![loaded(open)];
        if let Some(wanted) = self.wanted.take_if(|wanted| wanted.digest == asked)
            && wanted.error.is_none()
        {
            reports.extend(self.answer(&wanted.request_id, ""));
        }
        reports
    }

    /// The scheduler is told once; what is missing here may come, so it is tried again.
    fn not_opened(&mut self, asked: &str, error: &AdoptError) -> Vec<Report> {
        let Some(wanted) = self.wanted.as_mut().filter(|it| it.digest == asked) else {
            return vec![];
        };
        let (error, wait) = (chain(error), wanted.backoff.next());
        let request_id = wanted.request_id.clone();
        let before = wanted.error.replace(error.clone());
        let scheduler = &self.scheduler;
        if before.as_ref() == Some(&error) {
            tracing::debug!(%scheduler, digest = asked, error, "application definition still not opened");
        } else {
            tracing::warn!(%scheduler, digest = asked, error, "application definition not opened, trying on");
        }
        self.watch.app_not_opened(&error);
        self.open(asked.to_owned(), wait);
        match before {
            Some(_) => vec![],
            None => self.answer(&request_id, &error),
        }
    }

    fn refuse(&mut self, request_id: &str) -> Vec<Report> {
        self.answer(request_id, "this executor has no such dataset")
    }

    fn answer(&mut self, request_id: &str, error: &str) -> Vec<Report> {
        if request_id.is_empty() {
            // A scheduler that does not wait for an answer.
            return vec![];
        }
        // A message that is too large would end the stream, and be sent again on the next one.
        let error: String = error.chars().take(ERROR_CHARACTERS).collect();
        self.done.add(request_id, &error);
        vec![acknowledgement(request_id, error)]
    }
}

/// How long the id is that an answer to `command` would carry.
fn request_id_bytes(command: &Command) -> usize {
    match command {
        Command::PollNow(_) => 0,
        Command::CancelTasks(cancel) => cancel.request_id.len(),
        Command::AppChanged(change) => change.request_id.len(),
        Command::RefreshDataset(refresh) => refresh.request_id.len(),
        Command::UpdatePartitions(update) => update.request_id.len(),
        Command::RequestMetrics(request) => request.request_id.len(),
    }
}

/// Says that a definition is open.
pub(super) fn loaded(digest: String) -> Report {
    Report::PartitionsLoaded(pb::PartitionsLoaded {
        table_name: String::new(),
        partition: String::new(),
        digest,
    })
}

fn acknowledgement(request_id: &str, error: String) -> Report {
    Report::Ack(pb::CommandAck {
        request_id: request_id.to_owned(),
        error,
    })
}

/// Schedulers send numbers of 36 characters. Hundreds of ids are remembered for each of them.
const REQUEST_ID_LIMIT_BYTES: usize = 64;

/// Enough for the beginning of a list; the log here has all of it.
const ERROR_CHARACTERS: usize = 1024;
