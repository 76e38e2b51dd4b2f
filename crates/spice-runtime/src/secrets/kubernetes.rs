//! Secrets in a Secret object, by the API of the Kubernetes cluster that the node runs in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Client, Response, StatusCode, redirect};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::Url;
use zeroize::Zeroizing;

use super::reading::{MAX_SECRET_BYTES, off_the_workers, text, turn};
use super::store_error::StoreError;

/// How to reach the API of a Kubernetes cluster, and as whom.
#[derive(Debug, Clone)]
pub struct KubernetesApi {
    url: Url,
    account: PathBuf,
}

impl KubernetesApi {
    /// The API of the cluster that this process runs in, with the service account that was
    /// mounted; `None` outside a cluster.
    #[must_use]
    pub fn of_this_pod() -> Option<KubernetesApi> {
        let host = std::env::var("KUBERNETES_SERVICE_HOST").ok()?;
        let port = std::env::var("KUBERNETES_SERVICE_PORT").ok()?;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        let url = Url::parse(&format!("https://{host}:{port}")).ok()?;
        Some(KubernetesApi::at(url, PathBuf::from(ACCOUNT_DIRECTORY)))
    }

    /// The API at `url`, which must be `https`, with the service account whose `token`, `ca.crt`
    /// and `namespace` are in the directory `account`.
    #[must_use]
    pub fn at(url: Url, account: PathBuf) -> KubernetesApi {
        KubernetesApi { url, account }
    }

    /// The value of `key` in the Secret `secret`, of the namespace of the service account. Token
    /// and certificate are read each time, because they are replaced while a pod runs. It is one of
    /// `turns` from its first file to the end of the answer.
    pub(super) async fn lookup(
        &self,
        secret: &str,
        key: &str,
        turns: &Arc<Semaphore>,
    ) -> Result<Option<SecretString>, StoreError> {
        let directory = self.account.clone();
        let turn = turn(turns).await?;
        let (account, _turn) = off_the_workers(turn, move || Account::read(&directory)).await?;
        let mut url = self.url.clone();
        // The segments are names without anything to escape.
        url.set_path(&format!(
            "/api/v1/namespaces/{}/secrets/{secret}",
            account.namespace.trim()
        ));
        let answer = ask(&url, &account).await?;
        value(&answer, key, &url)
    }
}

/// What a pod is to the API.
struct Account {
    token: Zeroizing<String>,
    roots: Vec<Certificate>,
    namespace: String,
}

impl Account {
    /// Blocks.
    fn read(directory: &Path) -> Result<Account, StoreError> {
        let read = |name: &str| {
            let path = directory.join(name);
            text(&path)?.ok_or_else(|| StoreError::Read {
                path,
                source: std::io::ErrorKind::NotFound.into(),
            })
        };
        let roots = read("ca.crt")?;
        let roots = Certificate::from_pem_bundle(roots.as_bytes());
        let roots = roots.map_err(|source| StoreError::Unreachable {
            url: directory.join("ca.crt").display().to_string(),
            source,
        })?;
        Ok(Account {
            token: read("token")?,
            roots,
            namespace: read("namespace")?.to_string(),
        })
    }
}

/// The object at `url` as JSON text.
async fn ask(url: &Url, account: &Account) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let unreachable = |source| StoreError::Unreachable {
        url: url.to_string(),
        source,
    };
    let client = Client::builder()
        .tls_certs_only(account.roots.iter().cloned())
        .https_only(true)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(ANSWER_LIMIT)
        .build()
        .map_err(unreachable)?;
    let request = client.get(url.clone()).bearer_auth(account.token.trim());
    let mut answer = request.send().await.map_err(unreachable)?;
    if answer.status() != StatusCode::OK {
        return Err(refused(&answer, url));
    }
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_OBJECT_BYTES));
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_OBJECT_BYTES {
            return Err(StoreError::TooLarge {
                what: url.to_string(),
                limit: MAX_OBJECT_BYTES,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn refused(answer: &Response, url: &Url) -> StoreError {
    let hint = match answer.status() {
        StatusCode::UNAUTHORIZED => "it does not know the service account of this pod",
        StatusCode::FORBIDDEN => {
            "allow the service account of this pod to `get` this one Secret, by a Role with \
             `resourceNames`"
        }
        StatusCode::NOT_FOUND => "create the Secret in the namespace of this pod",
        _ => "see its log",
    };
    StoreError::Refused {
        url: url.to_string(),
        status: answer.status().as_u16(),
        hint,
    }
}

/// The part of a Secret that matters. Text is borrowed from the answer, which is wiped: neither a
/// key nor base64 has anything to escape.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    data: HashMap<&'a str, &'a str>,
}

fn value(answer: &[u8], key: &str, url: &Url) -> Result<Option<SecretString>, StoreError> {
    let object: Object<'_> = serde_json::from_slice(answer)
        // The error may quote what it stumbled over.
        .map_err(|_| StoreError::NotASecret {
            url: url.to_string(),
        })?;
    let Some(encoded) = object.data.get(key) else {
        return Ok(None);
    };
    let what = || format!("{key} of {url}");
    let bytes = decoded(encoded).ok_or_else(|| StoreError::NotASecret {
        url: url.to_string(),
    })?;
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(StoreError::TooLarge {
            what: what(),
            limit: MAX_SECRET_BYTES,
        });
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(SecretString::from(text))),
        Err(_) => Err(StoreError::NotText { what: what() }),
    }
}

/// Decoded in memory that is wiped and does not move; `None` where it is no base64.
fn decoded(encoded: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; encoded.len().div_ceil(4) * 3]);
    let length = STANDARD.decode_slice(encoded, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// Where Kubernetes mounts the service account of a pod.
const ACCOUNT_DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// For the whole of one request; the API is on the same network.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);

/// A Secret holds up to 1 MiB, which base64 makes a third larger, and twice as much where the
/// command that applied it left its copy in an annotation.
const MAX_OBJECT_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn reads_one_key_of_a_secret_and_nothing_else() {
        let url = Url::parse("https://api/").unwrap();
        let object =
            br#"{"kind":"Secret","metadata":{"name":"s"},"data":{"a":"dmFsdWU=","b":"/w=="}}"#;
        let found = value(object, "a", &url).unwrap().unwrap();
        assert_eq!(found.expose_secret(), "value");
        assert!(value(object, "c", &url).unwrap().is_none());
        assert!(value(b"{}", "a", &url).unwrap().is_none());
        let error = value(object, "b", &url).unwrap_err();
        assert!(matches!(error, StoreError::NotText { .. }), "{error}");
        for garbage in [
            &b"hunter2"[..],
            br#"{"data":{"a":7}}"#,
            br#"{"data":{"a":"hunter2"}}"#,
            br#"{"data":{"a":"aHVudGVyMg"}}"#,
            br#"{"data":{"a":"aHVudGVyMg==\n"}}"#,
        ] {
            let error = value(garbage, "a", &url).unwrap_err();
            assert!(matches!(error, StoreError::NotASecret { .. }), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
