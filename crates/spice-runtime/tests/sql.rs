//! Claims about datasets, views and queries, over real files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt as _;
use spice_runtime::{
    Distributor, NoSecrets, OpenError, OpenFault, QueryError, QuerySpan, Runtime, RuntimeOptions,
    SqlEngine, TableKind,
};
use spicepod::App;
use tempfile::TempDir;

#[tokio::test]
async fn queries_parquet_and_csv_from_files_and_directories() {
    let pod = Pod::new();
    pod.parquet("orders.parquet", &[1, 2, 3]);
    pod.parquet("many/a.parquet", &[1, 2]);
    pod.parquet("many/b.parquet", &[3, 4]);
    pod.text("many/README.md", "not data");
    pod.text("people.csv", "id,city\n1,Oslo\n2,Rome\n");
    pod.text("raw/one.csv", "1\tOslo\n");
    pod.text("raw/two.csv", "2\tRome\n");
    let engine = pod
        .engine(
            "datasets:
  - {name: orders, from: 'file:orders.parquet'}
  - {name: sales.many, from: 'file:many', params: {file_format: parquet}}
  - {name: people, from: 'file:people.csv'}
  - name: raw
    from: file:raw/
    params: {file_format: csv, csv_has_header: false, csv_delimiter: \"\\t\"}
",
        )
        .await;
    assert_eq!(count(&engine, "orders").await, 3);
    assert_eq!(count(&engine, "sales.many").await, 4);
    assert_eq!(count(&engine, "spice.public.People").await, 2);
    assert_eq!(count(&engine, "raw").await, 2);
    let joined = "SELECT p.city FROM people p JOIN orders o ON o.id = p.id ORDER BY 1";
    assert_eq!(
        table(&engine, joined).await,
        "+------+\n| city |\n+------+\n| Oslo |\n| Rome |\n+------+"
    );
}

#[tokio::test]
async fn sees_files_that_are_added_to_a_directory_later() {
    let pod = Pod::new();
    pod.parquet("many/a.parquet", &[1]);
    let engine = pod
        .engine("datasets: [{name: t, from: 'file:many', params: {file_format: parquet}}]\n")
        .await;
    assert_eq!(count(&engine, "t").await, 1);
    pod.parquet("many/b.parquet", &[2, 3]);
    assert_eq!(count(&engine, "t").await, 3);
}

#[tokio::test]
async fn takes_characters_with_a_meaning_in_urls_as_parts_of_a_file_name() {
    let pod = Pod::new();
    pod.parquet("a b%20[1]?.parquet", &[1, 2]);
    let engine = pod
        .engine("datasets: [{name: t, from: 'file:a b%20[1]?.parquet'}]\n")
        .await;
    assert_eq!(count(&engine, "t").await, 2);
}

#[tokio::test]
async fn creates_views_in_the_order_in_which_they_use_each_other() {
    let pod = Pod::new();
    pod.parquet("orders.parquet", &[1, 2, 3]);
    let engine = pod
        .engine(
            "datasets: [{name: orders, from: 'file:orders.parquet'}]
views:
  - {name: last, sql: 'SELECT * FROM middle WHERE id > 1'}
  - {name: middle, sql: 'WITH last AS (SELECT * FROM mart.first) SELECT * FROM last'}
  - {name: mart.first, sql: 'SELECT id FROM orders'}
",
        )
        .await;
    assert_eq!(count(&engine, "last").await, 2);
    let tables: Vec<(String, TableKind)> = engine
        .runtime()
        .tables()
        .iter()
        .map(|table| (table.name.to_string(), table.kind))
        .collect();
    let view = |name: &str| (name.to_owned(), TableKind::View);
    let orders = ("orders".to_owned(), TableKind::Dataset);
    assert_eq!(
        tables,
        [orders, view("last"), view("middle"), view("mart.first")]
    );
}

#[tokio::test]
async fn names_the_two_files_that_cannot_be_one_table() {
    let pod = Pod::new();
    pod.text("many/a.csv", "n,word\n1,x\n");
    pod.text("many/b.csv", "n,word\n2,y\n");
    pod.text("many/c.csv", "n,word\nthree,z\n");
    let body = "datasets: [{name: t, from: 'file:many', params: {file_format: csv}}]\n";
    let told = open(&pod.app(body)).await.unwrap_err().to_string();
    let start = "dataset `t`: a.csv and c.csv cannot be one table: ";
    assert!(told.starts_with(start) && told.contains("'n'"), "{told}");
    pod.text("many/c.csv", "n,word\n3,z\n");
    assert_eq!(count(&pod.engine(body).await, "t").await, 3);
}

#[tokio::test]
async fn a_database_out_of_reach_is_no_fault_and_fails_what_reads_it_alone() {
    let pod = Pod::new();
    pod.parquet("kept.parquet", &[1]);
    let body = "datasets:
  - {name: kept, from: 'file:kept.parquet'}
  - name: crm.away
    from: postgres:t
    params: {pg_host: 127.0.0.1, pg_port: 1, pg_db: d, pg_user: u, pg_sslmode: disable}
views:
  - {name: over_away, sql: SELECT id FROM kept WHERE id IN (SELECT id FROM crm.away)}
  - {name: over_kept, sql: SELECT id FROM kept}
";
    let engine = pod.engine(body).await;
    assert_eq!(count(&engine, "over_kept").await, 1);
    let told =
        "dataset `crm.away`: cannot read postgres:public.t: no connection with 127.0.0.1:1: ";
    for sql in [
        "SELECT id FROM crm.away",
        "SELECT 1 FROM over_away",
        "EXPLAIN SELECT id FROM spice.crm.away",
        "SELECT id FROM kept UNION SELECT id FROM \"over_away\"",
    ] {
        let error = rows(&engine, sql).await.unwrap_err();
        let QueryError::Unavailable(reason) = &error else {
            panic!("{sql}: {error:?}");
        };
        assert!(reason.starts_with(told), "{sql}: {reason}");
    }
    let own = "WITH over_away AS (SELECT id FROM kept) SELECT id FROM over_away";
    assert_eq!(rows(&engine, own).await.unwrap(), 1);
    assert_eq!(faulty(&engine).await, ["crm.away", "over_away"]);
    let runtime = engine.runtime();
    assert_eq!(runtime.tables().len(), 2);
    assert!(runtime.schemas().contains("crm"));
    // A fault beside it is told with it.
    let body = format!("{body}  - {{name: wrong, sql: SELECT x FROM kept}}\n");
    let faults = pod.faults(&body).await;
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults[0].contains("crm.away") && faults[1].contains("wrong"),
        "{faults:?}"
    );
}

