//! Secrets of Kubernetes, from a server that speaks its API over TLS.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster_test::{Leaf, TestPki};
use rustls::crypto::aws_lc_rs;
use secrecy::ExposeSecret;
use spice_runtime::{KubernetesApi, LocalSecrets, SecretError, SecretSource, SecretStores};
use spicepod::SecretReference;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::fixture::PATIENCE;

/// An API server, and a pod with a service account and a store that asks it.
struct Pod {
    account: TempDir,
    stores: SecretStores,
    api: Api,
}

/// What the server answers, what it was asked, and its task, which ends with it.
struct Api {
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Pod {
    /// A pod that believes `trusted`, of a server with a certificate of `issuer`.
    async fn new(issuer: &TestPki, trusted: &TestPki) -> Result<Self> {
        let account = tempfile::tempdir()?;
        for (name, text) in [
            ("token", "first-token"),
            ("namespace", "shop"),
            ("ca.crt", &trusted.ca_pem()),
        ] {
            fs::write(account.path().join(name), text)?;
        }
        let (api, port) = Api::start(issuer).await?;
        let url = format!("https://127.0.0.1:{port}").parse()?;
        let directory = PathBuf::from(account.path());
        let local = LocalSecrets::new(Some(KubernetesApi::at(url, directory)));
        let manifest = "{version: v1, kind: Spicepod, name: a, \
            secrets: [{from: 'kubernetes:lake', name: kube}]}";
        let app = spicepod::parse(manifest, &account.path().join("spicepod.yaml"))?;
        let stores = local.stores_of(&app);
        Ok(Self {
            account,
            stores,
            api,
        })
    }

    async fn ask(&self, key: &str) -> Result<String, SecretError> {
        let reference = SecretReference::new("kube", key).map_err(|error| {
            unreachable!("{key} is a key: {error}");
        });
        let secret = self.stores.secret(&reference?).await?;
        Ok(secret.expose_secret().to_owned())
    }

    /// What is wrong, with all causes, where a secret must not be had.
    async fn trouble(&self, key: &str) -> Result<String> {
        let error = self.ask(key).await.err().context("it is given")?;
        ensure!(matches!(error, SecretError::Unavailable { .. }), "{error}");
        Ok(format!("{:#}", anyhow::Error::new(error)))
    }
}

impl Api {
    async fn start(issuer: &TestPki) -> Result<(Self, u16)> {
        let issued = issuer.issue(&Leaf::new("kubernetes"))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(issued.chain(), issued.key())?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (answer, asked) = (Arc::default(), Arc::default());
        let api = (Arc::clone(&answer), Arc::clone(&asked));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that believes nothing of this hangs up.
                let _ = serve(&acceptor, stream, &api).await;
            }
        });
        let api = Self {
            answer,
            asked,
            _serving: serving,
        };
        Ok((api, port))
    }

    fn answers(&self, status: &str, body: &str) -> Result<()> {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        *self.answer.lock().map_err(poisoned)? = answer;
        Ok(())
    }

    fn last_request(&self) -> Result<String> {
        let asked = self.asked.lock().map_err(poisoned)?;
        Ok(asked.last().context("nothing was asked")?.to_lowercase())
    }
}

type State = (Arc<Mutex<String>>, Arc<Mutex<Vec<String>>>);

async fn serve(acceptor: &TlsAcceptor, stream: TcpStream, (answer, asked): &State) -> Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    asked.lock().map_err(poisoned)?.push(head);
    let answer = answer.lock().map_err(poisoned)?.clone();
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

fn poisoned<T>(_: T) -> anyhow::Error {
    anyhow::anyhow!("a test panicked")
}

