//! An S3 store.

use std::fs;
use std::sync::Arc;

use anyhow::{Result, ensure};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use cluster_test::{Credentials, S3Server};
use datafusion::parquet::arrow::ArrowWriter;

use super::{Cluster, ensure_discreet, refusal, write_manifest};
use crate::fixture::Fixture;

#[tokio::test]
async fn executors_without_keys_read_objects_and_prefixes() -> Result<()> {
    let (fixture, server) = lake(&[
        ("cities", "s3://data/cities.csv", "csv"),
        ("many_cities", "s3://data/many cities/", "csv"),
        ("rivers", "s3://data/rivers.parquet", "parquet"),
        ("many_rivers", "s3://data/rivers/", "parquet"),
    ])
    .await?;
    let keys = server.credentials();
    let cluster = Cluster::start(&fixture, &environment(keys)).await?;
    let union = "SELECT * FROM cities UNION ALL SELECT * FROM many_cities ORDER BY id";
    let all = [
        "1|Lima", "2|Oslo", "3|Quito", "4|Accra", "5|Turin", "6|Perth",
    ];
    cluster.ensure_rows(union, &all).await?;
    let join = "SELECT c.name, r.river FROM cities c JOIN rivers r ON c.id = r.id ORDER BY 1";
    let both = ["Lima|Rímac", "Oslo|Akerselva", "Quito|Machángara"];
    cluster.ensure_rows(join, &both).await?;
    let sum = "SELECT count(*), sum(id), min(river) FROM many_rivers WHERE id > 4";
    cluster.ensure_rows(sum, &["2|11|Po"]).await?;
    // An object that is put later is seen by the next query.
    server
        .put("many cities/three.csv", b"id,name\n7,Graz\n".to_vec())
        .await?;
    cluster
        .ensure_rows("SELECT count(*) FROM many_cities", &["4"])
        .await?;
    cluster
        .ensure_discreet(&[&keys.access_key_id, &keys.secret_access_key])
        .await
}

