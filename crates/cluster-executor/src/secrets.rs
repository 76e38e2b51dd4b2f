//! Secrets of the application, as the schedulers give them.
//!
//! An executor has no secret store: neither its environment nor its files are asked. What it was
//! given stays in memory, and is wiped when it is no longer needed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cluster_proto::pb::cluster_service_client::ClusterServiceClient;
use cluster_proto::{NodeId, REQUEST_ID_HEADER, pb};
use cluster_tls::tonic::{ChannelOptions, NodeTransport};
use cluster_tls::{NodeAddress, Role};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use spice_runtime::{SecretError, SecretSource};
use spicepod::SecretReference;
use thiserror::Error;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::backoff::Backoff;
use crate::boot::causes;

/// Asks the schedulers for secrets.
pub(crate) struct SchedulerSecrets {
    transport: NodeTransport,
    schedulers: Vec<NodeAddress>,
    executor: NodeId,
    known: Mutex<HashMap<SecretReference, Known>>,
}

/// A secret that was given a moment ago.
struct Known {
    secret: SecretString,
    since: Instant,
}

/// Why no scheduler gave a secret, in the words of the last one that was asked.
#[derive(Debug, Error)]
#[error("the scheduler at {scheduler} did not give it: {reason}")]
struct Unanswered {
    scheduler: NodeAddress,
    reason: String,
}

/// What one round of questions came to.
enum Round {
    Given(SecretString),
    /// At least one scheduler answered that this executor does not get it.
    Refused,
    /// Nobody answered.
    Unanswered(Option<Unanswered>),
}

impl SchedulerSecrets {
    /// For the executor with this id, which works for `schedulers`. Connections are made for one
    /// question each: there are few, and long pauses between them.
    pub(crate) fn new(
        transport: &NodeTransport,
        schedulers: &[NodeAddress],
        executor: &NodeId,
    ) -> SchedulerSecrets {
        SchedulerSecrets {
            transport: transport.clone(),
            schedulers: schedulers.to_vec(),
            executor: executor.clone(),
            known: Mutex::default(),
        }
    }

    /// Asks once. The schedulers are those whose definition it is: any other would give a secret of
    /// its own to wherever that definition sends it (`apps.rs`).
    async fn round(&self, reference: &SecretReference) -> Round {
        let mut round = Round::Unanswered(None);
        for scheduler in &self.schedulers {
            let status = match self.ask(scheduler, reference).await {
                Ok(secret) => return Round::Given(secret),
                Err(status) => status,
            };
            match (status.code(), &round) {
                (Code::InvalidArgument | Code::PermissionDenied, _) => round = Round::Refused,
                (_, Round::Refused) => {}
                _ => {
                    round = Round::Unanswered(Some(Unanswered {
                        scheduler: scheduler.clone(),
                        reason: reason(&status),
                    }));
                }
            }
        }
        round
    }

    async fn ask(
        &self,
        scheduler: &NodeAddress,
        reference: &SecretReference,
    ) -> Result<SecretString, Status> {
        let options = ChannelOptions::default();
        let channel = self.transport.channel(scheduler, Role::Scheduler, &options);
        let mut client =
            ClusterServiceClient::new(channel).max_decoding_message_size(ANSWER_LIMIT_BYTES);
        let request = pb::ExpandSecretRequest {
            executor_id: self.executor.to_string(),
            key: reference.key().to_owned(),
            store: reference.store().to_owned(),
        };
        let Ok(answer) = timeout(ASK_TIMEOUT, client.expand_secret(request)).await else {
            return Err(Status::deadline_exceeded("no answer in time"));
        };
        let mut answer = answer?.into_inner();
        let value = Zeroizing::new(std::mem::take(&mut answer.value));
        Ok(SecretString::from(value.as_str()))
    }

    fn recall(&self, reference: &SecretReference) -> Option<SecretString> {
        let mut known = self.known();
        known.retain(|_, known| known.since.elapsed() < KEPT_FOR);
        let known = known.get(reference)?;
        Some(SecretString::from(known.secret.expose_secret()))
    }

    fn remember(&self, reference: &SecretReference, secret: &SecretString) {
        let known = Known {
            secret: SecretString::from(secret.expose_secret()),
            since: Instant::now(),
        };
        self.known().insert(reference.clone(), known);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SecretReference, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SecretSource for SchedulerSecrets {
    async fn secret(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        if let Some(secret) = self.recall(reference) {
            return Ok(secret);
        }
        let begun = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            let unanswered = match self.round(reference).await {
                Round::Given(secret) => {
                    self.remember(reference, &secret);
                    return Ok(secret);
                }
                Round::Refused => {
                    let reference = reference.clone();
                    return Err(SecretError::Refused { reference });
                }
                Round::Unanswered(unanswered) => unanswered,
            };
            let wait = backoff.next();
            if begun.elapsed() + wait > PATIENCE {
                return Err(SecretError::Unavailable {
                    reference: reference.clone(),
                    source: unanswered.map_or_else(
                        || "no scheduler is known".into(),
                        |cause| Box::new(cause).into(),
                    ),
                });
            }
            sleep(wait).await;
        }
    }
}

impl fmt::Debug for SchedulerSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerSecrets").finish_non_exhaustive()
    }
}

/// What went wrong, and where the scheduler's log has more about it.
fn reason(status: &Status) -> String {
    let request_id = status.metadata().get(REQUEST_ID_HEADER);
    match request_id.and_then(|id| id.to_str().ok()) {
        Some(id) => format!("{} (request {id})", causes(status)),
        None => causes(status),
    }
}

/// Longer than a scheduler waits for its stores.
const ASK_TIMEOUT: Duration = Duration::from_secs(15);

/// Schedulers restart within this; what cannot be had for longer is an error that somebody sees.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a secret is not asked for again. Datasets that share one are opened together; a
/// secret that was replaced in its store is seen at the first use after it.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// A secret has up to a mebibyte.
const ANSWER_LIMIT_BYTES: usize = 2 * 1024 * 1024;
