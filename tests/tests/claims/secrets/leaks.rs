//! Where an executor has no secrets: in its environment, its arguments, its log and its files,
//! those of shuffles among them, and in no file that a crash leaves. In memory it has them, since
//! it uses them.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::sql::client::FlightSqlServiceClient;
use cluster_test::{Launch, Listener, LogLine, Node, PostgresServer};
use futures::TryStreamExt;
use tonic::transport::Endpoint;

use super::search::Search;
use super::{Vault, reads_three};
use crate::fixture::PATIENCE;

#[tokio::test]
async fn an_executor_has_keys_and_passwords_in_its_memory_alone() -> Result<()> {
    let vault = Vault::new().await?;
    let database = PostgresServer::start().await?;
    let people = "CREATE TABLE people (n bigint); INSERT INTO people VALUES (1), (2), (3)";
    database.execute(people).await?;
    vault.put("vault/pg.pass", database.password())?;
    let people = PEOPLE.replace("PORT", &database.port().to_string());
    vault.edit(|manifest| manifest + &people)?;
    let scheduler = vault.scheduler(&[]).await?;
    let executor = vault.executor(&scheduler)?;
    let executor = vault.join(&scheduler, executor).await?;
    reads_three(&scheduler, "numbers").await?;
    reads_three(&scheduler, "people").await?;
    // As long as nobody reads the rest of a large result, it lies in shuffle files.
    let mut result = large_result(&scheduler).await?;
    ensure!(result.try_next().await?.is_some());

    let secret = &vault.bucket.credentials().secret_access_key;
    let mut search = Search::new(&[secret, database.password()])?;
    search.process(&executor)?;
    search.process(&scheduler)?;
    search.directory(&vault.path("scheduler1-data"))?;
    let before = search.files;
    search.directory(&vault.path("executor1-data/shuffle"))?;
    ensure!(search.files > before, "there are no shuffle files");
    search.directory(&vault.path("executor1-data"))?;
    ensure!(search.findings.is_empty(), "{:?}", search.findings);

    // The same search finds both where they are.
    search.directory(&vault.path("vault"))?;
    ensure!(search.findings.len() == 2, "{:?}", search.findings);
    Ok(())
}

/// Some 20 MB of rows, of which none has been read.
async fn large_result(scheduler: &Node) -> Result<FlightRecordBatchStream> {
    let flight = scheduler.address(Listener::Flight)?;
    let channel = Endpoint::from_shared(format!("http://{flight}"))?;
    let channel = channel.connect().await?;
    let mut client = FlightSqlServiceClient::new(channel);
    let tables: Vec<String> = (0..9).map(|it| format!("numbers t{it}")).collect();
    let sql = format!(
        "SELECT repeat('x', 1000) || t0.n FROM {}",
        tables.join(", ")
    );
    let info = client.execute(sql, None).await?;
    let endpoint = info.endpoint.into_iter().next().context("no endpoint")?;
    let ticket = endpoint.ticket.context("no ticket")?;
    Ok(client.do_get(ticket).await?)
}

#[tokio::test]
async fn a_crash_leaves_no_memory_behind() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    let directory = vault.path("crash");
    fs::create_dir(&directory)?;
    let launch = vault.executor(&scheduler)?;
    let launch = in_directory_with_cores(launch, &directory);
    let mut executor = vault.join(&scheduler, launch).await?;
    reads_three(&scheduler, "numbers").await?;
    let id = executor.process_id().context("no process")?;
    let limits = fs::read_to_string(format!("/proc/{id}/limits"))?;
    let cores = limits
        .lines()
        .find(|it| it.starts_with("Max core file size"));
    let cores: Vec<&str> = cores.context("no limit")?.split_whitespace().collect();
    ensure!(
        matches!(cores[4..], ["0" | "1", "0" | "1", "bytes"]),
        "{cores:?}"
    );
    let status = Command::new("sh")
        .args(["-c", &format!("kill -s ABRT {id}")])
        .status()?;
    ensure!(status.success());
    let status = executor.terminate(PATIENCE).await?;
    ensure!(status.signal() == Some(ABRT), "{status}");
    ensure!(!status.core_dumped(), "{status}");
    let left: Vec<_> = fs::read_dir(&directory)?.collect();
    ensure!(left.is_empty(), "{left:?}");
    let connected = |line: &LogLine| line.message() == "executor disconnected";
    scheduler.log().wait_for(connected, PATIENCE).await?;
    Ok(())
}

/// Starts the program where cores would be written, with as much room for them as there is.
fn in_directory_with_cores(launch: Launch, directory: &Path) -> Launch {
    let script = "cd \"$0\" && ulimit -S -c \"$(ulimit -H -c)\" && exec \"$@\"";
    let mut arguments = vec!["-c".into(), script.into(), directory.into()];
    arguments.push(launch.program.into());
    arguments.extend(launch.arguments);
    Launch {
        program: "sh".into(),
        arguments,
        ..launch
    }
}

/// A table of the database, whose password is where the keys of the bucket are.
const PEOPLE: &str = "
  - name: people
    from: postgres:people
    params:
      pg_host: 127.0.0.1
      pg_port: PORT
      pg_db: postgres
      pg_user: keeper
      pg_pass: ${vault:pg.pass}
      pg_sslmode: disable
";

const ABRT: i32 = 6;
