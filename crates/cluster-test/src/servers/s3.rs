//! An S3-compatible server: moto, which keeps everything in memory and honours conditional writes,
//! behind a check of signatures (`s3.py`).

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object_store_cloud::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store_cloud::{ObjectStoreExt, PutPayload};
use serde_json::json;
use tokio::process::Command;

use super::process::Process;
use super::random_word;
use crate::log::LogLine;

/// A running server with one empty bucket and one pair of keys, which no other server knows.
#[derive(Debug)]
pub struct S3Server {
    process: Process,
    address: SocketAddr,
    credentials: Credentials,
}

/// A pair of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Names the pair; no secret.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: String,
}

impl Credentials {
    /// A pair that nobody knows yet.
    #[must_use]
    pub fn random() -> Self {
        Self {
            access_key_id: format!("AK{}", random_word()),
            // A secret of S3 holds these characters too, and they have a meaning elsewhere.
            secret_access_key: format!("{}/+{}", random_word(), random_word()),
        }
    }

    /// As the server reads them.
    fn line(&self) -> String {
        format!(
            "{}\n",
            json!({ &self.access_key_id: self.secret_access_key })
        )
    }
}

impl S3Server {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When its Python packages are not installed, which `cargo xtask test` does, or it does not
    /// start, with what it wrote.
    pub async fn start() -> Result<Self> {
        Self::start_at(0, Credentials::random()).await
    }

    async fn start_at(port: u16, credentials: Credentials) -> Result<Self> {
        let mut command = Command::new(python()?);
        command.args(["-c", SCRIPT, &port.to_string(), Self::BUCKET]);
        let process = Process::start("the S3 server", command, &credentials.line()).await?;
        let listening = |text: &str| text.strip_prefix(LISTENING).map(str::to_owned);
        let line = process
            .wait_for(|line| listening(line.raw()).is_some())
            .await?;
        let address = listening(line.raw()).context("no address")?.parse()?;
        Ok(Self {
            process,
            address,
            credentials,
        })
    }

    /// The name of its bucket.
    pub const BUCKET: &str = "data";

    /// Where it is, as `s3_endpoint` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The keys that it knows.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A client with these keys.
    ///
    /// # Errors
    ///
    /// When the client cannot be made.
    pub fn client(&self, credentials: &Credentials) -> Result<AmazonS3> {
        let builder = AmazonS3Builder::new()
            .with_endpoint(self.endpoint())
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(Self::BUCKET)
            .with_access_key_id(&credentials.access_key_id)
            .with_secret_access_key(&credentials.secret_access_key)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        Ok(builder.build()?)
    }

    /// Puts an object into the bucket.
    ///
    /// # Errors
    ///
    /// What the server answers.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let client = self.client(&self.credentials)?;
        client.put(&key.into(), PutPayload::from(bytes)).await?;
        Ok(())
    }

    /// Keeps it from answering, as a cut cable would: connections stay open. It forgets nothing.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub async fn pause(&self) -> Result<()> {
        self.process.signal("STOP").await
    }

    /// Lets it answer again.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub async fn resume(&self) -> Result<()> {
        self.process.signal("CONT").await
    }

    /// Makes these the only keys that it knows.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub async fn replace_keys(&mut self, credentials: &Credentials) -> Result<()> {
        self.process.tell(&credentials.line()).await?;
        let replaced =
            |line: &LogLine| line.raw() == format!("{REPLACED}{}", credentials.access_key_id);
        self.process.wait_for(replaced).await?;
        self.credentials = credentials.clone();
        Ok(())
    }

    /// Ends it, with everything that it holds.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub async fn stop(mut self) -> Result<StoppedS3Server> {
        let status = self.process.stop().await?;
        ensure!(status.success(), "the S3 server ended with {status}");
        Ok(StoppedS3Server {
            port: self.address.port(),
            credentials: self.credentials,
        })
    }
}

/// Where a server was that has ended.
#[derive(Debug)]
pub struct StoppedS3Server {
    port: u16,
    credentials: Credentials,
}

impl StoppedS3Server {
    /// Starts one at the same port that knows the same keys and holds nothing.
    ///
    /// # Errors
    ///
    /// When it does not start, with what it wrote.
    pub async fn start(self) -> Result<S3Server> {
        S3Server::start_at(self.port, self.credentials).await
    }
}

/// The interpreter that has moto: `cargo xtask` says which, and where it says nothing it is the one
/// that an earlier run installed.
pub(super) fn python() -> Result<PathBuf> {
    let python = match env::var_os(PYTHON_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => cache_dir()?.join("spice-cluster/servers/bin/python"),
    };
    ensure!(
        python.is_file(),
        "there is no {}: `cargo xtask test` installs it",
        python.display()
    );
    Ok(python)
}