#[tokio::test]
async fn names_the_dataset_and_the_secret_that_is_in_no_store() {
    let pod = Pod::new();
    let body = "datasets:
  - name: t
    from: s3://lake/t.csv
    params: {s3_key: '${env:A}', s3_secret: '${env:B}'}
";
    let error = open(&pod.app(body)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "dataset `t`: the secret ${env:A} is in no store that it may come from"
    );
}

#[tokio::test]
async fn refuses_views_in_a_circle_with_their_names_and_once() {
    let pod = Pod::new();
    let faults = pod
        .faults(
            "views:
  - {name: a, sql: SELECT * FROM b}
  - {name: b, sql: SELECT * FROM c}
  - {name: c, sql: SELECT * FROM a}
  - {name: over, sql: SELECT * FROM a}
  - {name: self, sql: SELECT * FROM self}
  - {name: fine, sql: SELECT 1}
",
        )
        .await;
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "views `a` -> `b` -> `c` -> `a` use each other in a circle",
            "views `self` -> `self` use each other in a circle",
        ]
    );
}

#[tokio::test]
async fn reports_every_fault_of_datasets_and_views_at_once() {
    let pod = Pod::new();
    pod.text("broken.parquet", "this is no parquet file");
    pod.text("empty.csv", "");
    fs::create_dir(pod.path("nothing")).unwrap();
    pod.parquet("hive/year=2024/a.parquet", &[1]);
    let faults = pod
        .faults(
            "datasets:
  - {name: absent, from: 'file:absent.parquet'}
  - {name: broken, from: 'file:broken.parquet'}
  - {name: hollow, from: 'file:empty.csv'}
  - {name: nothing, from: 'file:nothing', params: {file_format: csv}}
  - {name: hive, from: 'file:hive', params: {file_format: parquet}}
views:
  - {name: over_absent, sql: SELECT * FROM absent}
  - {name: typo, sql: SELECT 1 FROM nowhere}
  - {name: writes, sql: DROP TABLE absent}
  - {name: syntax, sql: SELEC 1}
",
        )
        .await;
    let kinds: Vec<bool> = vec![
        matches!(faults[0], OpenFault::Missing { .. }),
        matches!(faults[1], OpenFault::Malformed { .. }),
        matches!(faults[2], OpenFault::NoColumns { .. }),
        matches!(faults[3], OpenFault::EmptyDirectory { .. }),
        matches!(faults[4], OpenFault::Partitioned { .. }),
    ];
    assert_eq!(kinds, [true; 5], "{faults:#?}");
    let names_path = faults[0].to_string();
    let path = pod.path("absent.parquet");
    assert!(names_path.contains("dataset `absent`"), "{names_path}");
    assert!(
        names_path.contains(&path.display().to_string()),
        "{names_path}"
    );
    let mut views: Vec<String> = faults[5..].iter().map(ToString::to_string).collect();
    views.sort();
    assert_eq!(views.len(), 3, "{views:?}");
    assert!(views[0].starts_with("view `syntax`: "), "{views:?}");
    assert!(views[1].contains("nowhere"), "{views:?}");
    assert!(views[2].contains("read-only"), "{views:?}");
}

