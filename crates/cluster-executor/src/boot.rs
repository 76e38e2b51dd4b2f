//! From nothing but a scheduler's address to an executor that may take tasks.
//!
//! Each step consumes what the step before it proved: a definition exists only after a
//! scheduler answered, a way to its secrets only for a definition, open datasets only with that
//! way: data elsewhere that is opened before its secrets are known is opened without them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster_proto::NodeId;
use cluster_proto::pb;
use cluster_proto::pb::cluster_service_client::ClusterServiceClient;
use cluster_tls::tonic::{ChannelOptions, NodeTransport};
use cluster_tls::{NodeAddress, Role};
use spice_runtime::{Runtime, RuntimeOptions, SecretSource};
use spicepod::App;
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::backoff::Backoff;
use crate::links::SchedulerLinks;
use crate::secrets::SchedulerSecrets;

/// An executor did not come up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BootError {
    /// A scheduler answered that this node is not an executor of its cluster.
    #[error(
        "the scheduler at {scheduler} denies this executor: its certificate must carry the role \
         executor or node and name the advertise address {executor}; issue one with \
         `spice cluster tls add NAME --role executor --host HOST`"
    )]
    Denied {
        /// The scheduler that was asked.
        scheduler: NodeAddress,
        /// The id that this executor gave.
        executor: NodeId,
    },
    /// A scheduler answered with something that this version cannot use.
    #[error("the scheduler at {scheduler} sent an unusable application definition")]
    Definition {
        /// The scheduler that was asked.
        scheduler: NodeAddress,
        /// What is wrong with it.
        #[source]
        source: spicepod::LoadError,
    },
    /// A dataset of the definition is not on this machine what the definition says.
    #[error("the datasets of the cluster cannot be opened on this executor")]
    Datasets(#[source] spice_runtime::OpenError),
    /// The node was told to stop before it came up.
    #[error("stopped before the application was open")]
    Stopped,
}

/// A definition that a scheduler gave.
pub(crate) struct Defined {
    app: App,
    scheduler: NodeAddress,
}

/// A definition, and who gives the secrets that it refers to.
pub(crate) struct Entrusted {
    app: App,
    scheduler: NodeAddress,
    secrets: Arc<dyn SecretSource>,
}

/// An open definition: every dataset can be read here, or will be once it is within reach.
pub(crate) struct Opened {
    pub(crate) runtime: Runtime,
    /// Who gave it.
    pub(crate) scheduler: NodeAddress,
}

