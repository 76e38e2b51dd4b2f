use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use futures::{StreamExt as _, future, stream};
use public_api::{HttpState, MAX_SQL_BYTES, Readiness, ReadyState, serve_http};
use spice_runtime::{QueryError, SqlEngine};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::node::Described;
use crate::support::{PATIENCE, Script, Served, batch, get, local, post_sql, request, scripted};

#[tokio::test]
async fn answers_rows_in_the_form_that_was_asked_for() {
    let (served, _data) = serve(local().await).await;
    let sql = "SELECT id, name FROM t ORDER BY id";
    for (accept, content_type, body) in [
        (
            "*/*",
            "application/json",
            r#"[{"id":1,"name":"a"},{"id":2,"name":"b"}]"#,
        ),
        ("text/csv", "text/csv; charset=utf-8", "id,name\n1,a\n2,b\n"),
        (
            "text/plain",
            "text/plain; charset=utf-8",
            "+----+------+\n| id | name |\n+----+------+\n| 1  | a    |\n| 2  | b    |\n+----+------+\n",
        ),
    ] {
        let answer = post_sql(served.address, sql, accept).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, body),
            "{accept}"
        );
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert!(answer.complete);
    }
    let arrow = "application/vnd.apache.arrow.stream";
    let answer = post_sql(served.address, sql, arrow).await;
    assert_eq!(answer.header("content-type"), Some(arrow));
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn answers_a_query_without_rows() {
    let (served, _data) = serve(local().await).await;
    let sql = "SELECT id FROM t WHERE id > 5";
    let json = post_sql(served.address, sql, "application/json").await;
    assert_eq!((json.status, json.body.as_str()), (200, "[]"));
    let csv = post_sql(served.address, sql, "text/csv").await;
    assert_eq!((csv.status, csv.body.as_str()), (200, "id\n"));
}

#[tokio::test]
async fn refuses_what_is_wrong_with_a_request_in_json() {
    let (served, _data) = serve(local().await).await;
    let address = served.address;
    for (sql, accept, status, code) in [
        ("SELEC 1", "*/*", 400, "invalid_query"),
        ("", "*/*", 400, "invalid_query"),
        ("SELECT * FROM nowhere", "*/*", 400, "invalid_query"),
        ("DROP TABLE t", "*/*", 400, "unsupported_query"),
        ("SELECT 1", "image/png", 406, "not_acceptable"),
        ("SELECT [1, 2] AS list", "text/csv", 400, "bad_request"),
        (
            "SELECT * FROM generate_series(0, 10000)",
            "text/plain",
            400,
            "bad_request",
        ),
    ] {
        let answer = post_sql(address, sql, accept).await;
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (status, code),
            "{sql}"
        );
    }
    let post = "POST /v1/sql HTTP/1.1\r\n";
    let binary = request(address, post, &[0xff, 0xfe]).await;
    assert_eq!(
        (binary.status, binary.error_code().as_str()),
        (400, "bad_request")
    );
    let endless = vec![b' '; MAX_SQL_BYTES + 1];
    let large = request(address, post, &endless).await;
    assert_eq!(
        (large.status, large.error_code().as_str()),
        (413, "body_too_large")
    );
    let absent = get(address, "/v1/nothing").await;
    assert_eq!(
        (absent.status, absent.error_code().as_str()),
        (404, "not_found")
    );
    let method = get(address, "/v1/sql").await;
    assert_eq!(
        (method.status, method.error_code().as_str()),
        (405, "method_not_allowed")
    );
}

#[tokio::test]
async fn takes_a_statement_at_the_limit_of_its_size() {
    let (served, _data) = serve(local().await).await;
    let mut padded = "SELECT 1 AS one".to_owned();
    padded.push_str(&" ".repeat(MAX_SQL_BYTES - padded.len()));
    let answer = post_sql(served.address, &padded, "*/*").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"[{"one":1}]"#)
    );
}

