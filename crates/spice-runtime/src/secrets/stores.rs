//! The secret stores of an application, on a node that has them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use spicepod::{ALL_STORES, App, SecretReference, SecretStore, StoreKind};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::kubernetes::KubernetesApi;
use super::reading::{off_the_workers, turn};
use super::store_error::StoreError;
use super::{SecretError, SecretSource, environment, files};

/// What a node reads the secret stores of applications with. Cheap to clone; clones share the bounds
/// on what is read at once.
#[derive(Debug, Clone)]
pub struct LocalSecrets {
    kubernetes: Option<KubernetesApi>,
    /// Of files, which an API that does not answer must not hold up.
    reads: Arc<Semaphore>,
    /// Of the Kubernetes API, whatever the store, the Secret and the key.
    requests: Arc<Semaphore>,
}

impl LocalSecrets {
    /// `kubernetes` is what stores of that kind ask; see [`KubernetesApi::of_this_pod`].
    #[must_use]
    pub fn new(kubernetes: Option<KubernetesApi>) -> LocalSecrets {
        LocalSecrets {
            kubernetes,
            reads: Arc::new(Semaphore::new(CONCURRENT_READS)),
            requests: Arc::new(Semaphore::new(CONCURRENT_REQUESTS)),
        }
    }

    /// The stores of one application. Nothing is read until a secret is asked for.
    #[must_use]
    pub fn stores_of(&self, app: &App) -> SecretStores {
        SecretStores {
            stores: app.secret_stores().to_vec(),
            local: self.clone(),
        }
    }

    async fn read(
        &self,
        read: impl FnOnce() -> Result<Option<SecretString>, StoreError> + Send + 'static,
    ) -> Result<Option<SecretString>, StoreError> {
        let turn = turn(&self.reads).await?;
        let (found, _turn) = off_the_workers(turn, read).await?;
        Ok(found)
    }
}

/// The secret stores of an application. Nothing is kept: each secret is read when it is asked
/// for, so that one which is replaced in its store is replaced here.
#[derive(Debug)]
pub struct SecretStores {
    stores: Vec<SecretStore>,
    local: LocalSecrets,
}

impl SecretStores {
    /// The stores that `reference` means, in the order in which they are asked.
    fn meant(&self, reference: &SecretReference) -> impl Iterator<Item = &SecretStore> {
        let name = reference.store().to_owned();
        let stores = self.stores.iter().rev();
        stores.filter(move |store| name == ALL_STORES || name == store.name())
    }

