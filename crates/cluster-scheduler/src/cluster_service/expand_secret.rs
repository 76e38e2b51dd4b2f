//! Giving an executor one secret of the application that it serves, and nothing else.
//!
//! Three requests get the same answer: for a secret that the application does not refer to, for
//! one that it refers to through another store, and for one that no store has. They also take
//! the same way: each asks the store once. For a secret that is not referred to that is a look at
//! a key which cannot be there, so that how long an answer takes tells nothing about what a store
//! holds.

use std::net::SocketAddr;
use std::time::Duration;

use cluster_proto::{NodeId, REQUEST_ID_HEADER, pb};
use cluster_tls::tonic::Permit;
use secrecy::{ExposeSecret as _, SecretString};
use spice_runtime::{SecretError, SecretSource};
use spicepod::{ALL_STORES, App, SecretReference, SecretStore};
use tokio::time::timeout;
use tonic::{Response, Status};

use super::ClusterServiceState;
use crate::authorization::ExpandSecret;
use crate::events::{Keeping, NotKept, SecretAnswer, SecretOutcome};
use crate::status::Refused;

/// A permitted request, and where it came from.
pub(super) struct Asked {
    pub(super) executor: NodeId,
    pub(super) remote: Option<SocketAddr>,
    pub(super) request: pb::ExpandSecretRequest,
}

impl ClusterServiceState {
    /// Answers, and tells what came of it: the value is in the answer alone.
    pub(super) async fn expand_secret(
        &self,
        permit: &Permit<ExpandSecret>,
        asked: Asked,
    ) -> Result<Response<pb::ExpandSecretResponse>, Status> {
        let request_id = uuid::Uuid::now_v7().to_string();
        let app = self.app();
        let stores = self.secrets.stores_of(&app);
        let question = Question::of(&app, &asked.request);
        let outcome = question.ask(&stores, &request_id).await;
        let keeping = self.events.secret_answered(&SecretAnswer {
            executor: &asked.executor,
            peer: permit.peer().map(AsRef::as_ref),
            remote: asked.remote,
            store: clipped(&asked.request.store),
            key: clipped(&asked.request.key),
            outcome: match &outcome {
                Ok(_) => SecretOutcome::Given,
                Err(outcome) => *outcome,
            },
            request_id: &request_id,
        });
        let outcome = match outcome {
            Ok(secret) => given(secret, keeping).await,
            refused => refused,
        };
        answered(asked.request.key, outcome, &request_id)
    }
}

/// A secret goes to nobody who would not be known to have it.
async fn given(secret: SecretString, keeping: Keeping<'_>) -> Result<SecretString, SecretOutcome> {
    match keeping.await {
        Ok(()) => Ok(secret),
        Err(NotKept) => Err(SecretOutcome::Withheld),
    }
}

/// The answer on the wire, with the name that the audit log has for it.
fn answered(
    key: String,
    outcome: Result<SecretString, SecretOutcome>,
    request_id: &str,
) -> Result<Response<pb::ExpandSecretResponse>, Status> {
    let mut answer = outcome
        .map(|secret| {
            let value = secret.expose_secret().to_owned();
            Response::new(pb::ExpandSecretResponse { key, value })
        })
        .map_err(|outcome| match outcome {
            SecretOutcome::StoreFailed => Status::from(Refused::SecretStore),
            SecretOutcome::Withheld => Status::from(Refused::SecretWithheld),
            _ => Status::from(Refused::Secret),
        });
    let metadata = match &mut answer {
        Ok(response) => response.metadata_mut(),
        Err(status) => status.metadata_mut(),
    };
    if let Ok(id) = request_id.parse() {
        metadata.insert(REQUEST_ID_HEADER, id);
    }
    answer
}

/// What a request comes to.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    /// What to look up.
    reference: SecretReference,
    /// Whether that is what was asked for.
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Referenced,
    NotReferenced,
}

impl Question {
    /// A pair of key and store is what the application refers to, or it is not: a key of one store
    /// gives nothing of another one. Other implementations name no store, and mean all.
    fn of(app: &App, request: &pb::ExpandSecretRequest) -> Question {
        let store = match request.store.as_str() {
            "" => ALL_STORES,
            store => store,
        };
        let asked = SecretReference::new(store, &request.key).ok();
        let referenced = asked.filter(|asked| app.secret_references().contains(asked));
        match referenced {
            Some(reference) => Question {
                reference,
                standing: Standing::Referenced,
            },
            None => Question {
                reference: nothing_in(app, store),
                standing: Standing::NotReferenced,
            },
        }
    }

    async fn ask(
        &self,
        secrets: &impl SecretSource,
        request_id: &str,
    ) -> Result<SecretString, SecretOutcome> {
        let found = timeout(LOOKUP_LIMIT, secrets.secret(&self.reference)).await;
        match (found, self.standing) {
            (Ok(Ok(secret)), Standing::Referenced) => Ok(secret),
            (Ok(Err(SecretError::Absent { .. })), Standing::Referenced) => {
                Err(SecretOutcome::Absent)
            }
            (Ok(Ok(_) | Err(SecretError::Absent { .. })), Standing::NotReferenced) => {
                Err(SecretOutcome::NotReferenced)
            }
            (Ok(Err(error)), _) => {
                let error = causes(&error);
                tracing::warn!(request_id, error, "secret store failed");
                Err(SecretOutcome::StoreFailed)
            }
            (Err(_), _) => {
                let store = self.reference.store();
                tracing::warn!(request_id, store, "secret store did not answer in time");
                Err(SecretOutcome::StoreFailed)
            }
        }
    }
}