#[tokio::test]
async fn gives_each_kind_of_failure_its_status() {
    for (error, status, code) in [
        (QueryError::Unavailable("none".into()), 503, "unavailable"),
        (
            QueryError::Exhausted("memory".into()),
            503,
            "resources_exhausted",
        ),
        (QueryError::Failed("disk".into()), 500, "query_failed"),
    ] {
        let (served, _data) = serve(scripted(Script::Refuse(error)).await).await;
        let answer = post_sql(served.address, "SELECT id FROM t", "*/*").await;
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (status, code)
        );
    }
}

#[tokio::test]
async fn breaks_the_transfer_off_when_a_query_fails_after_its_first_rows() {
    for fails in [true, false] {
        let (open, gate) = oneshot::channel::<()>();
        let last = if fails {
            Err(DataFusionError::Execution("disk".to_owned()))
        } else {
            Ok(batch(&[2]))
        };
        let (served, _data) = serve(scripted(gated(gate, last)).await).await;
        let mut stream = send_query(&served).await;
        // The client has seen a success and rows by now.
        read_until(&mut stream, "\"id\":1").await;
        open.send(()).unwrap();
        let tail = answer_tail(&mut stream).await;
        assert_eq!(tail.ends_with("0\r\n\r\n"), !fails, "{tail}");
        assert_eq!(tail.contains(']'), !fails, "{tail}");
    }
}

#[tokio::test]
async fn fails_with_a_status_when_not_even_the_first_rows_come() {
    let rows = stream::iter([Err(DataFusionError::Execution("disk".to_owned()))]).boxed();
    let (served, _data) = serve(scripted(Script::Rows(rows)).await).await;
    let answer = post_sql(served.address, "SELECT id FROM t", "*/*").await;
    assert_eq!(
        (answer.status, answer.error_code().as_str()),
        (500, "query_failed")
    );
}

#[tokio::test]
async fn sends_rows_before_the_last_ones_are_there() {
    let (open, gate) = oneshot::channel::<()>();
    let (served, _data) = serve(scripted(gated(gate, Ok(batch(&[2])))).await).await;
    let mut stream = send_query(&served).await;
    read_until(&mut stream, "\"id\":1").await;
    open.send(()).unwrap();
    let rest = answer_tail(&mut stream).await;
    assert!(rest.contains("\"id\":2"), "{rest}");
}