/// Asks the seeds of `links` in turn until one gives its application definition. A scheduler that
/// cannot be reached is asked again, with growing waits, until `shutdown`: nodes of a cluster
/// start in any order.
pub(crate) async fn define(
    transport: &NodeTransport,
    links: &SchedulerLinks,
    executor: &NodeId,
    shutdown: &CancellationToken,
) -> Result<Defined, BootError> {
    let mut backoff = Backoff::default();
    let mut reported = Reported::default();
    let schedulers = links.seeds();
    loop {
        for scheduler in &schedulers {
            let answer = tokio::select! {
                answer = ask(transport, scheduler, executor) => answer,
                () = shutdown.cancelled() => return Err(BootError::Stopped),
            };
            match answer {
                Ok(definition) => {
                    links.seed_down(scheduler, OPENING);
                    return read(scheduler, &definition);
                }
                Err(status) if status.code() == Code::PermissionDenied => {
                    return Err(BootError::Denied {
                        scheduler: scheduler.clone(),
                        executor: executor.clone(),
                    });
                }
                Err(status) => {
                    let reason = causes(&status);
                    links.seed_down(scheduler, &reason);
                    reported.unreachable(scheduler, &reason);
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = shutdown.cancelled() => return Err(BootError::Stopped),
        }
    }
}

impl Defined {
    pub(crate) fn digest(&self) -> &str {
        self.app.digest()
    }

    /// Who gave it.
    pub(crate) fn scheduler(&self) -> &NodeAddress {
        &self.scheduler
    }

    /// Says who is asked for secrets from here on.
    pub(crate) fn entrust(self, secrets: SchedulerSecrets) -> Entrusted {
        Entrusted {
            app: self.app,
            scheduler: self.scheduler,
            secrets: Arc::new(secrets),
        }
    }
}

impl Entrusted {
    /// Opens every dataset and view, with the secrets that it takes.
    pub(crate) async fn open(self, options: RuntimeOptions) -> Result<Opened, BootError> {
        let runtime = Runtime::open(&self.app, options, self.secrets)
            .await
            .map_err(BootError::Datasets)?;
        tracing::info!(digest = self.app.digest(), "application definition opened");
        let scheduler = self.scheduler;
        Ok(Opened { runtime, scheduler })
    }
}

pub(crate) async fn ask(
    transport: &NodeTransport,
    scheduler: &NodeAddress,
    executor: &NodeId,
) -> Result<pb::GetAppDefinitionResponse, Status> {
    let channel = transport.channel(scheduler, Role::Scheduler, &ChannelOptions::default());
    let mut client =
        ClusterServiceClient::new(channel).max_decoding_message_size(DEFINITION_LIMIT_BYTES);
    let request = pb::GetAppDefinitionRequest {
        executor_id: executor.to_string(),
    };
    match timeout(ASK_TIMEOUT, client.get_app_definition(request)).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}

pub(crate) fn read(
    scheduler: &NodeAddress,
    answer: &pb::GetAppDefinitionResponse,
) -> Result<Defined, BootError> {
    let app = App::from_json(&answer.app_json).map_err(|source| BootError::Definition {
        scheduler: scheduler.clone(),
        source,
    })?;
    let scheduler = scheduler.clone();
    Ok(Defined { app, scheduler })
}

/// What was said about unreachable schedulers: the same trouble is worth one warning.
#[derive(Default)]
pub(crate) struct Reported {
    last: BTreeMap<NodeAddress, String>,
}

impl Reported {
    pub(crate) fn unreachable(&mut self, scheduler: &NodeAddress, error: &str) {
        if self.last.get(scheduler).is_some_and(|last| last == error) {
            tracing::debug!(%scheduler, error, "scheduler still not reached");
            return;
        }
        tracing::warn!(%scheduler, error, hint = LOOK_THERE, "scheduler not reached, trying on");
        self.last.insert(scheduler.clone(), error.to_owned());
    }

    /// Its next trouble is worth a warning again.
    pub(crate) fn reached(&mut self, scheduler: &NodeAddress) {
        self.last.remove(scheduler);
    }
}

/// What went wrong in one line: the message of the status and the innermost cause, which names
/// the TLS reason. The layers between repeat each other.
pub(crate) fn causes(status: &Status) -> String {
    let mut innermost: Option<&dyn std::error::Error> = None;
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        innermost = Some(error);
        cause = error.source();
    }
    let message = status.message();
    match innermost.map(ToString::to_string) {
        Some(reason) if reason.contains(CUT) => BROKEN_OFF.to_owned(),
        Some(reason) if !message.contains(&reason) => format!("{message}: {reason}"),
        _ => message.to_owned(),
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.collect::<Vec<_>>().join(": ").replace('\n', "; ")
}

/// What the TLS library says, with a link to its manual, of a peer that was killed or whose machine
/// went away.
const CUT: &str = "without sending TLS close_notify";

const BROKEN_OFF: &str = "the connection broke off without a farewell";

/// What helps when the other side hung up: it knows why, and tells nobody but its log.
pub(crate) const LOOK_THERE: &str = "where it refuses this node, its log says why";

/// Why an executor does not work yet for a scheduler that answers.
const OPENING: &str = "it answered, and its application is being opened";

const ASK_TIMEOUT: Duration = Duration::from_secs(15);

/// The same limit as on the scheduler's side.
const DEFINITION_LIMIT_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_broke_off_is_told_without_a_link_into_a_manual_and_the_rest_by_its_cause() {
        let told = |kind, text: &str| {
            let cause = Box::new(io::Error::new(kind, text.to_owned()));
            causes(&Status::from_error(cause))
        };
        let cut = "peer closed connection without sending TLS close_notify: https://docs.rs/";
        assert_eq!(told(io::ErrorKind::UnexpectedEof, cut), BROKEN_OFF);
        let refused = told(io::ErrorKind::ConnectionRefused, "nobody is there");
        assert!(refused.contains("nobody is there"), "{refused}");
    }
}