    /// The first of the stores which `reference` means that has the key. A store that cannot be
    /// asked is not passed over: another one may have an older value.
    async fn find(&self, reference: &SecretReference) -> Result<Option<SecretString>, StoreError> {
        for store in self.meant(reference) {
            let lookup = timeout(LOOKUP_LIMIT, self.look_into(store.kind(), reference.key()));
            let found = lookup.await.map_err(|_| StoreError::Slow {
                store: store.name().to_owned(),
                seconds: LOOKUP_LIMIT.as_secs(),
            })??;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn look_into(
        &self,
        kind: &StoreKind,
        key: &str,
    ) -> Result<Option<SecretString>, StoreError> {
        let name = key.to_owned();
        match kind {
            StoreKind::Env { file_path } => {
                let file = file_path.as_ref().map(PathBuf::from);
                let read = move || environment::lookup(file.as_ref(), &name);
                self.local.read(read).await
            }
            StoreKind::File { directory } => {
                let directory = PathBuf::from(directory);
                self.local
                    .read(move || files::lookup(&directory, &name))
                    .await
            }
            StoreKind::Kubernetes { secret } => {
                let api = self.local.kubernetes.as_ref();
                let api = api.ok_or(StoreError::NoCluster)?;
                api.lookup(secret, key, &self.local.requests).await
            }
        }
    }
}

#[async_trait]
impl SecretSource for SecretStores {
    async fn secret(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        match self.find(reference).await {
            Ok(Some(secret)) => Ok(secret),
            Ok(None) => Err(SecretError::Absent {
                reference: reference.clone(),
                looked_in: self
                    .meant(reference)
                    .map(|it| it.name().to_owned())
                    .collect(),
            }),
            Err(source) => Err(SecretError::Unavailable {
                reference: reference.clone(),
                source: Box::new(source),
            }),
        }
    }
}

/// How long one store may take. Whoever asks for a secret waits for it.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// How many files are read at once. One that hangs occupies a thread for as long as that lasts.
const CONCURRENT_READS: usize = 8;

/// How many questions the Kubernetes API is asked at once, each of which holds an object of up to
/// four mebibytes. An answer takes milliseconds; who waits for a turn waits within the limit above.
const CONCURRENT_REQUESTS: usize = 8;

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::fs;
    use std::path::Path;

    use secrecy::ExposeSecret as _;
    use tempfile::TempDir;

    use super::*;

    /// Two directories, of which `second` is declared last.
    struct Stores {
        directory: TempDir,
        stores: SecretStores,
    }

    impl Stores {
        fn new() -> Stores {
            let directory = tempfile::tempdir().unwrap();
            for name in ["first", "second"] {
                fs::create_dir(directory.path().join(name)).unwrap();
            }
            let manifest = "{version: v1, kind: Spicepod, name: a, secrets: [\
                {from: 'file:first', name: first}, {from: 'file:second', name: second}]}";
            let origin = directory.path().join("spicepod.yaml");
            let app = spicepod::parse(manifest, &origin).unwrap();
            let stores = LocalSecrets::new(None).stores_of(&app);
            Stores { directory, stores }
        }

        fn put(&self, place: &str, value: &str) {
            fs::write(self.directory.path().join(place), value).unwrap();
        }

        async fn ask(&self, store: &str, key: &str) -> Result<String, SecretError> {
            let reference = SecretReference::new(store, key).unwrap();
            let secret = self.stores.secret(&reference).await?;
            Ok(secret.expose_secret().to_owned())
        }
    }

    #[tokio::test]
    async fn each_store_has_its_own_and_the_last_declared_comes_first() {
        let stores = Stores::new();
        stores.put("first/both", "1");
        stores.put("second/both", "2");
        stores.put("first/one", "only");
        assert_eq!(stores.ask("first", "both").await.unwrap(), "1");
        assert_eq!(stores.ask("second", "both").await.unwrap(), "2");
        assert_eq!(stores.ask("secrets", "both").await.unwrap(), "2");
        assert_eq!(stores.ask("secrets", "one").await.unwrap(), "only");
        for (store, key, told) in [
            ("second", "one", "(looked in: second)"),
            ("secrets", "none", "(looked in: second, first)"),
            ("third", "both", "is in no store that it may come from"),
        ] {
            let error = stores.ask(store, key).await.unwrap_err();
            assert!(matches!(error, SecretError::Absent { .. }), "{error}");
            assert!(error.to_string().ends_with(told), "{error}");
        }
        stores.put("second/both", "rotated");
        assert_eq!(stores.ask("secrets", "both").await.unwrap(), "rotated");
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_asked_is_not_passed_over() {
        let stores = Stores::new();
        stores.put("first/both", "1");
        fs::remove_dir(stores.directory.path().join("second")).unwrap();
        let error = stores.ask("secrets", "both").await.unwrap_err();
        assert!(matches!(error, SecretError::Unavailable { .. }), "{error}");
        assert!(error.source().unwrap().to_string().contains("second"));
        assert_eq!(stores.ask("first", "both").await.unwrap(), "1");
    }

    #[tokio::test]
    async fn a_kubernetes_store_outside_a_cluster_says_so() {
        let manifest = "{version: v1, kind: Spicepod, name: a, \
            secrets: [{from: 'kubernetes:s', name: k}]}";
        let app = spicepod::parse(manifest, Path::new("/srv/spicepod.yaml")).unwrap();
        let stores = LocalSecrets::new(None).stores_of(&app);
        let reference = SecretReference::new("k", "KEY").unwrap();
        let error = stores.secret(&reference).await.unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("no Kubernetes pod"), "{cause}");
    }
}