fn cache_dir() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    cache.context("neither XDG_CACHE_HOME nor HOME is set")
}

/// The same in `xtask/src/suite/servers.rs`.
const PYTHON_VARIABLE: &str = "SPICE_TEST_PYTHON";

const SCRIPT: &str = include_str!("s3.py");

/// What it writes when it is ready, before its address.
const LISTENING: &str = "listening on ";

/// What it writes when it has other keys, before their names.
const REPLACED: &str = "keys replaced by ";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use object_store_cloud::{Error, ObjectStore, PutMode, PutOptions, UpdateVersion};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn only_its_own_keys_open_it() {
        let mut server = S3Server::start().await.unwrap();
        server
            .put("a dir/ü +&=.csv", b"n\n1\n".to_vec())
            .await
            .unwrap();
        let client = server.client(server.credentials()).unwrap();
        let found = client.get(&"a dir/ü +&=.csv".into()).await.unwrap();
        assert_eq!(found.bytes().await.unwrap(), "n\n1\n");
        let own = server.credentials().clone();
        let other = Credentials::random();
        let secret = Credentials {
            secret_access_key: other.secret_access_key.clone(),
            ..own.clone()
        };
        let id = Credentials {
            access_key_id: other.access_key_id,
            ..own
        };
        for (wrong, code) in [
            (secret, "SignatureDoesNotMatch"),
            (id, "InvalidAccessKeyId"),
        ] {
            let refused = server
                .client(&wrong)
                .unwrap()
                .list_with_delimiter(None)
                .await;
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(code), "{refused}");
        }
        let new = Credentials::random();
        server.replace_keys(&new).await.unwrap();
        let refused = client.list_with_delimiter(None).await.unwrap_err();
        assert!(
            refused.to_string().contains("InvalidAccessKeyId"),
            "{refused}"
        );
        let client = server.client(&new).unwrap();
        client.list_with_delimiter(None).await.unwrap();
        let stopped = server.stop().await.unwrap();
        let _server = stopped.start().await.unwrap();
        assert!(
            client.get(&"a dir/ü +&=.csv".into()).await.is_err(),
            "it holds something"
        );
        client.list_with_delimiter(None).await.unwrap();
    }

    /// Eight writers count to forty together. A look and a write that another can come between
    /// lose a count sooner or later.
    #[tokio::test]
    async fn conditional_writes_lose_nothing_under_eight_writers() {
        let server = S3Server::start().await.unwrap();
        server.put("count", b"0".to_vec()).await.unwrap();
        let writers = (0..8).map(|_| count_up(server.client(server.credentials()).unwrap(), 5));
        let conflicts: usize = futures::future::join_all(writers).await.into_iter().sum();
        let client = server.client(server.credentials()).unwrap();
        let end = client.get(&"count".into()).await.unwrap().bytes().await;
        assert_eq!(end.unwrap(), "40");
        // Without one the writers took turns by themselves, and nothing was shown.
        assert!(conflicts > 0);
    }

    async fn count_up(client: AmazonS3, times: usize) -> usize {
        let mut conflicts = 0;
        for _ in 0..times {
            while !add_one(&client).await {
                conflicts += 1;
            }
        }
        conflicts
    }

    async fn add_one(client: &AmazonS3) -> bool {
        let seen = client.get(&"count".into()).await.unwrap();
        let version = UpdateVersion {
            e_tag: seen.meta.e_tag.clone(),
            version: None,
        };
        let bytes = seen.bytes().await.unwrap();
        let number: usize = String::from_utf8_lossy(&bytes).parse().unwrap();
        let next = PutPayload::from((number + 1).to_string());
        let options = PutOptions::from(PutMode::Update(version));
        match client.put_opts(&"count".into(), next, options).await {
            Ok(_) => true,
            Err(Error::Precondition { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn an_object_is_created_once() {
        let server = S3Server::start().await.unwrap();
        let client = server.client(server.credentials()).unwrap();
        let key = "once".into();
        let create = || {
            let options = PutOptions::from(PutMode::Create);
            client.put_opts(&key, PutPayload::from("x"), options)
        };
        create().await.unwrap();
        let again = create().await;
        assert!(
            matches!(again, Err(Error::AlreadyExists { .. })),
            "{again:?}"
        );
    }

    #[tokio::test]
    async fn a_paused_server_is_silent_and_forgets_nothing() {
        let server = S3Server::start().await.unwrap();
        server.put("n", b"1".to_vec()).await.unwrap();
        let client = server.client(server.credentials()).unwrap();
        server.pause().await.unwrap();
        let asked = timeout(Duration::from_millis(300), client.get(&"n".into())).await;
        assert!(asked.is_err(), "it answers");
        server.resume().await.unwrap();
        let found = client.get(&"n".into()).await.unwrap();
        assert_eq!(found.bytes().await.unwrap(), "1");
    }
}
