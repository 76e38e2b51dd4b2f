//! A PostgreSQL database.

use std::fs;

use anyhow::{Result, ensure};
use cluster_test::PostgresServer;

use super::{Cluster, ensure_discreet, refusal, write_manifest};
use crate::fixture::Fixture;

#[tokio::test]
async fn executors_without_a_password_join_a_table_with_files() -> Result<()> {
    let (fixture, server) = shop(&["orders", "many"]).await?;
    let cluster = Cluster::start(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    // The file has the numbers 1, 2 and 3.
    let join = "SELECT o.n, o.words FROM orders o JOIN numbers f ON o.n = f.n ORDER BY 1";
    cluster.ensure_rows(join, &["1|it's", "2|"]).await?;
    let union = "SELECT n FROM numbers UNION ALL SELECT n FROM orders ORDER BY n";
    cluster
        .ensure_rows(union, &["1", "1", "2", "2", "3", "9"])
        .await?;
    let sums = "SELECT o.n, sum(m.n) FROM many m JOIN orders o ON m.n % 10 = o.n \
                GROUP BY o.n ORDER BY 1";
    // 5000 of the numbers end in each digit.
    cluster
        .ensure_rows(sums, &["1|124980000", "2|124985000", "9|125020000"])
        .await?;
    let limited = cluster
        .rows("SELECT n FROM many WHERE n > 10 LIMIT 5")
        .await?;
    ensure!(limited.len() == 5, "{limited:?}");
    cluster
        .ensure_rows("SELECT count(*) FROM many", &["50000"])
        .await?;
    cluster.ensure_discreet(&[server.password()]).await
}

#[tokio::test]
async fn a_password_that_is_replaced_in_its_store_is_used_without_a_restart() -> Result<()> {
    let (fixture, server) = shop(&["orders"]).await?;
    let store = "secrets:\n  - {from: env, name: env, params: {file_path: .env}}\n";
    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + store)?;
    let file = fixture.directory().join(".env");
    fs::write(&file, format!("PG_PASSWORD={}\n", server.password()))?;
    let cluster = Cluster::start(&fixture, &[]).await?;
    let count = "SELECT count(*) FROM orders WHERE n > 0";
    cluster.ensure_rows(count, &["3"]).await?;

    server
        .execute("ALTER ROLE keeper PASSWORD 'replaced'")
        .await?;
    let refused = cluster.failure(count).await?;
    ensure!(refused.contains("28P01"), "{refused}");
    fs::write(&file, "PG_PASSWORD=replaced\n")?;
    let [one, other] = &cluster.executors;
    cluster.ask_until_replaced(&[count], &[one, other]).await?;
    cluster.ensure_rows(count, &["3"]).await?;
    cluster
        .ensure_discreet(&["PASSWORD=", server.password()])
        .await
}