#[tokio::test]
async fn refuses_statements_that_change_something_and_leaves_no_trace() {
    let pod = Pod::new();
    pod.parquet("orders.parquet", &[1]);
    let engine = pod
        .engine("datasets: [{name: orders, from: 'file:orders.parquet'}]\n")
        .await;
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/tmp/x.parquet'",
        "DROP TABLE orders",
        "INSERT INTO orders VALUES (1, 'a')",
        "INSERT INTO nowhere VALUES (1)",
        "UPDATE orders SET id = 1",
        "DELETE FROM orders",
        "COPY orders TO '/tmp/x.csv'",
        "SELECT * INTO t FROM orders",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "EXPLAIN ANALYZE COPY orders TO '/tmp/x.csv'",
        "EXPLAIN CREATE TABLE t AS SELECT 1",
        "PREPARE p AS SELECT 1",
        "BEGIN",
    ] {
        let error = engine.plan(sql).await.unwrap_err();
        assert!(
            matches!(error, QueryError::Unsupported(_)),
            "{sql}: {error:?}"
        );
        assert!(error.to_string().contains("read-only"), "{sql}: {error}");
    }
    let error = engine.plan("SELECT * FROM t").await.unwrap_err();
    assert!(matches!(error, QueryError::Invalid(_)), "{error:?}");
    assert_eq!(count(&engine, "orders").await, 1);
}

#[tokio::test]
async fn answers_statements_that_only_describe() {
    let pod = Pod::new();
    pod.parquet("orders.parquet", &[1]);
    let engine = pod
        .engine("datasets: [{name: orders, from: 'file:orders.parquet'}]\n")
        .await;
    for sql in [
        "SHOW TABLES",
        "SHOW ALL",
        "SHOW COLUMNS FROM orders",
        "DESCRIBE orders",
        "EXPLAIN SELECT * FROM orders",
        "EXPLAIN ANALYZE SELECT * FROM orders",
        "SELECT * FROM information_schema.tables",
        "VALUES (1), (2)",
        "SELECT 1;",
    ] {
        assert!(rows(&engine, sql).await.unwrap() > 0, "{sql}");
    }
}

