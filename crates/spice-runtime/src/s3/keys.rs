//! The keys that requests are signed with, which may be replaced in their secret store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store_cloud::aws::AwsCredential;
use object_store_cloud::{CredentialProvider, Result};
use secrecy::ExposeSecret;
use spicepod::{ParamValue, S3Auth, TableName};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::secrets::{Anew, SecretError, SecretSource, expand};

/// The keys of one dataset.
pub(super) struct Keys {
    dataset: TableName,
    params: KeyParams,
    secrets: Arc<dyn SecretSource>,
    current: Mutex<Arc<AwsCredential>>,
    /// When they were looked up last.
    asked: Mutex<Instant>,
    /// Whoever is refused meanwhile waits for what comes of it.
    renewing: Semaphore,
}

/// Where the keys come from.
struct KeyParams {
    key: ParamValue,
    secret: ParamValue,
    session_token: Option<ParamValue>,
}

impl Keys {
    /// Looks them up; `None` where there are none.
    pub(super) async fn of(
        dataset: &TableName,
        auth: &S3Auth,
        secrets: &Arc<dyn SecretSource>,
    ) -> Result<Option<Arc<Keys>>, SecretError> {
        let S3Auth::Key {
            key,
            secret,
            session_token,
        } = auth
        else {
            return Ok(None);
        };
        let params = KeyParams {
            key: key.clone(),
            secret: secret.clone(),
            session_token: session_token.clone(),
        };
        let current = params.expanded(&**secrets).await?;
        Ok(Some(Arc::new(Keys {
            dataset: dataset.clone(),
            params,
            secrets: Arc::clone(secrets),
            current: Mutex::new(Arc::new(current)),
            asked: Mutex::new(Instant::now()),
            renewing: Semaphore::new(1),
        })))
    }

    /// Those that the next request is signed with.
    pub(super) fn current(&self) -> Arc<AwsCredential> {
        Arc::clone(&lock(&self.current))
    }

    /// Looks the keys up again after a store refused these, and tells whether others are in use now.
    /// What is wrong stays wrong for most who ask, so the secret store is asked now and then only.
    pub(super) async fn renewed_after(&self, refused: &Arc<AwsCredential>) -> bool {
        let Ok(_turn) = self.renewing.acquire().await else {
            return false;
        };
        if !Arc::ptr_eq(&self.current(), refused) {
            return true;
        }
        if !self.is_due(Instant::now()) {
            return false;
        }
        let anew = Anew(&*self.secrets);
        let looked_up = timeout(LOOKUP_LIMIT, self.params.expanded(&anew)).await;
        match looked_up {
            Ok(Ok(keys)) if keys != **refused => {
                *lock(&self.current) = Arc::new(keys);
                tracing::info!(dataset = %self.dataset, "keys were refused and are replaced");
                true
            }
            // The refusal is the better story.
            _ => false,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut asked = lock(&self.asked);
        let due = now.duration_since(*asked) >= PAUSE;
        if due {
            *asked = now;
        }
        due
    }
}

impl KeyParams {
    async fn expanded(&self, secrets: &dyn SecretSource) -> Result<AwsCredential, SecretError> {
        let text = async |value: &ParamValue| {
            let expanded = expand(value, secrets).await;
            expanded.map(|text| text.expose_secret().to_owned())
        };
        Ok(AwsCredential {
            key_id: text(&self.key).await?,
            secret_key: text(&self.secret).await?,
            token: match &self.session_token {
                Some(token) => Some(text(token).await?),
                None => None,
            },
        })
    }
}

#[async_trait]
impl CredentialProvider for Keys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        Ok(self.current())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between two looks at keys. Queries that fail for wrong keys, however many, make
/// no storm of questions, and new ones are in use soon after they are in their store.
const PAUSE: Duration = Duration::from_secs(5);

/// A query waits for it.
const LOOKUP_LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use secrecy::SecretString;
    use spicepod::{SecretReference, Source};

    use super::*;

    /// Gives the same word for everything until it is another one, and counts.
    #[derive(Debug)]
    struct Word {
        word: Mutex<&'static str>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl SecretSource for Word {
        async fn secret(&self, _: &SecretReference) -> Result<SecretString, SecretError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Ok(SecretString::from(*lock(&self.word)))
        }
    }

    async fn keys() -> (Arc<Word>, Arc<Keys>) {
        let manifest = "{version: v1, kind: Spicepod, name: a, datasets: [{name: t, \
            from: 's3://lake/t.csv', params: {s3_key: '${env:K}', s3_secret: '${env:S}'}}]}";
        let app = spicepod::parse(manifest, Path::new("/srv/spicepod.yaml")).unwrap();
        let dataset = &app.datasets()[0];
        let Source::S3(source) = dataset.source() else {
            panic!("the manifest says s3");
        };
        let word = Arc::new(Word {
            word: Mutex::new("old"),
            asked: AtomicUsize::default(),
        });
        let secrets: Arc<dyn SecretSource> = word.clone();
        let keys = Keys::of(dataset.name(), source.auth(), &secrets).await;
        (word, keys.unwrap().unwrap())
    }

    #[tokio::test]
    async fn refused_keys_are_looked_up_now_and_then_and_used_once_they_are_others() {
        let (word, keys) = keys().await;
        let old = keys.current();
        let asked = || word.asked.load(Ordering::Relaxed);
        assert_eq!(asked(), 2, "one for each of the two");
        let wait = || *lock(&keys.asked) = Instant::now().checked_sub(PAUSE).unwrap();
        for _ in 0..100 {
            assert!(!keys.renewed_after(&old).await);
        }
        wait();
        for _ in 0..100 {
            assert!(!keys.renewed_after(&old).await);
        }
        assert_eq!(asked(), 4, "wrong keys make a storm");

        *lock(&word.word) = "new";
        assert!(!keys.renewed_after(&old).await, "it is too soon");
        wait();
        assert!(keys.renewed_after(&old).await);
        assert_eq!(keys.current().secret_key, "new");
        // Whoever was refused with the old ones needs no look of its own.
        assert!(keys.renewed_after(&old).await);
        assert_eq!(asked(), 6);
        assert!(!format!("{keys:?}").contains("new"));
    }
}
