//! Datasets and views of the spicepod, and what a client may do with them.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use cluster_test::{
    ClusterPlan, Listener, TestCluster, binary, http_get, http_post, http_post_accepting,
};
use datafusion::parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::{Code, Status};

#[tokio::test]
async fn csv_and_parquet_are_read_from_files_and_directories() {
    let (cluster, _data) = start().await.unwrap();
    for (sql, expected) in [
        (
            "SELECT id, name FROM csv_file ORDER BY id",
            ["1|Lima", "2|Oslo", "3|Quito"],
        ),
        (
            "SELECT id, name FROM csv_directory ORDER BY id",
            ["4|Accra", "5|Turin", "6|Perth"],
        ),
        (
            "SELECT id, river FROM parquet_file ORDER BY id",
            ["1|Rímac", "2|Akerselva", "3|Machángara"],
        ),
        (
            "SELECT id, river FROM parquet_directory ORDER BY id",
            ["4|Odaw", "5|Po", "6|Swan"],
        ),
        (
            "SELECT c.name, p.river FROM csv_directory c JOIN parquet_directory p ON c.id = p.id \
             ORDER BY c.id",
            ["Accra|Odaw", "Turin|Po", "Perth|Swan"],
        ),
    ] {
        assert_eq!(lines(&cluster, sql).await.unwrap(), expected, "{sql}");
    }
    assert!(executors_worked(&cluster).await.unwrap());
}

#[tokio::test]
async fn views_stand_on_datasets_and_on_other_views() {
    let (cluster, _data) = start().await.unwrap();
    let everything = lines(&cluster, "SELECT name FROM cities ORDER BY name").await;
    assert_eq!(
        everything.unwrap(),
        ["Accra", "Lima", "Oslo", "Perth", "Quito", "Turin"]
    );
    let view_of_a_view = "SELECT name, river FROM cities_by_river WHERE id > 2 ORDER BY id";
    assert_eq!(
        lines(&cluster, view_of_a_view).await.unwrap(),
        ["Quito|Machángara", "Accra|Odaw", "Turin|Po", "Perth|Swan"]
    );
    assert!(executors_worked(&cluster).await.unwrap());
}

