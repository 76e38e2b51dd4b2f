//! Secrets of an application, as the scheduler that gave the application gives them.
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

/// Asks a scheduler for the secrets of the application that it gave.
pub(crate) struct SchedulerSecrets {
    transport: NodeTransport,
    scheduler: NodeAddress,
    executor: NodeId,
    known: Mutex<HashMap<SecretReference, Known>>,
}

/// A secret that was given a moment ago.
struct Known {
    secret: SecretString,
    since: Instant,
}

/// Why the scheduler gave no secret.
#[derive(Debug, Error)]
#[error("the scheduler at {scheduler} did not give it: {reason}")]
struct Unanswered {
    scheduler: NodeAddress,
    reason: String,
}

impl SchedulerSecrets {
    /// For the executor with this id, of the scheduler whose definition it is: any other would give
    /// a secret of its own to wherever that definition sends it (`apps.rs`). Connections are made for
    /// one question each: there are few, and long pauses between them.
    pub(crate) fn new(
        transport: &NodeTransport,
        scheduler: &NodeAddress,
        executor: &NodeId,
    ) -> SchedulerSecrets {
        SchedulerSecrets {
            transport: transport.clone(),
            scheduler: scheduler.clone(),
            executor: executor.clone(),
            known: Mutex::default(),
        }
    }

    /// Asks once.
    async fn ask(&self, reference: &SecretReference) -> Result<SecretString, Status> {
        let options = ChannelOptions::default();
        let scheduler = &self.scheduler;
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

    /// Asks until there is an answer, for as long as a scheduler may take to restart.
    async fn asked(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        let begun = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            let status = match self.ask(reference).await {
                Ok(secret) => {
                    self.remember(reference, &secret);
                    return Ok(secret);
                }
                Err(status) => status,
            };
            if matches!(
                status.code(),
                Code::InvalidArgument | Code::PermissionDenied
            ) {
                let reference = reference.clone();
                return Err(SecretError::Refused { reference });
            }
            let wait = backoff.next();
            if begun.elapsed() + wait > PATIENCE {
                return Err(SecretError::Unavailable {
                    reference: reference.clone(),
                    source: Box::new(Unanswered {
                        scheduler: self.scheduler.clone(),
                        reason: reason(&status),
                    }),
                });
            }
            sleep(wait).await;
        }
    }

    /// What was given for `reference`, if it is younger than this.
    fn recall(&self, reference: &SecretReference, age: Duration) -> Option<SecretString> {
        let mut known = self.known();
        known.retain(|_, known| known.since.elapsed() < KEPT_FOR);
        let known = known.get(reference)?;
        let young = known.since.elapsed() < age;
        young.then(|| SecretString::from(known.secret.expose_secret()))
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
        match self.recall(reference, KEPT_FOR) {
            Some(secret) => Ok(secret),
            None => self.asked(reference).await,
        }
    }

    async fn secret_anew(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        match self.recall(reference, ANEW_AFTER) {
            Some(secret) => Ok(secret),
            None => self.asked(reference).await,
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

/// How long a secret is not asked for again. Datasets that share one are opened together.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How long one that was refused where it was used is not asked for again: it may have been replaced
/// in its store, and one that is wrong is refused to every task.
const ANEW_AFTER: Duration = Duration::from_secs(5);

/// A secret has up to a mebibyte.
const ANSWER_LIMIT_BYTES: usize = 2 * 1024 * 1024;