/// A secret that is not there, in the store that was named or, where there is none of that name,
/// in all of them.
#[expect(
    clippy::expect_used,
    reason = "the store is one of the application's or stands for all, and the key is fixed"
)]
fn nothing_in(app: &App, store: &str) -> SecretReference {
    let mut declared = app.secret_stores().iter().map(SecretStore::name);
    let store = declared.find(|name| *name == store).unwrap_or(ALL_STORES);
    SecretReference::new(store, NO_SECRET).expect("a declared store has a valid name")
}

/// An error of a store with its causes, which name files and servers and never a value.
fn causes(error: &SecretError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// As much of what a peer sent as a name can be long.
fn clipped(text: &str) -> &str {
    let mut end = text.len().min(NAME_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A key that nobody gives a secret: it stands for those that are not referred to.
const NO_SECRET: &str = "spice-no-such-secret";

/// The longest name of a key or store.
const NAME_BYTES: usize = 253;

/// Shorter than executors wait, so that they get an answer.
const LOOKUP_LIMIT: Duration = Duration::from_secs(12);

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// Has every secret that is not called MISSING, and remembers what it was asked for.
    #[derive(Debug, Default)]
    struct Everything {
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl SecretSource for Everything {
        async fn secret(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
            self.asked.lock().unwrap().push(reference.to_string());
            let reference = reference.clone();
            match reference.key() {
                "MISSING" | NO_SECRET => Err(SecretError::Absent {
                    reference,
                    looked_in: vec![],
                }),
                "BROKEN" => Err(SecretError::Unavailable {
                    reference,
                    source: "no such directory".into(),
                }),
                _ => Ok(SecretString::from("value")),
            }
        }
    }

    fn app() -> App {
        let manifest = "
version: v1
kind: Spicepod
name: a
secrets: [{from: env, name: env}, {from: 'file:/run', name: vault}]
datasets:
  - name: t
    from: s3://lake/t.csv
    params:
      s3_key: ${secrets:ALL}
      s3_secret: ${vault:GIVEN}${vault:MISSING}${vault:BROKEN}
";
        spicepod::parse(manifest, Path::new("/srv/spicepod.yaml")).unwrap()
    }

    async fn ask(store: &str, key: &str) -> (Result<(), SecretOutcome>, Vec<String>) {
        let request = pb::ExpandSecretRequest {
            executor_id: "127.0.0.1:1".to_owned(),
            key: key.to_owned(),
            store: store.to_owned(),
        };
        let source = Everything::default();
        let answer = Question::of(&app(), &request).ask(&source, "id").await;
        let asked = source.asked.into_inner().unwrap();
        (answer.map(|_| ()), asked)
    }

    #[tokio::test]
    async fn gives_a_secret_once_that_is_kept_and_keeps_it_back_where_that_fails() {
        for (kept, outcome) in [
            (Ok(()), Ok(())),
            (Err(NotKept), Err(SecretOutcome::Withheld)),
        ] {
            let keeping = Box::pin(std::future::ready(kept));
            let given = given(SecretString::from("value"), keeping).await;
            assert_eq!(given.map(|_| ()), outcome);
        }
        let withheld = answered("key".to_owned(), Err(SecretOutcome::Withheld), "id");
        // Executors take this for a scheduler to be asked again.
        assert_eq!(withheld.unwrap_err().code(), tonic::Code::Unavailable);
    }

    #[tokio::test]
    async fn gives_what_is_referred_to_through_its_own_store_alone() {
        assert_eq!(ask("vault", "GIVEN").await.0, Ok(()));
        assert_eq!(ask("secrets", "ALL").await.0, Ok(()));
        assert_eq!(ask("", "ALL").await.0, Ok(()));
        for (store, key) in [
            ("env", "GIVEN"),
            ("secrets", "GIVEN"),
            ("", "GIVEN"),
            ("vault", "ALL"),
            ("vault", "OTHER"),
            ("elsewhere", "GIVEN"),
            ("vault", "../GIVEN"),
            ("../vault", "GIVEN"),
            ("vault", ""),
            ("Vault", "GIVEN"),
        ] {
            let (answer, _) = ask(store, key).await;
            assert_eq!(answer, Err(SecretOutcome::NotReferenced), "{store}:{key}");
        }
        let (answer, _) = ask("vault", "MISSING").await;
        assert_eq!(answer, Err(SecretOutcome::Absent));
        let (answer, _) = ask("vault", "BROKEN").await;
        assert_eq!(answer, Err(SecretOutcome::StoreFailed));
    }

    #[tokio::test]
    async fn asks_the_store_once_whatever_the_answer_is_and_never_for_what_is_not_referred_to() {
        for (store, key, looked_up) in [
            ("vault", "GIVEN", "${vault:GIVEN}"),
            ("vault", "MISSING", "${vault:MISSING}"),
            ("vault", "OTHER", "${vault:spice-no-such-secret}"),
            ("env", "GIVEN", "${env:spice-no-such-secret}"),
            ("vault", "a/b", "${vault:spice-no-such-secret}"),
            ("elsewhere", "GIVEN", "${secrets:spice-no-such-secret}"),
        ] {
            let (_, asked) = ask(store, key).await;
            assert_eq!(asked, [looked_up], "{store}:{key}");
        }
    }

    #[test]
    fn clips_what_a_peer_sent_between_characters() {
        assert_eq!(clipped("short"), "short");
        let long = "ä".repeat(NAME_BYTES);
        assert_eq!(clipped(&long).len(), NAME_BYTES - 1);
    }
}
