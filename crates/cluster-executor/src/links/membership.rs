//! Learning who the schedulers are.

use std::time::Duration;

use cluster_tls::NodeAddress;
use futures::future::join_all;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::LinkParts;
use super::introduction::{Introduced, IntroductionError, introduce};
use super::link::{Link, printable};
use super::table::Table;
use crate::backoff::Backoff;
use crate::boot::Reported;

/// What asks for members, and begins and ends links.
pub(crate) struct Membership {
    parts: LinkParts,
    tasks: TaskTracker,
    reported: Reported,
}

impl Membership {
    /// Links run on `tasks`.
    pub(crate) fn new(parts: LinkParts, tasks: TaskTracker) -> Self {
        Self {
            parts,
            tasks,
            reported: Reported::default(),
        }
    }

    /// Works for all schedulers that there are, until the links are stopped.
    pub(crate) async fn keep(mut self) {
        let stop = self.parts.links.shared.stop.clone();
        let mut backoff = Backoff::default();
        loop {
            let answers = tokio::select! {
                answers = self.ask_around() => answers,
                () = stop.cancelled() => return,
            };
            let all_answered = answers.iter().all(|(_, answer)| answer.is_ok());
            self.take(answers);
            let pause = if all_answered {
                backoff.reset();
                MEMBERSHIP_INTERVAL.mul_f64(rand::random_range(0.9..=1.1))
            } else {
                backoff.next()
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn ask_around(&self) -> Vec<(NodeAddress, Answer)> {
        let sources = self.parts.links.table().next_to_ask();
        let asked = sources.into_iter().map(async |source| {
            let dial = || self.parts.dial(&source.address);
            let channel = source.channel.clone().unwrap_or_else(dial);
            let answer = introduce(channel).await;
            (source.address, answer)
        });
        join_all(asked).await
    }

    fn take(&mut self, answers: Vec<(NodeAddress, Answer)>) {
        for (source, answer) in answers {
            match answer {
                Ok(introduced) => self.learn(&source, &introduced),
                Err(error) => self.unanswered(&source, &error),
            }
        }
        let links = self.parts.links.clone();
        for scheduler in links.change(Table::expire) {
            tracing::info!(%scheduler, "scheduler given up");
        }
    }

    fn learn(&mut self, source: &NodeAddress, introduced: &Introduced) {
        self.reported.reached(source);
        let new = self.parts.links.change(|table, now| {
            table.asked(source, Ok(introduced.itself.clone()), now);
            table.learn(&introduced.members, now)
        });
        for new in new {
            tracing::info!(scheduler = %new.scheduler, %source, "scheduler learnt");
            let link = Link {
                parts: self.parts.clone(),
                new,
                tasks: self.tasks.clone(),
            };
            self.tasks.spawn(link.keep());
        }
    }

    fn unanswered(&mut self, source: &NodeAddress, error: &IntroductionError) {
        let reason = printable(&error.to_string());
        let linked = self.parts.links.change(|table, now| {
            table.asked(source, Err(reason.clone()), now);
            table.knows(source)
        });
        // A link tells of its own troubles.
        if !linked {
            self.reported.unreachable(source, &reason);
        }
    }
}

type Answer = Result<Introduced, IntroductionError>;

/// How often a scheduler is asked for the members: within this a new one gets its executors.
const MEMBERSHIP_INTERVAL: Duration = Duration::from_secs(10);