#[tokio::test]
async fn a_secret_is_read_with_the_account_of_the_pod_as_it_is_now() -> Result<()> {
    let pki = TestPki::new()?;
    let pod = Pod::new(&pki, &pki).await?;
    for (token, encoded, value) in [
        ("first-token", "aHVudGVyMg==", "hunter2"),
        ("second-token", "cmVwbGFjZWQ=", "replaced"),
    ] {
        fs::write(pod.account.path().join("token"), format!("{token}\n"))?;
        let object = format!(r#"{{"kind":"Secret","data":{{"s3.secret":"{encoded}"}}}}"#);
        pod.api.answers("200 OK", &object)?;
        ensure!(pod.ask("s3.secret").await? == value);
        let request = pod.api.last_request()?;
        let path = "get /api/v1/namespaces/shop/secrets/lake http/1.1";
        ensure!(request.starts_with(path), "{request}");
        let bearer = format!("authorization: bearer {token}\r\n");
        ensure!(request.contains(&bearer), "{request}");
        let error = pod.ask("other").await.err().context("it is given")?;
        ensure!(matches!(error, SecretError::Absent { .. }), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn trouble_with_the_api_is_told_with_its_remedy_and_without_what_was_sent() -> Result<()> {
    let pki = TestPki::new()?;
    let pod = Pod::new(&pki, &pki).await?;
    let long = format!(r#"{{"data":{{"a":"{}"}}}}"#, "A".repeat(5 * 1024 * 1024));
    let values = r#"{"data":{"a":"hunter2hunter2"}}"#;
    for (status, body, told) in [
        ("403 Forbidden", "hunter2", "`resourceNames`"),
        (
            "401 Unauthorized",
            "hunter2",
            "does not know the service account",
        ),
        ("404 Not Found", "hunter2", "create the Secret"),
        ("500 Internal Server Error", "hunter2", "answers 500"),
        // It is not followed anywhere with the token.
        (
            "302 Found\r\nlocation: https://127.0.0.1/",
            "hunter2",
            "answers 302",
        ),
        ("200 OK", "hunter2", "sent no Secret"),
        ("200 OK", values, "sent no Secret"),
        ("200 OK", &long, "is larger than"),
    ] {
        pod.api.answers(status, body)?;
        let trouble = pod.trouble("a").await?;
        ensure!(trouble.contains(told), "{status}: {trouble}");
        ensure!(!trouble.contains("hunter2"), "{status}: {trouble}");
        ensure!(!trouble.contains("first-token"), "{status}: {trouble}");
    }
    fs::remove_file(pod.account.path().join("token"))?;
    let trouble = pod.trouble("a").await?;
    ensure!(trouble.contains("token: "), "{trouble}");
    Ok(())
}

/// An API that takes connections and says nothing.
#[tokio::test]
async fn a_slow_api_is_asked_a_bounded_number_of_questions_at_once() -> Result<()> {
    let pki = TestPki::new()?;
    let pod = Pod::new(&pki, &pki).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", listener.local_addr()?).parse()?;
    let directory = PathBuf::from(pod.account.path());
    let local = LocalSecrets::new(Some(KubernetesApi::at(url, directory)));
    // Of two applications, and of two stores each.
    let manifest = "{version: v1, kind: Spicepod, name: a, secrets: [\
        {from: 'kubernetes:lake', name: one}, {from: 'kubernetes:crm', name: other}]}";
    let app = spicepod::parse(manifest, &pod.account.path().join("spicepod.yaml"))?;
    let mut asking = JoinSet::new();
    for number in 0..24 {
        let stores = local.stores_of(&app);
        let store = if number % 2 == 0 { "one" } else { "other" };
        let reference = SecretReference::new(store, &format!("KEY_{number}"))?;
        asking.spawn(async move { stores.secret(&reference).await.map(drop) });
    }
    let mut questions = Vec::new();
    for _ in 0..8 {
        questions.push(timeout(PATIENCE, listener.accept()).await??);
    }
    let ninth = timeout(Duration::from_millis(300), listener.accept()).await;
    ensure!(ninth.is_err(), "a ninth is asked");
    // One that ends makes room for one more.
    questions.pop();
    timeout(PATIENCE, listener.accept()).await??;
    // All of them end, those that never had a turn too.
    while let Some(asked) = timeout(PATIENCE, asking.join_next()).await? {
        let error = asked?.err().context("it is given")?;
        ensure!(matches!(error, SecretError::Unavailable { .. }), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_of_another_authority_is_told_nothing() -> Result<()> {
    let pod = Pod::new(&TestPki::new()?, &TestPki::new()?).await?;
    pod.api
        .answers("200 OK", r#"{"data":{"a":"aHVudGVyMg=="}}"#)?;
    let trouble = pod.trouble("a").await?;
    ensure!(trouble.contains("cannot be reached"), "{trouble}");
    ensure!(pod.api.last_request().is_err(), "it was asked");
    Ok(())
}