/// One part of such a union is computed as a whole, by one task, beside parts that are shared
/// out: no row may come twice and none may be missing.
#[tokio::test]
async fn unions_hold_every_row_of_every_part_once() {
    let (cluster, _data) = start().await.unwrap();
    let mut faults = vec![];
    for (sql, expected) in UNIONS {
        let answer = timeout(PATIENCE, lines(&cluster, sql)).await;
        let Ok(Ok(mut rows)) = answer else {
            faults.push(format!("{sql}: {answer:?}"));
            continue;
        };
        rows.sort();
        if rows != *expected {
            faults.push(format!("{sql}: {rows:?}, not {expected:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn a_distributed_query_leaves_the_catalog_as_it_was() {
    let (cluster, _data) = start().await.unwrap();
    let before = lines(&cluster, "SHOW TABLES").await.unwrap();
    for table in TABLES {
        let row = format!("spice|public|{table}|");
        assert!(
            before.iter().any(|line| line.starts_with(&row)),
            "{before:?}"
        );
    }
    lines(&cluster, "SELECT count(*) FROM cities_by_river")
        .await
        .unwrap();
    assert_eq!(lines(&cluster, "SHOW TABLES").await.unwrap(), before);
    for table in TABLES {
        let sql = format!("SELECT count(*) > 0 FROM {table}");
        assert_eq!(lines(&cluster, &sql).await.unwrap(), ["true"], "{table}");
    }
}

#[tokio::test]
async fn bad_sql_is_told_clearly_and_harms_nobody() {
    let (cluster, _data) = start().await.unwrap();
    for (sql, word) in [
        ("SELEC 1", "SELEC"),
        ("SELECT nothing FROM cities", "nothing"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT name + date '2020-01-01' FROM cities", "date"),
    ] {
        let status = refusal(&cluster, sql).await.unwrap();
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status}");
        assert!(
            status
                .message()
                .to_lowercase()
                .contains(&word.to_lowercase()),
            "{status}"
        );
        let reply = http_post(http(&cluster, "scheduler1").unwrap(), "/v1/sql", sql).await;
        let reply = reply.unwrap();
        assert_eq!(reply.status, 400, "{sql}: {}", reply.body);
        assert!(
            reply.body.contains(r#""code":"invalid_query""#),
            "{}",
            reply.body
        );
    }
    let still = lines(&cluster, "SELECT count(*) FROM cities").await;
    assert_eq!(still.unwrap(), ["6"]);
}

#[tokio::test]
async fn what_fails_in_a_task_is_told_and_harms_nobody() {
    let (cluster, _data) = start().await.unwrap();
    let sql = "SELECT 10 / (id - 2) AS share FROM csv_file";
    let status = refusal(&cluster, sql).await.unwrap();
    let told = |text: &str| {
        text.to_lowercase()
            .replace(' ', "")
            .contains("dividebyzero")
    };
    assert!(told(status.message()), "{status}");
    let reply = http_post(http(&cluster, "scheduler1").unwrap(), "/v1/sql", sql).await;
    let reply = reply.unwrap();
    assert!(reply.status >= 400 && told(&reply.body), "{}", reply.body);
    let still = lines(&cluster, "SELECT count(*) FROM cities").await;
    assert_eq!(still.unwrap(), ["6"]);
}

#[tokio::test]
async fn statements_that_change_something_are_refused() {
    let (cluster, data) = start().await.unwrap();
    let before = lines(&cluster, "SHOW TABLES").await.unwrap();
    let target = data.path().join("stolen.csv");
    for sql in [
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/hostname'".to_owned(),
        "DROP TABLE csv_file".to_owned(),
        "DROP VIEW cities".to_owned(),
        "INSERT INTO csv_directory VALUES (7, 'Graz')".to_owned(),
        format!("COPY cities TO '{}' STORED AS CSV", target.display()),
    ] {
        let status = refusal(&cluster, &sql).await.unwrap();
        assert_eq!(status.code(), Code::Unimplemented, "{sql}: {status}");
        let reply = http_post(http(&cluster, "scheduler1").unwrap(), "/v1/sql", &sql).await;
        assert_eq!(reply.unwrap().status, 400, "{sql}");
    }
    assert!(!target.exists());
    assert_eq!(lines(&cluster, "SHOW TABLES").await.unwrap(), before);
    let still = lines(&cluster, "SELECT count(*) FROM cities").await;
    assert_eq!(still.unwrap(), ["6"]);
}

#[tokio::test]
async fn http_gives_json_csv_and_tables() {
    let (cluster, _data) = start().await.unwrap();
    let server = http(&cluster, "scheduler1").unwrap();
    let sql = "SELECT id, name FROM csv_file WHERE id < 3 ORDER BY id";
    let table = "+----+------+\n| id | name |\n+----+------+\n\
                 | 1  | Lima |\n| 2  | Oslo |\n+----+------+\n";
    for (accept, body) in [
        ("*/*", r#"[{"id":1,"name":"Lima"},{"id":2,"name":"Oslo"}]"#),
        (
            "application/json",
            r#"[{"id":1,"name":"Lima"},{"id":2,"name":"Oslo"}]"#,
        ),
        ("text/csv", "id,name\n1,Lima\n2,Oslo\n"),
        ("text/plain", table),
    ] {
        let reply = http_post_accepting(server, "/v1/sql", sql, accept).await;
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (200, body), "{accept}");
    }
    assert!(executors_worked(&cluster).await.unwrap());
}

#[tokio::test]
async fn an_executor_says_that_it_lives_and_answers_no_sql() {
    let (cluster, _data) = start().await.unwrap();
    for name in ["executor1", "executor2"] {
        let server = http(&cluster, name).unwrap();
        let health = http_get(server, "/health").await.unwrap();
        assert_eq!((health.status, health.body.as_str()), (200, "ok"));
        for sql in ["SELECT 1", "SELECT count(*) FROM cities"] {
            let reply = http_post(server, "/v1/sql", sql).await.unwrap();
            assert_eq!(reply.status, 503, "{}", reply.body);
            assert!(reply.body.contains("ask a scheduler"), "{}", reply.body);
        }
    }
}

/// A cluster over four datasets and two views. Only the scheduler is given the manifest: its
/// relative paths would mean nothing to an executor, which gets absolute ones from it.
async fn start() -> Result<(TestCluster, TempDir)> {
    let data = tempfile::tempdir()?;
    let path = data.path();
    fs::create_dir(path.join("csv"))?;
    fs::create_dir(path.join("parquet"))?;
    fs::write(
        path.join("cities.csv"),
        "id,name\n1,Lima\n2,Oslo\n3,Quito\n",
    )?;
    fs::write(path.join("csv/one.csv"), "id,name\n4,Accra\n5,Turin\n")?;
    fs::write(path.join("csv/two.csv"), "id,name\n6,Perth\n")?;
    let rivers = ["Rímac", "Akerselva", "Machángara"];
    write_parquet(&path.join("rivers.parquet"), 1, &rivers)?;
    write_parquet(&path.join("parquet/one.parquet"), 4, &["Odaw"])?;
    write_parquet(&path.join("parquet/two.parquet"), 5, &["Po", "Swan"])?;
    let manifest = path.join("spicepod.yaml");
    fs::write(&manifest, MANIFEST)?;
    let plan = ClusterPlan::new(binary("spiced")?, manifest);
    Ok((TestCluster::start(plan).await?, data))
}

fn write_parquet(path: &Path, first_id: i64, rivers: &[&str]) -> Result<()> {
    let ids: ArrayRef = Arc::new((first_id..).take(rivers.len()).collect::<Int64Array>());
    let rivers: ArrayRef = Arc::new(StringArray::from_iter_values(rivers));
    let batch = RecordBatch::try_from_iter([("id", ids), ("river", rivers)])?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// The rows of an answer, their values joined by `|`.
async fn lines(cluster: &TestCluster, sql: &str) -> Result<Vec<String>> {
    let batches = cluster.sql(sql).await?;
    let table = pretty_format_batches(&batches)?.to_string();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells.collect::<Vec<_>>().join("|")
    };
    Ok(rows.map(cells).collect())
}

/// The status that a statement is refused with.
async fn refusal(cluster: &TestCluster, sql: &str) -> Result<Status> {
    match cluster.sql(sql).await {
        Ok(rows) => bail!("{sql} gives {rows:?}"),
        Err(error) => error.downcast::<Status>(),
    }
}

async fn executors_worked(cluster: &TestCluster) -> Result<bool> {
    let mut tasks = 0.0;
    for name in ["executor1", "executor2"] {
        let metrics = cluster.metrics(name).await?;
        tasks += metrics.sum("node_tasks_total").context("no such metric")?;
    }
    Ok(tasks > 0.0)
}

fn http(cluster: &TestCluster, name: &str) -> Result<SocketAddr> {
    cluster.node(name)?.address(Listener::Http)
}

/// A hundred times what these queries take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Queries and their rows in alphabetical order.
const UNIONS: [(&str, &[&str]); 8] = [
    (
        "SELECT name FROM csv_file UNION ALL SELECT name FROM csv_directory ORDER BY name",
        &["Accra", "Lima", "Oslo", "Perth", "Quito", "Turin"],
    ),
    (
        "SELECT name FROM csv_directory UNION ALL SELECT name FROM csv_file ORDER BY name",
        &["Accra", "Lima", "Oslo", "Perth", "Quito", "Turin"],
    ),
    (
        "SELECT count(*) AS n FROM csv_file UNION ALL SELECT count(*) + 1 FROM csv_directory",
        &["3", "4"],
    ),
    (
        "SELECT max(name) FROM csv_directory UNION ALL SELECT name FROM csv_directory",
        &["Accra", "Perth", "Turin", "Turin"],
    ),
    (
        "SELECT name FROM csv_directory UNION ALL SELECT max(name) FROM csv_file \
         UNION ALL SELECT river FROM parquet_directory UNION ALL SELECT min(name) FROM csv_file",
        &[
            "Accra", "Lima", "Odaw", "Perth", "Po", "Quito", "Swan", "Turin",
        ],
    ),
    (
        "SELECT * FROM (SELECT name FROM csv_directory ORDER BY name LIMIT 1) a \
         UNION ALL SELECT name FROM csv_directory",
        &["Accra", "Accra", "Perth", "Turin"],
    ),
    (
        "SELECT name FROM csv_directory UNION ALL SELECT 'none'",
        &["Accra", "Perth", "Turin", "none"],
    ),
    (
        "SELECT c.name FROM csv_directory c, (SELECT max(id) AS id FROM csv_directory) m \
         WHERE c.id = m.id UNION ALL SELECT name FROM csv_directory UNION ALL SELECT 'none'",
        &["Accra", "Perth", "Perth", "Turin", "none"],
    ),
];

const TABLES: [&str; 6] = [
    "csv_file",
    "csv_directory",
    "parquet_file",
    "parquet_directory",
    "cities",
    "cities_by_river",
];

const MANIFEST: &str = "\
version: v1
kind: Spicepod
name: places
datasets:
  - name: csv_file
    from: file:cities.csv
  - name: csv_directory
    from: file:csv/
    params:
      file_format: csv
  - name: parquet_file
    from: file:rivers.parquet
  - name: parquet_directory
    from: file:parquet/
    params:
      file_format: parquet
views:
  - name: cities_by_river
    sql: |
      SELECT c.id, c.name, r.river
      FROM cities c
      JOIN (SELECT * FROM parquet_file UNION ALL SELECT * FROM parquet_directory) r
        ON c.id = r.id
  - name: cities
    sql: SELECT * FROM csv_file UNION ALL SELECT * FROM csv_directory
";