#[tokio::test]
async fn finishes_what_is_under_way_before_it_ends() {
    let (open, gate) = oneshot::channel::<()>();
    let (served, _data) = serve(scripted(gated(gate, Ok(batch(&[2])))).await).await;
    let mut stream = send_query(&served).await;
    read_until(&mut stream, "\"id\":1").await;
    served.shutdown.cancel();
    open.send(()).unwrap();
    let rest = answer_tail(&mut stream).await;
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    let address = served.address;
    served.ended().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn ends_at_once_when_connections_only_idle() {
    let (served, _data) = serve(local().await).await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut idle, "ok").await;
    served.shutdown.cancel();
    let grace = public_api::SHUTDOWN_GRACE;
    tokio::time::timeout(grace / 2, served.ended())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn answers_many_queries_at_once() {
    let (served, _data) = serve(local().await).await;
    let queries = (0..16).map(|n| {
        let sql = format!("SELECT count(*) + {n} AS n FROM t");
        async move { (n, post_sql(served.address, &sql, "*/*").await) }
    });
    for (n, answer) in future::join_all(queries).await {
        assert_eq!(answer.body, format!(r#"[{{"n":{}}}]"#, n + 2));
    }
}

#[tokio::test]
async fn puts_a_request_id_into_every_answer() {
    let (served, _data) = serve(local().await).await;
    let with_id = |id: &str| format!("GET /v1/nothing HTTP/1.1\r\nX-Request-Id: {id}\r\n");
    let kept = request(served.address, &with_id("abc-1.2_3"), b"").await;
    assert_eq!(kept.header("x-request-id"), Some("abc-1.2_3"));
    let long = "x".repeat(129);
    for bad in ["a b", "a\"b", long.as_str()] {
        let replaced = request(served.address, &with_id(bad), b"").await;
        let id = replaced.header("x-request-id").unwrap();
        assert_eq!(id.len(), 36, "{bad}");
    }
    let first = get(served.address, "/health").await;
    let second = get(served.address, "/health").await;
    assert!(first.header("x-request-id").is_some());
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}

#[tokio::test]
async fn tells_health_apart_from_readiness() {
    let waiting = Node(ReadyState::NotReady {
        reasons: vec!["tables are not open".to_owned()],
    });
    let (served, _data) = serve_as(local().await, waiting, Some(1)).await;
    let address = served.address;
    assert_eq!(get(address, "/health").await.body, "ok");
    let short = get(address, "/v1/ready").await;
    let told = "not ready: tables are not open";
    assert_eq!((short.status, short.body.as_str()), (503, told));
    let long = get(address, "/v1/ready?verbose=true&min_ready_executors=2").await;
    let told = "not ready\n- tables are not open\n- 1 of 2 executors are ready";
    assert_eq!((long.status, long.body.as_str()), (503, told));
}

#[tokio::test]
async fn is_ready_with_enough_executors_and_refuses_bad_questions() {
    let (scheduler, _data) = serve_as(local().await, Node(ReadyState::Ready), Some(2)).await;
    let (executor, _more) = serve_as(local().await, Node(ReadyState::Ready), None).await;
    for (served, query, status) in [
        (&scheduler, "", 200),
        (&scheduler, "?min_ready_executors=2", 200),
        (&scheduler, "?min_ready_executors=3", 503),
        (&scheduler, "?min_ready_executors=many", 400),
        (&scheduler, "?min_ready_executors_percent=101", 400),
        (&executor, "", 200),
        (&executor, "?min_ready_executors=0", 400),
        (&executor, "?min_ready_executors_percent=50", 400),
    ] {
        let answer = get(served.address, &format!("/v1/ready{query}")).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        if status == 400 {
            assert_eq!(answer.error_code(), "bad_request");
        }
    }
}

/// A node that is always in the same state.
struct Node(ReadyState);

struct Composed {
    node: Node,
    executors: Option<usize>,
}

impl Readiness for Composed {
    fn check(&self) -> ReadyState {
        self.node.0.clone()
    }

    fn executors(&self) -> Option<usize> {
        self.executors
    }
}

async fn serve(engine: (SqlEngine, TempDir)) -> (Served, TempDir) {
    serve_as(engine, Node(ReadyState::Ready), None).await
}

async fn serve_as(
    (sql, data): (SqlEngine, TempDir),
    node: Node,
    executors: Option<usize>,
) -> (Served, TempDir) {
    let readiness = Arc::new(Composed { node, executors });
    let state = HttpState {
        sql: Some(sql),
        readiness,
        info: Arc::new(Described::executor()),
    };
    let served = Served::start(|listener, shutdown| serve_http(listener, state, shutdown)).await;
    (served, data)
}

/// One row, then what is given once the gate is open.
fn gated(gate: oneshot::Receiver<()>, last: Result<RecordBatch, DataFusionError>) -> Script {
    let last = stream::once(async move {
        gate.await.unwrap();
        last
    });
    Script::Rows(stream::iter([Ok(batch(&[1]))]).chain(last).boxed())
}

async fn send_query(served: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head =
        "POST /v1/sql HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 16\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"SELECT id FROM t").await.unwrap();
    stream
}

async fn read_until(stream: &mut TcpStream, wanted: &str) {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains(wanted) {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
        let read = read.unwrap().unwrap();
        assert_ne!(read, 0, "closed after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

/// What is left of an answer, as it came over the wire.
async fn answer_tail(stream: &mut TcpStream) -> String {
    let mut tail = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut tail)).await;
    read.unwrap().unwrap();
    tail
}
