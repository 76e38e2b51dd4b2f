//! Queries one after the other on one scheduler, for as long as a test wants.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, SqlClient, TestCluster};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use super::numbers::Question;

/// A client that asks all the time.
#[derive(Debug)]
pub(super) struct Load {
    scheduler: String,
    stop: watch::Sender<bool>,
    answered: watch::Receiver<usize>,
    task: JoinHandle<Outcome>,
}

/// What became of its queries.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) answered: usize,
    /// Answers that were no answers: other rows, or none for ever.
    pub(super) faults: Vec<String>,
    /// When a query began that was refused, when it ended, and with what words.
    pub(super) refused: Vec<(Instant, Instant, String)>,
    pub(super) slowest: Duration,
}

impl Load {
    /// Asks as fast as it gets answers.
    pub(super) fn on(cluster: &TestCluster, scheduler: &str) -> Result<Self> {
        Self::every(PACE, cluster, scheduler)
    }

    /// Asks at this pace at most.
    pub(super) fn every(pace: Duration, cluster: &TestCluster, scheduler: &str) -> Result<Self> {
        let server = cluster.node(scheduler)?.address(Listener::Flight)?;
        let (stop, stopped) = watch::channel(false);
        let (count, answered) = watch::channel(0);
        Ok(Self {
            scheduler: scheduler.to_owned(),
            stop,
            answered,
            task: tokio::spawn(ask(server, pace, stopped, count)),
        })
    }

    pub(super) fn scheduler(&self) -> &str {
        &self.scheduler
    }

    /// Waits until `more` further queries have been answered.
    pub(super) async fn goes_on(&self, more: usize) -> Result<()> {
        let mut answered = self.answered.clone();
        let wanted = *answered.borrow() + more;
        let reached = answered.wait_for(|answered| *answered >= wanted);
        timeout(STUCK, reached)
            .await
            .with_context(|| format!("{} answers no more", self.scheduler))??;
        Ok(())
    }

    /// Ends it, and requires that no answer was a wrong one.
    pub(super) async fn end(self) -> Result<Outcome> {
        self.stop.send(true)?;
        let outcome = timeout(STUCK, self.task).await??;
        ensure!(outcome.answered > 0, "{} answered nothing", self.scheduler);
        ensure!(outcome.faults.is_empty(), "{:#?}", outcome.faults);
        Ok(outcome)
    }
}

async fn ask(
    server: SocketAddr,
    pace: Duration,
    stopped: watch::Receiver<bool>,
    count: watch::Sender<usize>,
) -> Outcome {
    let mut outcome = Outcome::default();
    // Where nobody listens, a refusal comes at once: not more often than this.
    let mut pace = interval(pace);
    let questions = Question::all();
    let questions = questions.iter().cycle();
    for question in questions {
        pace.tick().await;
        if *stopped.borrow() {
            break;
        }
        let begun = Instant::now();
        let answer = timeout(STUCK, async {
            let mut client = SqlClient::connect(server).await?;
            client.query(question.sql).await
        });
        match answer.await {
            Ok(Ok(rows)) => match question.check(&rows) {
                Ok(()) => outcome.answered += 1,
                Err(fault) => outcome.faults.push(fault.to_string()),
            },
            Ok(Err(refused)) => {
                let refused = (begun, Instant::now(), format!("{refused:#}"));
                outcome.refused.push(refused);
            }
            Err(_) => outcome.faults.push(format!("no answer: {}", question.sql)),
        }
        outcome.slowest = outcome.slowest.max(begun.elapsed());
        count.send_replace(outcome.answered);
    }
    outcome
}

/// No query of these takes this long, whoever is lost meanwhile: a silent executor is given up
/// after half of it.
const STUCK: Duration = Duration::from_secs(60);

const PACE: Duration = Duration::from_millis(20);
