//! PostgreSQL behind TLS.

use anyhow::{Result, ensure};
use cluster_test::{Leaf, PostgresServer, TestPki};

use super::{Cluster, ensure_discreet, refusal, write_manifest};
use crate::fixture::Fixture;

#[tokio::test]
async fn a_server_is_believed_by_its_own_root_and_by_no_other() -> Result<()> {
    let pki = TestPki::new()?;
    let (fixture, server) = secured(&pki, &Leaf::new("database")).await?;
    let environment = [("PG_PASSWORD", server.password())];
    let root = pki.ca_path().display().to_string();
    let params = format!("pg_sslrootcert: {root}");
    manifest(&fixture, &server, &params)?;
    let cluster = Cluster::start(&fixture, &environment).await?;
    cluster.ensure_rows("SELECT n FROM orders", &["1"]).await?;
    cluster.ensure_discreet(&[server.password()]).await?;
    // Without TLS this server takes nobody.
    manifest(&fixture, &server, "pg_sslmode: disable")?;
    let said = refusal(&fixture, &environment).await?;
    ensure!(said.contains("(28000)"), "{said}");
    let namesake = pki.namesake()?.ca_path().display().to_string();
    for params in [
        format!("pg_sslrootcert: {namesake}"),
        "pg_sslmode: verify-full".to_owned(),
    ] {
        manifest(&fixture, &server, &params)?;
        let said = refusal(&fixture, &environment).await?;
        ensure!(said.contains("certificate"), "{params}: {said}");
        ensure_discreet(&said, &[server.password()])?;
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() -> Result<()> {
    let pki = TestPki::new()?;
    let leaf = Leaf::new("database").with_names(["elsewhere.example"]);
    let (fixture, server) = secured(&pki, &leaf).await?;
    let root = pki.ca_path().display().to_string();
    manifest(&fixture, &server, &format!("pg_sslrootcert: {root}"))?;
    let said = refusal(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    ensure!(said.contains("not valid for name"), "{said}");
    Ok(())
}

/// `require` believes any certificate of a server that knows the password.
#[tokio::test]
async fn a_password_that_is_bound_to_the_connection_proves_a_server_without_a_root() -> Result<()> {
    let pki = TestPki::new()?;
    let leaf = Leaf::new("database").with_names(["elsewhere.example"]);
    let (fixture, server) = secured(&pki, &leaf).await?;
    manifest(&fixture, &server, "pg_sslmode: require")?;
    let environment = [("PG_PASSWORD", server.password())];
    let cluster = Cluster::start(&fixture, &environment).await?;
    cluster.ensure_rows("SELECT n FROM orders", &["1"]).await?;
    // A server that has no proof to give: it asks for the password, or for nothing at all.
    for method in ["password", "trust"] {
        let (fixture, server) = secured(&pki, &leaf).await?;
        server.authenticate_by(method).await?;
        manifest(&fixture, &server, "pg_sslmode: require")?;
        let said = refusal(&fixture, &[("PG_PASSWORD", server.password())]).await?;
        ensure!(said.contains("cannot prove who it is"), "{method}: {said}");
        ensure_discreet(&said, &[server.password()])?;
    }
    Ok(())
}

async fn secured(pki: &TestPki, leaf: &Leaf) -> Result<(Fixture, PostgresServer)> {
    let server = PostgresServer::start_with_tls(&pki.issue(leaf)?).await?;
    let table = "CREATE TABLE orders (n int4); INSERT INTO orders VALUES (1)";
    server.execute(table).await?;
    Ok((Fixture::new()?, server))
}

fn manifest(fixture: &Fixture, server: &PostgresServer, params: &str) -> Result<()> {
    let port = server.port().to_string();
    write_manifest(
        fixture,
        &DATASET.replace("PORT", &port).replace("PARAMS", params),
    )
}

const DATASET: &str = "  - name: orders
    from: postgres:orders
    params:
      pg_host: 127.0.0.1
      pg_port: PORT
      pg_db: postgres
      pg_user: keeper
      pg_pass: ${env:PG_PASSWORD}
      PARAMS
";