#[tokio::test]
async fn blames_the_query_for_what_is_wrong_with_it() {
    let pod = Pod::new();
    pod.parquet("orders.parquet", &[0]);
    let engine = pod
        .engine("datasets: [{name: orders, from: 'file:orders.parquet'}]\n")
        .await;
    for sql in [
        "",
        "SELEC 1",
        "SELECT nothing FROM orders",
        "SELECT * FROM nowhere",
        "SELECT no_such_function(1)",
        "SELECT 1 / id FROM orders",
        "SELECT CAST(name AS INT) FROM orders",
    ] {
        let error = rows(&engine, sql).await.unwrap_err();
        assert!(matches!(error, QueryError::Invalid(_)), "{sql}: {error:?}");
        let text = error.to_string();
        assert!(!text.contains("Error during planning"), "{sql}: {text}");
    }
    let error = engine.plan("SELECT * FROM orders WHERE id = $1").await;
    assert!(
        matches!(error, Err(QueryError::Unsupported(_))),
        "{error:?}"
    );
    let error = engine.plan("SELECT 1; SELECT 2").await;
    assert!(
        matches!(error, Err(QueryError::Unsupported(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn gives_away_exactly_the_queries_that_read_a_dataset() {
    let pod = Pod::new();
    pod.parquet("orders.parquet", &[1, 2, 3]);
    let app = pod.app(
        "datasets: [{name: orders, from: 'file:orders.parquet'}]
views: [{name: v, sql: 'SELECT id FROM orders'}, {name: c, sql: 'SELECT 1 AS one'}]
",
    );
    let runtime = open(&app).await.unwrap();
    let elsewhere = Arc::new(Elsewhere::default());
    let engine = SqlEngine::distributed(Arc::new(runtime), elsewhere.clone());

    for sql in [
        "SELECT 1",
        "SELECT * FROM c",
        "SELECT * FROM generate_series(1, 3)",
        "SELECT * FROM information_schema.columns WHERE table_name = 'orders'",
        "SHOW TABLES",
        "DESCRIBE orders",
        "EXPLAIN SELECT * FROM orders",
    ] {
        rows(&engine, sql).await.unwrap();
        assert_eq!(elsewhere.asked.load(Ordering::SeqCst), 0, "{sql}");
    }
    let given = [
        "SELECT * FROM orders",
        "SELECT count(*) FROM orders",
        "SELECT * FROM v",
        "WITH x AS (SELECT * FROM v) SELECT 1 FROM x",
        "SELECT (SELECT max(id) FROM orders)",
        "SELECT 1 WHERE 1 IN (SELECT id FROM orders)",
        "SELECT 1 WHERE EXISTS (SELECT * FROM v)",
        "SELECT 1 UNION ALL SELECT id FROM orders",
    ];
    for (before, sql) in given.into_iter().enumerate() {
        rows(&engine, sql).await.unwrap();
        let asked = elsewhere.asked.load(Ordering::SeqCst);
        assert_eq!(asked, before + 1, "{sql}");
    }
}

#[tokio::test]
async fn announces_the_types_that_the_rows_have() {
    let pod = Pod::new();
    pod.parquet("orders.parquet", &[1]);
    let engine = pod
        .engine("datasets: [{name: orders, from: 'file:orders.parquet'}]\n")
        .await;
    for sql in [
        "SELECT id, name FROM orders",
        "SELECT 1 AS x UNION ALL SELECT 2.5",
        "SELECT CASE WHEN id > 0 THEN 1 ELSE 1.5 END FROM orders",
        "SELECT sum(id), count(*), min(name) FROM orders",
    ] {
        let query = engine.plan(sql).await.unwrap();
        let announced = query.schema();
        let stream = engine.execute(query).await.unwrap();
        let given = stream.schema();
        for (announced, given) in announced.fields().iter().zip(given.fields()) {
            assert_eq!(announced.name(), given.name(), "{sql}");
            assert_eq!(announced.data_type(), given.data_type(), "{sql}");
        }
    }
}

/// A directory with a spicepod in it.
#[tokio::test]
async fn a_survey_finds_data_that_has_gone_and_the_views_that_miss_it() {
    let pod = Pod::new();
    pod.parquet("kept.parquet", &[1]);
    pod.parquet("lost/a.parquet", &[1]);
    let engine = pod
        .engine(
            "datasets:
  - {name: kept, from: 'file:kept.parquet'}
  - {name: lost, from: 'file:lost', params: {file_format: parquet}}
views:
  - {name: over_kept, sql: SELECT id FROM kept}
  - {name: over_lost, sql: SELECT id FROM kept WHERE id IN (SELECT id FROM indirect)}
  - {name: indirect, sql: SELECT id FROM lost}
  - {name: of_nothing, sql: SELECT 1 AS one}
",
        )
        .await;
    assert_eq!(faulty(&engine).await, [""; 0]);

    fs::rename(pod.path("lost"), pod.path("away")).unwrap();
    assert_eq!(faulty(&engine).await, ["lost", "over_lost", "indirect"]);
    let states = engine.runtime().survey().await.unwrap();
    let fault = states[1].fault.as_deref().unwrap();
    let path = pod.path("lost").display().to_string();
    assert!(fault.contains("`lost`") && fault.contains(&path), "{fault}");
    assert_eq!(
        states[1].table.source.as_ref().unwrap().to_string(),
        format!("file:{path}")
    );
    assert_eq!(states[2].table.source, None);
    // What the survey says is what a query meets.
    assert!(rows(&engine, "SELECT * FROM over_lost").await.is_err());
    assert_eq!(count(&engine, "over_kept").await, 1);

    fs::rename(pod.path("away"), pod.path("lost")).unwrap();
    assert_eq!(faulty(&engine).await, [""; 0]);
}

async fn faulty(engine: &SqlEngine) -> Vec<String> {
    let states = engine.runtime().survey().await.unwrap();
    let faulty = states.into_iter().filter(|state| state.fault.is_some());
    faulty.map(|state| state.table.name.to_string()).collect()
}

struct Pod {
    directory: TempDir,
}

impl Pod {
    fn new() -> Pod {
        let directory = tempfile::tempdir().unwrap();
        Pod { directory }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn text(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn parquet(&self, name: &str, ids: &[i64]) {
        write_parquet(&self.path(name), ids);
    }

    fn app(&self, body: &str) -> App {
        let text = format!("version: v1\nkind: Spicepod\nname: test\n{body}");
        spicepod::parse(&text, &self.directory.path().join("spicepod.yaml")).unwrap()
    }

    async fn engine(&self, body: &str) -> SqlEngine {
        let runtime = open(&self.app(body)).await;
        SqlEngine::local(Arc::new(runtime.unwrap()))
    }

    async fn faults(&self, body: &str) -> Vec<OpenFault> {
        let opened = open(&self.app(body)).await;
        opened.unwrap_err().faults
    }
}

async fn open(app: &App) -> Result<Runtime, OpenError> {
    Runtime::open(app, RuntimeOptions::default(), Arc::new(NoSecrets)).await
}

/// Counts what it is asked for and answers from the session, so that answers stay right.
#[derive(Debug, Default)]
struct Elsewhere {
    asked: AtomicUsize,
}

#[async_trait]
impl Distributor for Elsewhere {
    async fn execute(
        &self,
        session: SessionContext,
        plan: LogicalPlan,
        _span: &QuerySpan,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let frame = session.execute_logical_plan(plan).await?;
        Ok(frame.execute_stream().await?)
    }
}

fn write_parquet(path: &Path, ids: &[i64]) {
    let names: Vec<String> = ids.iter().map(|id| format!("name {id}")).collect();
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as _),
        ("name", Arc::new(StringArray::from(names)) as _),
    ])
    .unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

async fn batches(engine: &SqlEngine, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let query = engine.plan(sql).await?;
    let stream = engine.execute(query).await?;
    Ok(stream.try_collect().await?)
}

async fn rows(engine: &SqlEngine, sql: &str) -> Result<usize, QueryError> {
    let batches = batches(engine, sql).await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

async fn count(engine: &SqlEngine, table: &str) -> usize {
    rows(engine, &format!("SELECT * FROM {table}"))
        .await
        .unwrap()
}

async fn table(engine: &SqlEngine, sql: &str) -> String {
    let batches = batches(engine, sql).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}