#[tokio::test]
async fn every_type_is_read_as_the_database_has_it() -> Result<()> {
    let (fixture, server) = shop(&["orders"]).await?;
    let cluster = Cluster::start(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    for (column, values) in TYPES {
        let sql = format!("SELECT {column} FROM orders ORDER BY n");
        cluster.ensure_rows(&sql, &values).await?;
    }
    let types = "SELECT column_name, data_type FROM information_schema.columns \
                 WHERE table_name = 'orders' ORDER BY ordinal_position";
    let rows = cluster.rows(types).await?;
    let expected = [
        "n|Int32",
        "small|Int16",
        "big|Int64",
        "single|Float32",
        "double|Float64",
        "yes|Boolean",
        "words|Utf8",
        "code|Utf8",
        "padded|Utf8",
        "bytes|Binary",
        "day|Date32",
    ];
    ensure!(
        rows.get(..11) == Some(&expected.map(str::to_owned)),
        "{rows:?}"
    );
    Ok(())
}

#[tokio::test]
async fn conditions_that_the_database_decides_select_the_rows_of_the_engine() -> Result<()> {
    let (fixture, server) = shop(&["orders"]).await?;
    let cluster = Cluster::start(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    for (condition, pushed, expected) in CONDITIONS {
        let sql = format!("SELECT n FROM orders WHERE {condition} ORDER BY n");
        cluster.ensure_rows(&sql, expected).await?;
        let plan = cluster.rows(&format!("EXPLAIN {sql}")).await?.join("\n");
        let scan = plan.lines().find(|line| line.contains("PostgresScan"));
        let scan = scan.unwrap_or_default();
        ensure!(scan.contains("WHERE") == pushed, "{condition}: {plan}");
        // Values are parameters.
        ensure!(!scan.contains('\''), "{condition}: {scan}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_repeated() -> Result<()> {
    let (fixture, server) = shop(&["orders"]).await?;
    let said = refusal(&fixture, &[("PG_PASSWORD", "wrong-word")]).await?;
    for words in [
        "dataset `orders`",
        "refuses the user or the password (28P01)",
        "`pg_pass`",
    ] {
        ensure!(said.contains(words), "no {words:?} in {said}");
    }
    ensure_discreet(
        &said,
        &["wrong-word", server.password(), PostgresServer::USER],
    )?;
    let said = refusal(&fixture, &[]).await?;
    ensure!(said.contains("${env:PG_PASSWORD}"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_is_told_with_what_going_without_it_means() -> Result<()> {
    let (fixture, server) = shop(&["orders"]).await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    let address = format!("no connection with 127.0.0.1:{}", server.port());
    for mode in ["pg_sslmode: require", "pg_sslmode: verify-full"] {
        fs::write(
            fixture.manifest(),
            manifest.replace("pg_sslmode: disable", mode),
        )?;
        let said = refusal(&fixture, &[("PG_PASSWORD", server.password())]).await?;
        for words in [
            &address,
            "the server has no TLS",
            "`pg_sslmode: disable`",
            "in the clear",
        ] {
            ensure!(said.contains(words), "no {words:?} in {said}");
        }
        ensure_discreet(&said, &[server.password(), PostgresServer::USER])?;
    }
    // A host that is a secret is not told.
    let hidden = manifest.replace("pg_host: 127.0.0.1", "pg_host: '${env:PG_HOST}'");
    fs::write(fixture.manifest(), hidden)?;
    let environment = [("PG_PASSWORD", "wrong-word"), ("PG_HOST", "127.1")];
    let said = refusal(&fixture, &environment).await?;
    ensure!(
        said.contains("no connection with ${env:PG_HOST}:"),
        "{said}"
    );
    ensure_discreet(&said, &["127.1"])?;
    Ok(())
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_told_with_its_column() -> Result<()> {
    let (fixture, server) = shop(&["odd", "nothing"]).await?;
    let said = refusal(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    for words in [
        "dataset `odd`: cannot read postgres:sales.odd: the column `span` has the type interval",
        "dataset `nothing`: cannot read postgres:sales.nothing: there is no table sales.nothing",
    ] {
        ensure!(said.contains(words), "no {words:?} in {said}");
    }
    Ok(())
}

#[tokio::test]
async fn values_without_an_equal_here_fail_the_query_that_reads_them() -> Result<()> {
    let (fixture, server) = shop(&["edges"]).await?;
    let cluster = Cluster::start(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    for (column, value) in [
        ("day", "an infinite time"),
        ("price", "a number that is none"),
    ] {
        let failure = cluster
            .failure(&format!("SELECT {column} FROM edges"))
            .await?;
        for words in ["dataset `edges`", column, value] {
            ensure!(failure.contains(words), "no {words:?} in {failure}");
        }
    }
    cluster.ensure_rows("SELECT n FROM edges", &["1"]).await
}

#[tokio::test]
async fn a_database_that_went_away_fails_queries_and_says_so() -> Result<()> {
    let (fixture, mut server) = shop(&["orders"]).await?;
    let cluster = Cluster::start(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    cluster
        .ensure_rows("SELECT count(*) FROM orders", &["3"])
        .await?;
    // A table that changed is told before rows are read wrongly.
    server
        .execute("ALTER TABLE sales.orders ALTER small TYPE text")
        .await?;
    let failure = cluster.failure("SELECT small FROM orders").await?;
    let told = "dataset `orders`: the column `small` has another type";
    ensure!(failure.contains(told), "{failure}");
    cluster
        .ensure_rows("SELECT count(*) FROM orders", &["3"])
        .await?;
    server.pause().await?;
    let failure = cluster.failure("SELECT big FROM orders").await?;
    ensure!(failure.contains("did not answer within 10 s"), "{failure}");
    server.stop().await?;
    let failure = cluster.failure("SELECT big FROM orders").await?;
    ensure!(
        failure.contains("the database cannot be reached"),
        "{failure}"
    );
    ensure_discreet(&failure, &[server.password()])?;
    cluster
        .ensure_rows("SELECT count(*) FROM numbers", &["3"])
        .await
}

/// A database with tables in it, and a spicepod over some of them and the file `numbers`.
pub(super) async fn shop(tables: &[&str]) -> Result<(Fixture, PostgresServer)> {
    let server = PostgresServer::start().await?;
    server.execute(TABLES).await?;
    let fixture = Fixture::new()?;
    let entries = tables.iter().map(|table| {
        let entry = DATASET.replace("NAME", table);
        entry.replace("PORT", &server.port().to_string())
    });
    let file = "  - {name: numbers, from: 'file:numbers/', params: {file_format: csv}}\n";
    write_manifest(&fixture, &(entries.collect::<String>() + file))?;
    Ok((fixture, server))
}

const DATASET: &str = "  - name: NAME
    from: postgres:sales.NAME
    params:
      pg_host: 127.0.0.1
      pg_port: PORT
      pg_db: postgres
      pg_user: keeper
      pg_pass: ${env:PG_PASSWORD}
      pg_sslmode: disable
";

const TABLES: &str = r#"
CREATE SCHEMA sales;
CREATE TABLE sales.orders (
    n int4 PRIMARY KEY, small int2, big int8, single float4, double float8, yes bool, words text,
    code varchar(9), padded char(5), bytes bytea, day date, at timestamp, instant timestamptz,
    price numeric(10, 2), ratio numeric, id uuid, doc jsonb, raw json, nick name, "Odd ""name" int4
);
INSERT INTO sales.orders VALUES
    (1, -32768, 9223372036854775807, 1.5, -2.25, true, 'it''s', 'B7', 'ab', '\x00ff',
     '1969-12-31', '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05+01', 12345678.90, 0.1,
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1]}', '{"a":  1}', 'nick', 7),
    (2, 32767, -9223372036854775808, 'NaN', 'Infinity', false, '', 'é', '', '', '2026-11-26',
     '1969-12-31 23:59:59.5', '1970-01-01 00:00:00+00', -0.05, 123456789012345678901234567890.5,
     NULL, 'null', '[]', '', 8),
    (9, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL);
CREATE TABLE sales.many AS SELECT n::int8 FROM generate_series(1, 50000) n;
CREATE TABLE sales.odd (n int4, span interval);
CREATE TABLE sales.edges (n int4, day date, price numeric(5, 2));
INSERT INTO sales.edges VALUES (1, 'infinity', 'NaN');
"#;

/// A column, and its values in the order of `n`. What PostgreSQL's own text of a value would be is
/// not asked: these are what was put in.
const TYPES: [(&str, [&str; 3]); 19] = [
    ("small", ["-32768", "32767", ""]),
    ("big", ["9223372036854775807", "-9223372036854775808", ""]),
    ("single", ["1.5", "NaN", ""]),
    ("double", ["-2.25", "inf", ""]),
    ("yes", ["true", "false", ""]),
    ("words", ["it's", "", ""]),
    ("words IS NULL", ["false", "false", "true"]),
    ("code", ["B7", "é", ""]),
    ("padded", ["ab", "", ""]),
    ("bytes", ["00ff", "", ""]),
    ("day", ["1969-12-31", "2026-11-26", ""]),
    (
        "at",
        ["2026-01-02T03:04:05.678901", "1969-12-31T23:59:59.500", ""],
    ),
    (
        "instant",
        ["2026-01-02T02:04:05Z", "1970-01-01T00:00:00Z", ""],
    ),
    ("price", ["12345678.90", "-0.05", ""]),
    ("ratio", ["0.1", "123456789012345678901234567890.5", ""]),
    ("id", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "", ""]),
    ("doc", [r#"{"a": [1]}"#, "null", ""]),
    ("raw", [r#"{"a":  1}"#, "[]", ""]),
    (r#""Odd ""name""#, ["7", "8", ""]),
];

/// A condition, whether the database decides it, and the `n` of the rows that meet it.
const CONDITIONS: [(&str, bool, &[&str]); 22] = [
    ("n = 2", true, &["2"]),
    ("2 < n", true, &["9"]),
    ("n <> 2", true, &["1", "9"]),
    ("n IN (1, 9, 11)", true, &["1", "9"]),
    ("n NOT IN (1, 9, 11)", true, &["2"]),
    ("small = -32768", true, &["1"]),
    ("big > 9223372036854775806", true, &["1"]),
    ("yes", true, &["1"]),
    ("NOT yes", true, &["2"]),
    ("words = 'it''s'", true, &["1"]),
    ("words = ''", true, &["2"]),
    ("code > 'a'", true, &["2"]),
    ("padded = 'ab'", true, &["1"]),
    ("day < DATE '1970-01-01'", true, &["1"]),
    ("at = TIMESTAMP '1969-12-31T23:59:59.5'", true, &["2"]),
    ("instant = TIMESTAMPTZ '2026-01-02T02:04:05Z'", true, &["1"]),
    ("price < 0", true, &["2"]),
    ("words IS NULL", true, &["9"]),
    ("n = 1 OR words = ''", true, &["1", "2"]),
    ("double > 5", false, &["2"]),
    ("words LIKE 'it%'", false, &["1"]),
    ("n % 2 = 0", false, &["2"]),
];
