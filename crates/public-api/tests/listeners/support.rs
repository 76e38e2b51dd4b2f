//! Listeners on free ports, an engine whose remote half is scripted, and an HTTP client that
//! shows exactly what came over the wire.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use futures::stream::BoxStream;
use public_api::ServeError;
use spice_runtime::{Distributor, NoSecrets, QueryError, Runtime, RuntimeOptions, SqlEngine};
use spicepod::App;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes, so that a hanging test ends with a name.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server under test.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    /// Bind a free port and serve on it.
    pub(crate) async fn start<F, S>(serve: F) -> Served
    where
        F: FnOnce(TcpListener, CancellationToken) -> S,
        S: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, shutdown.clone()));
        Served {
            address,
            shutdown,
            server,
        }
    }

    pub(crate) async fn ended(self) -> Result<(), ServeError> {
        let ended = tokio::time::timeout(PATIENCE, self.server).await;
        ended.unwrap().unwrap()
    }
}

/// An engine that runs everything itself, over one dataset `t` with the columns `id`, `name`.
pub(crate) async fn local() -> (SqlEngine, TempDir) {
    let (runtime, directory) = runtime().await;
    (SqlEngine::local(runtime), directory)
}

/// An engine that answers queries over `t` with what the test says.
pub(crate) async fn scripted(script: Script) -> (SqlEngine, TempDir) {
    let (runtime, directory) = runtime().await;
    let remote = Arc::new(Remote {
        script: Mutex::new(Some(script)),
    });
    (SqlEngine::distributed(runtime, remote), directory)
}

/// What the remote half answers, once.
pub(crate) enum Script {
    Refuse(QueryError),
    Rows(BoxStream<'static, Result<RecordBatch, DataFusionError>>),
}

/// One dataset `t` and one view `mart.v` over it.
pub(crate) async fn runtime() -> (Arc<Runtime>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("t.csv"), "id,name\n1,a\n2,b\n").unwrap();
    let manifest = "version: v1
kind: Spicepod
name: test
datasets: [{name: t, from: 'file:t.csv'}]
views: [{name: mart.v, sql: SELECT id FROM t}]
";
    let origin = directory.path().join("spicepod.yaml");
    let app: App = spicepod::parse(manifest, &origin).unwrap();
    let opened = Runtime::open(&app, RuntimeOptions::default(), Arc::new(NoSecrets)).await;
    (Arc::new(opened.unwrap()), directory)
}

struct Remote {
    script: Mutex<Option<Script>>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remote")
    }
}

#[async_trait]
impl Distributor for Remote {
    async fn execute(
        &self,
        _session: SessionContext,
        _plan: LogicalPlan,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        match self.script.lock().unwrap().take() {
            Some(Script::Refuse(error)) => Err(error),
            Some(Script::Rows(rows)) => Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), rows))),
            None => panic!("asked twice"),
        }
    }
}

pub(crate) fn batch(ids: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(ids.to_vec())) as _)]).unwrap()
}

fn schema() -> SchemaRef {
    batch(&[]).schema()
}

/// What came back for one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// Whether the body ended as HTTP says it must.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn error_code(&self) -> String {
        let json = self.json();
        assert!(json["error"]["message"].is_string(), "{json}");
        json["error"]["code"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, &format!("GET {path} HTTP/1.1\r\n"), b"").await
}

pub(crate) async fn post_sql(address: SocketAddr, sql: &str, accept: &str) -> Answer {
    let head = format!("POST /v1/sql HTTP/1.1\r\nAccept: {accept}\r\n");
    request(address, &head, sql.as_bytes()).await
}

/// Send a request line with headers and a body; read until the server closes.
pub(crate) async fn request(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{head}Host: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may refuse and close before it has read everything.
    let _ = stream.write_all(body).await;
    answer(&mut stream).await
}

async fn answer(stream: &mut TcpStream) -> Answer {
    let mut raw = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut raw)).await;
    // A reset after the last byte is an end as well; `complete` tells whether it was one.
    let _ = read.unwrap();
    parsed(&raw)
}

fn parsed(raw: &[u8]) -> Answer {
    let end = position(raw, b"\r\n\r\n").unwrap_or(raw.len());
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let rest = raw.get(end + 4..).unwrap_or_default();
    let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
    let (body, complete) = if head.to_lowercase().contains("transfer-encoding: chunked") {
        dechunked(rest)
    } else {
        (rest.to_owned(), end < raw.len())
    };
    Answer {
        status,
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
        complete,
    }
}

fn dechunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = position(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let start = end + 2;
        let Some(chunk) = rest.get(start..start + size) else {
            break;
        };
        body.extend_from_slice(chunk);
        rest = rest.get(start + size + 2..).unwrap_or_default();
    }
    (body, false)
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
