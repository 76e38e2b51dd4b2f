//! The work for one scheduler, from the first dial to the last farewell.

use cluster_proto::ExecutorRun;
use cluster_tls::NodeAddress;
use cluster_tls::tonic::NodeChannel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use super::introduction::{Introduced, introduce};
use super::table::NewLink;
use super::{LinkParts, LinkState, SchedulerLinks};
use crate::backoff::Backoff;
use crate::boot::Reported;
use crate::control::ControlLink;

/// One scheduler to work for.
pub(super) struct Link {
    pub(super) parts: LinkParts,
    pub(super) new: NewLink,
    pub(super) tasks: TaskTracker,
}

impl Link {
    /// Works for the scheduler until the link is given up. It begins anew, as another run, when
    /// another process has come to answer there: what it was given before is nobody's then.
    pub(super) async fn keep(self) {
        self.keep_working().await;
        self.parts.apps.leave(&self.new.scheduler);
    }

    async fn keep_working(&self) {
        let mut backoff = Backoff::default();
        let mut reported = Reported::default();
        let stop = self.new.stop.clone();
        let direct = self.parts.dial(&self.new.scheduler);
        while !stop.is_cancelled() {
            let met = tokio::select! {
                met = self.meet(&direct) => met,
                () = stop.cancelled() => return,
            };
            match met {
                Ok((channel, introduced)) => {
                    backoff.reset();
                    reported.reached(&self.new.scheduler);
                    self.work(&channel, introduced.instance).await;
                }
                Err(reason) => {
                    reported.unreachable(&self.new.scheduler, &reason);
                    self.parts.links.down(&self.new.scheduler, &reason);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Finds the scheduler at its own address, or else by a seed that leads to it: some networks
    /// have ways in that nodes know nothing of.
    async fn meet(&self, direct: &NodeChannel) -> Result<(NodeChannel, Introduced), String> {
        let scheduler = &self.new.scheduler;
        let reason = match self.meet_by(direct).await {
            Ok(introduced) => return Ok((direct.clone(), introduced)),
            Err(reason) => reason,
        };
        let detours = self.parts.links.table().detours(scheduler);
        for seed in detours {
            let channel = self.parts.dial(&seed);
            if let Ok(introduced) = self.meet_by(&channel).await {
                tracing::warn!(%scheduler, %seed, reason, "scheduler reached by a seed only");
                return Ok((channel, introduced));
            }
        }
        Err(reason)
    }

    async fn meet_by(&self, channel: &NodeChannel) -> Result<Introduced, String> {
        let introduced = introduce(channel.clone()).await;
        let introduced = introduced.map_err(|error| error.to_string())?;
        match &introduced.itself {
            Some(itself) if *itself != self.new.scheduler => {
                Err(format!("it calls itself {itself}"))
            }
            _ => Ok(introduced),
        }
    }

    /// Polls and keeps the control stream, as one run to the scheduler.
    async fn work(&self, channel: &NodeChannel, instance: String) {
        let links = &self.parts.links;
        links.change(|table, _| table.reached(&self.new.scheduler, channel.clone()));
        let mark = uuid::Uuid::new_v4().simple().to_string();
        let run = match ExecutorRun::new(self.parts.node_id.clone(), &mark) {
            Ok(run) => run,
            Err(error) => {
                let reason = error.to_string();
                return self.parts.links.down(&self.new.scheduler, &reason);
            }
        };
        let worker = self.parts.engine.worker(&run, &self.new.scheduler);
        let watch = LinkWatch {
            links: self.parts.links.clone(),
            scheduler: self.new.scheduler.clone(),
            instance,
            over: CancellationToken::new(),
        };
        let control = ControlLink {
            scheduler: self.new.scheduler.clone(),
            channel: channel.clone(),
            transport: self.parts.transport.clone(),
            run,
            version: self.parts.version.clone(),
            engine: worker.clone(),
            apps: self.parts.apps.clone(),
            metrics: self.parts.metrics.clone(),
            draining: self.parts.draining.clone(),
            watch: watch.clone(),
        };
        let stop_polling = self.new.stop.child_token();
        let polling = self.tasks.spawn({
            let (channel, stop) = (channel.clone(), stop_polling.clone());
            let worker = worker.clone();
            async move {
                tokio::select! {
                    () = worker.poll(channel) => {}
                    () = stop.cancelled() => {}
                }
            }
        });
        tokio::select! {
            () = control.keep(self.new.stop.clone()) => {}
            () = watch.over.cancelled() => {}
        }
        stop_polling.cancel();
        if polling.await.is_err() {
            tracing::error!(scheduler = %self.new.scheduler, "task polling ended in a panic");
        }
        worker.clean_up().await;
    }
}

/// What the control stream of a link tells about it, and asks of it.
#[derive(Clone)]
pub(crate) struct LinkWatch {
    links: SchedulerLinks,
    scheduler: NodeAddress,
    instance: String,
    over: CancellationToken,
}

impl LinkWatch {
    /// Where the scheduler is dialled.
    pub(crate) fn scheduler(&self) -> &NodeAddress {
        &self.scheduler
    }

    /// Makes sure, before a control stream is opened again, that the process which answers is the
    /// one that gave out the tasks that run here; ends the link's present run where it is not.
    pub(crate) async fn confirm(&self, channel: &NodeChannel) -> Result<(), Status> {
        let introduced = introduce(channel.clone()).await;
        let introduced = introduced.map_err(|error| Status::unavailable(error.to_string()))?;
        let itself = introduced.itself.as_ref();
        if itself.is_none_or(|itself| *itself == self.scheduler)
            && introduced.instance == self.instance
        {
            return Ok(());
        }
        self.over.cancel();
        Err(Status::aborted("the scheduler has been restarted"))
    }

    /// Whether another process has come to answer for the scheduler.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Ends the link's present run: its tasks, and what they have written, are nobody's any more.
    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    pub(crate) fn connected(&self) {
        self.links.set(&self.scheduler, LinkState::Connected);
    }

    pub(crate) fn down(&self, reason: &str) {
        self.links.down(&self.scheduler, reason);
    }

    /// Notes that the application of the scheduler is open.
    pub(crate) fn app_opened(&self) {
        self.links
            .change(|table, _| table.set_app_fault(&self.scheduler, None));
    }

    /// Notes why the application of the scheduler is not open.
    pub(crate) fn app_not_opened(&self, reason: &str) {
        let reason = printable(reason);
        self.links
            .change(|table, _| table.set_app_fault(&self.scheduler, Some(reason)));
    }
}

impl SchedulerLinks {
    fn set(&self, scheduler: &NodeAddress, state: LinkState) {
        self.change(|table, now| table.set(scheduler, state, now));
    }

    fn down(&self, scheduler: &NodeAddress, reason: &str) {
        let reason = printable(reason);
        self.set(scheduler, LinkState::Down { reason });
    }
}

/// A reason may hold a peer's text, and is shown to everybody: bounded, and without control
/// characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(REASON_CHARACTERS)
        .collect()
}

const REASON_CHARACTERS: usize = 300;