#[tokio::test]
async fn keys_that_are_replaced_in_their_store_are_used_without_a_restart() -> Result<()> {
    let (fixture, mut server) = lake(&[
        ("cities", "s3://data/cities.csv", "csv"),
        ("many_rivers", "s3://data/rivers/", "parquet"),
    ])
    .await?;
    let store = "secrets:\n  - {from: env, name: env, params: {file_path: .env}}\n";
    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + store)?;
    let file = fixture.directory().join(".env");
    let write = |keys: &Credentials| {
        let lines = environment(keys).map(|(name, value)| format!("{name}={value}\n"));
        fs::write(&file, lines.concat())
    };
    let old = server.credentials().clone();
    write(&old)?;
    let cluster = Cluster::start(&fixture, &[]).await?;
    let join = "SELECT count(*) FROM cities c, many_rivers r";
    cluster.ensure_rows(join, &["9"]).await?;

    let new = Credentials::random();
    server.replace_keys(&new).await?;
    let refused = cluster.failure(join).await?;
    ensure!(refused.contains("the store refuses access"), "{refused}");
    write(&new)?;
    let nodes: Vec<_> = cluster.nodes().collect();
    let cities = "SELECT count(*) FROM cities WHERE id > 0";
    let rivers = "SELECT sum(id) FROM many_rivers";
    cluster
        .ask_until_replaced(&[cities, rivers], &nodes)
        .await?;
    cluster.ensure_rows(join, &["9"]).await?;
    for keys in [&old, &new] {
        cluster
            .ensure_discreet(&[&keys.access_key_id, &keys.secret_access_key])
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn wrong_keys_are_told_and_not_repeated() -> Result<()> {
    let (fixture, server) = lake(&[
        ("cities", "s3://data/cities.csv", "csv"),
        ("rivers", "s3://data/rivers/", "parquet"),
    ])
    .await?;
    let right = server.credentials();
    let other = Credentials::random();
    let wrong_secret = Credentials {
        secret_access_key: other.secret_access_key.clone(),
        ..right.clone()
    };
    let said = refusal(&fixture, &environment(&wrong_secret)).await?;
    let wrong_id = Credentials {
        access_key_id: other.access_key_id.clone(),
        ..right.clone()
    };
    let said = [said, refusal(&fixture, &environment(&wrong_id)).await?];
    // The one is asked for an object, which gets no body, the other for a list.
    for (said, code) in said
        .iter()
        .zip(["SignatureDoesNotMatch", "InvalidAccessKeyId"])
    {
        for words in [
            "dataset `cities`",
            "dataset `rivers`",
            "refuses access",
            "403",
            code,
        ] {
            ensure!(said.contains(words), "no {words:?} in {said}");
        }
        for keys in [right, &other] {
            ensure_discreet(said, &[&keys.access_key_id, &keys.secret_access_key])?;
        }
    }
    Cluster::start(&fixture, &environment(right)).await?;
    Ok(())
}

/// Of three datasets in one bucket, each asks with its own keys, or with none.
#[tokio::test]
async fn datasets_of_one_bucket_share_no_keys() -> Result<()> {
    let (fixture, server) = lake(&[
        ("right", "s3://data/cities.csv", "csv"),
        ("wrong", "s3://data/cities.csv", "csv"),
        ("public", "s3://data/cities.csv", "csv"),
    ])
    .await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    let mut entries = manifest.split("  - name: ");
    let mut changed = entries.next().unwrap_or_default().to_owned();
    for entry in entries {
        let keyless = |line: &&str| !line.contains("s3_key") && !line.contains("s3_secret");
        let entry = match entry.lines().next() {
            Some("wrong") => entry.replace("LAKE_SECRET", "OTHER_SECRET"),
            Some("public") => entry
                .lines()
                .filter(keyless)
                .map(|it| format!("{it}\n"))
                .collect(),
            _ => entry.to_owned(),
        };
        changed = format!("{changed}  - name: {entry}");
    }
    fs::write(fixture.manifest(), changed)?;
    let mut environment = environment(server.credentials()).to_vec();
    environment.push(("OTHER_SECRET", "other"));
    let said = refusal(&fixture, &environment).await?;
    ensure!(!said.contains("dataset `right`"), "{said}");
    for dataset in ["dataset `wrong`", "dataset `public`"] {
        ensure!(said.contains(dataset), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn objects_that_are_not_there_are_told() -> Result<()> {
    let (fixture, server) = lake(&[
        ("missing", "s3://data/missing.csv", "csv"),
        ("empty", "s3://data/cities.csv/", "csv"),
        ("other", "s3://data/rivers/", "csv"),
        ("stranger", "s3://elsewhere/cities.csv", "csv"),
        ("wrong", "s3://data/cities.csv", "parquet"),
    ])
    .await?;
    let said = refusal(&fixture, &environment(server.credentials())).await?;
    for words in [
        "dataset `missing`: there is no object s3://data/missing.csv",
        "dataset `empty`: the directory s3://data/cities.csv/ holds no `.csv` file",
        "dataset `other`: the directory s3://data/rivers/ holds no `.csv` file",
        "dataset `stranger`: there is no object s3://elsewhere/cities.csv",
        "dataset `wrong`: s3://data/cities.csv is not readable as parquet",
    ] {
        ensure!(said.contains(words), "no {words:?} in {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_went_away_fails_queries_and_says_so() -> Result<()> {
    let (fixture, server) = lake(&[("cities", "s3://data/cities.csv", "csv")]).await?;
    let keys = server.credentials().clone();
    let cluster = Cluster::start(&fixture, &environment(&keys)).await?;
    cluster
        .ensure_rows("SELECT count(*) FROM cities", &["3"])
        .await?;
    server.stop().await?;
    let failure = cluster.failure("SELECT count(*) FROM cities").await?;
    ensure!(failure.contains("the store cannot be reached"), "{failure}");
    ensure_discreet(&failure, &[&keys.access_key_id, &keys.secret_access_key])?;
    // The node goes on with what it has.
    cluster.ensure_rows("SELECT 1 + 1", &["2"]).await
}

#[tokio::test]
async fn an_endpoint_without_tls_is_refused_unless_it_is_allowed() -> Result<()> {
    let (fixture, server) = lake(&[("cities", "s3://data/cities.csv", "csv")]).await?;
    let allowed = fs::read_to_string(fixture.manifest())?;
    fs::write(
        fixture.manifest(),
        allowed.replace("      allow_http: true\n", ""),
    )?;
    let said = refusal(&fixture, &environment(server.credentials())).await?;
    ensure!(said.contains("allow_http"), "{said}");
    // Nor where the manifest does not show it.
    let hidden = allowed
        .replace("      allow_http: true\n", "")
        .replace(&server.endpoint(), "${env:STORE}");
    fs::write(fixture.manifest(), hidden)?;
    let endpoint = server.endpoint();
    let mut environment = environment(server.credentials()).to_vec();
    environment.push(("STORE", &endpoint));
    let said = refusal(&fixture, &environment).await?;
    ensure!(said.contains("`s3_endpoint` must be a URL"), "{said}");
    ensure!(!said.contains(&endpoint), "{said}");
    Ok(())
}

/// A bucket with objects in it, and a spicepod over these datasets, as name, `from` and format.
pub(super) async fn lake(datasets: &[(&str, &str, &str)]) -> Result<(Fixture, S3Server)> {
    let server = S3Server::start().await?;
    fill(&server).await?;
    let fixture = Fixture::new()?;
    let entries = datasets.iter().map(|(name, from, format)| {
        let entry = DATASET.replace("NAME", name).replace("FROM", from);
        entry
            .replace("FORMAT", format)
            .replace("ENDPOINT", &server.endpoint())
    });
    write_manifest(&fixture, &entries.collect::<String>())?;
    Ok((fixture, server))
}

/// Puts the objects into the bucket.
pub(super) async fn fill(server: &S3Server) -> Result<()> {
    let cities = "id,name\n1,Lima\n2,Oslo\n3,Quito\n";
    server.put("cities.csv", cities.into()).await?;
    server
        .put(
            "many cities/one.csv",
            b"id,name\n4,Accra\n5,Turin\n".to_vec(),
        )
        .await?;
    server
        .put("many cities/two.csv", b"id,name\n6,Perth\n".to_vec())
        .await?;
    server
        .put("many cities/README.md", b"no data".to_vec())
        .await?;
    let rivers = parquet(1, &["Rímac", "Akerselva", "Machángara"])?;
    server.put("rivers.parquet", rivers).await?;
    server
        .put("rivers/one.parquet", parquet(4, &["Odaw"])?)
        .await?;
    server
        .put("rivers/two.parquet", parquet(5, &["Po", "Swan"])?)
        .await
}

pub(super) fn environment(keys: &Credentials) -> [(&'static str, &str); 2] {
    [
        ("LAKE_KEY", &keys.access_key_id),
        ("LAKE_SECRET", &keys.secret_access_key),
    ]
}

fn parquet(first_id: i64, rivers: &[&str]) -> Result<Vec<u8>> {
    let ids: ArrayRef = Arc::new((first_id..).take(rivers.len()).collect::<Int64Array>());
    let rivers: ArrayRef = Arc::new(StringArray::from_iter_values(rivers));
    let batch = RecordBatch::try_from_iter([("id", ids), ("river", rivers)])?;
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(bytes)
}

const DATASET: &str = "  - name: NAME
    from: FROM
    params:
      file_format: FORMAT
      s3_endpoint: ENDPOINT
      s3_key: ${env:LAKE_KEY}
      s3_secret: ${env:LAKE_SECRET}
      allow_http: true
";
