//! What an executor makes of commands: each once, each answered, and its heart never stops.

use std::fs;

use anyhow::{Context, Result, ensure};
use cluster_proto::pb;
use cluster_test::{Leaf, Listener, LogLine, Node, http_get};
use cluster_tls::Role;
use pb::executor_control_message::Message as Report;
use pb::scheduler_control_message::Message as Command;
use prost::Message as _;
use serde_json::Value;

use super::peer::{ID, caller, digest_of};
use super::scripted::{Opened, Scripted};
use crate::fixture::{Fixture, PATIENCE};
use crate::status::command::spice;

/// An executor of a scripted scheduler.
struct Scene {
    fixture: Fixture,
    scheduler: Scripted,
    executor: Node,
    /// What it began with.
    first: pb::GetAppDefinitionResponse,
}

/// The definition that a real scheduler makes of the spicepod as it is now.
async fn definition(fixture: &Fixture) -> Result<pb::GetAppDefinitionResponse> {
    let scheduler = fixture.scheduler().await?;
    let caller = caller(fixture, &scheduler, "executor9")?;
    let mut client = pb::cluster_service_client::ClusterServiceClient::new(caller.channel());
    let executor_id = ID.to_owned();
    let request = pb::GetAppDefinitionRequest { executor_id };
    let answer = client.get_app_definition(request).await?.into_inner();
    ensure!(answer.digest == digest_of(&scheduler).await?);
    Ok(answer)
}

impl Scene {
    async fn start() -> Result<(Self, Opened)> {
        let fixture = Fixture::new()?;
        let first = definition(&fixture).await?;
        let mut scheduler = Scripted::start(fixture.pki(), first.clone()).await?;
        let leaf = Leaf::new("executor1").with_role(Role::Executor);
        let paths = fixture.pki().write("executor1", &leaf)?;
        let arguments = fixture.executor_with(paths, scheduler.port);
        let executor = Node::start(fixture.launch(&arguments, &[])).await?;
        let stream = scheduler.stream().await?;
        let scene = Self {
            fixture,
            scheduler,
            executor,
            first,
        };
        Ok((scene, stream))
    }

    /// Another definition, which the scheduler gives from now on.
    async fn another(&self, view: &str) -> Result<pb::GetAppDefinitionResponse> {
        let manifest = fs::read_to_string(self.fixture.manifest())?;
        let changed = format!("{manifest}views:\n  - {{name: {view}, sql: SELECT 1 AS a}}\n");
        fs::write(self.fixture.manifest(), changed)?;
        let another = definition(&self.fixture).await?;
        fs::write(self.fixture.manifest(), manifest)?;
        self.scheduler.define(another.clone());
        Ok(another)
    }
}

/// Why the application of its scheduler is not open on an executor, as that says.
async fn app_fault(executor: &Node) -> Result<String> {
    let reply = http_get(executor.address(Listener::Http)?, "/v1/status").await?;
    let status: Value = serde_json::from_str(&reply.body)?;
    let fault = status["schedulers"][0]["app_fault"].as_str();
    Ok(fault.context("no fault")?.to_owned())
}

#[tokio::test]
async fn what_an_executor_has_open_is_said_again_on_every_stream() -> Result<()> {
    let (mut scene, mut stream) = Scene::start().await?;
    ensure!(stream.loaded().await? == scene.first.digest);
    let another = scene.another("v").await?;
    stream.app_changed(&another.digest, "r1").await?;
    ensure!(stream.loaded().await? == another.digest);
    ensure!(stream.acknowledged().await? == ("r1".to_owned(), String::new()));
    drop(stream);
    let mut stream = scene.scheduler.stream().await?;
    ensure!(stream.loaded().await? == another.digest, "the newest first");
    ensure!(stream.loaded().await? == scene.first.digest);
    Ok(())
}

#[tokio::test]
async fn a_command_that_comes_twice_is_carried_out_once_and_answered_twice() -> Result<()> {
    let (mut scene, mut stream) = Scene::start().await?;
    stream.loaded().await?;
    let another = scene.another("v").await?;
    let asked = scene.scheduler.asked();
    for _ in 0..2 {
        stream.app_changed(&another.digest, "r1").await?;
    }
    stream.loaded().await?;
    let acknowledged = ("r1".to_owned(), String::new());
    ensure!(stream.acknowledged().await? == acknowledged);
    // Over a reconnect, as a scheduler that missed the answer would.
    drop(stream);
    let mut stream = scene.scheduler.stream().await?;
    for _ in 0..2 {
        stream.loaded().await?;
    }
    stream.app_changed(&another.digest, "r1").await?;
    ensure!(stream.acknowledged().await? == acknowledged);
    let cancel = || {
        Command::CancelTasks(pb::CancelTasks {
            tasks: vec![],
            request_id: "r2".to_owned(),
        })
    };
    for _ in 0..3 {
        stream.command(cancel()).await?;
        ensure!(stream.acknowledged().await? == ("r2".to_owned(), String::new()));
    }
    ensure!(scene.scheduler.asked() == asked + 1, "it fetched it again");
    Ok(())
}

#[tokio::test]
async fn a_definition_that_cannot_be_opened_is_refused_once_tried_again_and_then_used() -> Result<()>
{
    let (scene, mut stream) = Scene::start().await?;
    stream.loaded().await?;
    let late = scene.fixture.directory().join("numbers");
    let another = scene.another("v").await?;
    let away = scene.fixture.directory().join("away");
    fs::rename(&late, &away)?;
    stream.app_changed(&another.digest, "r1").await?;
    let (request, error) = stream.acknowledged().await?;
    ensure!(
        request == "r1" && error.contains("does not exist"),
        "{error}"
    );
    let fault = app_fault(&scene.executor).await?;
    ensure!(error.starts_with(&fault[..100]), "{fault}, not {error}");
    let shown = spice(&scene.executor, &["status"]).await?.stdout;
    ensure!(shown.contains("! the application of 127.0.0.1:"), "{shown}");
    // It goes on trying, and goes on living, and says no more about it until it has it.
    stream.heartbeat().await?;
    fs::rename(&away, &late)?;
    ensure!(stream.loaded().await? == another.digest);
    ensure!(app_fault(&scene.executor).await.is_err(), "it is open now");
    let told = |line: &LogLine| {
        line.message() == "application definition not opened, trying on"
            && line.field("digest") == Some(&another.digest)
    };
    scene.executor.log().wait_for(told, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn a_thousand_tables_that_are_not_there_are_told_in_one_message_that_fits() -> Result<()> {
    let (scene, mut stream) = Scene::start().await?;
    stream.loaded().await?;
    let manifest = fs::read_to_string(scene.fixture.manifest())?;
    let table = |number| {
        format!("  - {{name: t{number}, from: 'file:numbers/', params: {{file_format: csv}}}}\n")
    };
    let tables: String = (0..1000).map(table).collect();
    fs::write(scene.fixture.manifest(), manifest + &tables)?;
    let many = definition(&scene.fixture).await?;
    scene.scheduler.define(many.clone());
    let numbers = scene.fixture.directory().join("numbers");
    let away = scene.fixture.directory().join("away");
    fs::rename(&numbers, &away)?;
    stream.app_changed(&many.digest, "r1").await?;
    let (request, error) = stream.acknowledged().await?;
    ensure!(
        request == "r1" && error.contains("does not exist"),
        "{error}"
    );
    ensure!(error.chars().count() <= 1024, "{} bytes", error.len());
    stream.heartbeat().await?;
    fs::rename(&away, &numbers)?;
    ensure!(stream.loaded().await? == many.digest, "it goes on trying");
    Ok(())
}

#[tokio::test]
async fn of_two_changes_in_a_row_the_newer_one_counts() -> Result<()> {
    let (scene, mut stream) = Scene::start().await?;
    stream.loaded().await?;
    let older = scene.another("v1").await?;
    let newer = scene.another("v2").await?;
    stream.app_changed(&older.digest, "r1").await?;
    stream.app_changed(&newer.digest, "r2").await?;
    // Asked for the older one, the scheduler gives the newer: both answers name that.
    loop {
        match stream.report().await? {
            Report::PartitionsLoaded(loaded) => ensure!(loaded.digest == newer.digest),
            Report::Ack(ack) if ack.request_id == "r2" => break,
            Report::Ack(ack) => ensure!(ack.request_id == "r1", "{ack:?}"),
            other => anyhow::bail!("{other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_command_that_an_executor_does_not_know_is_answered_with_an_error() -> Result<()> {
    let (_scene, mut stream) = Scene::start().await?;
    stream.loaded().await?;
    let refresh = Command::RefreshDataset(pb::RefreshDataset {
        dataset_name: "numbers".to_owned(),
        overrides_json: String::new(),
        request_id: "r1".to_owned(),
    });
    stream.command(refresh).await?;
    let (request, error) = stream.acknowledged().await?;
    ensure!(request == "r1" && !error.is_empty(), "{request} {error}");
    stream.heartbeat().await
}

#[tokio::test]
async fn a_scheduler_that_talks_nonsense_and_without_end_does_not_stop_the_heart() -> Result<()> {
    let (mut scene, mut stream) = Scene::start().await?;
    stream.loaded().await?;
    for number in 0..2000 {
        let command = match number % 4 {
            0 => Command::PollNow(pb::PollNow::default()),
            1 => Command::RequestMetrics(pb::RequestMetrics::default()),
            2 => Command::AppChanged(pb::AppChanged::default()),
            _ => Command::CancelTasks(pb::CancelTasks {
                tasks: vec![nonsense(); 100],
                request_id: String::new(),
            }),
        };
        stream.command(command).await?;
    }
    stream.heartbeat().await?;
    // More than a message may be: the stream is opened again.
    let reason = "x".repeat(32 * 1024 * 1024);
    stream
        .command(Command::PollNow(pb::PollNow { reason }))
        .await?;
    let mut stream = scene.scheduler.stream().await.context("it gave up")?;
    stream.heartbeat().await?;
    let lines = scene.executor.log().lines();
    let panicked = lines.iter().find(|line| line.raw().contains("panicked"));
    ensure!(panicked.is_none(), "{panicked:?}");
    Ok(())
}

/// A task of a job that never was.
fn nonsense() -> pb::RunningTask {
    let task = pb::RunningTask {
        task_id: u32::MAX,
        job_id: "../../etc/passwd\0".to_owned(),
        stage_id: u32::MAX,
        partition_id: u32::MAX,
    };
    debug_assert!(task.encoded_len() > 0);
    task
}

#[tokio::test]
async fn a_command_with_an_id_that_is_longer_than_any_is_refused() -> Result<()> {
    let (scene, mut stream) = Scene::start().await?;
    stream.loaded().await?;
    let cancel = |request_id: &str| {
        Command::CancelTasks(pb::CancelTasks {
            tasks: vec![],
            request_id: request_id.to_owned(),
        })
    };
    stream.command(cancel(&"x".repeat(65))).await?;
    let longest = "x".repeat(64);
    stream.command(cancel(&longest)).await?;
    // The first answer is that to the second command.
    ensure!(stream.acknowledged().await? == (longest, String::new()));
    let refused = |line: &LogLine| {
        line.message() == "command refused: its request id is longer than any"
            && line.value("id_bytes") == Some(&serde_json::json!(65))
    };
    scene.executor.log().wait_for(refused, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn tasks_of_jobs_that_no_scheduler_names_are_not_cancelled() -> Result<()> {
    let (scene, mut stream) = Scene::start().await?;
    stream.loaded().await?;
    let longest = pb::RunningTask {
        job_id: "0".repeat(64),
        ..nonsense()
    };
    let too_long = pb::RunningTask {
        job_id: "0".repeat(65),
        ..nonsense()
    };
    for (request_id, tasks) in [
        ("r1", vec![longest.clone()]),
        ("r2", vec![nonsense(), longest, too_long]),
    ] {
        let request_id = request_id.to_owned();
        let cancel = pb::CancelTasks { tasks, request_id };
        stream.command(Command::CancelTasks(cancel)).await?;
        stream.acknowledged().await?;
    }
    let refused = |line: &LogLine| line.message() == "tasks not cancelled: no job has such an id";
    let line = scene.executor.log().wait_for(refused, PATIENCE).await?;
    ensure!(
        line.value("tasks") == Some(&serde_json::json!(2)),
        "{line:?}"
    );
    let lines = scene.executor.log().lines();
    ensure!(lines.iter().filter(|line| refused(line)).count() == 1);
    Ok(())
}

#[tokio::test]
async fn a_scheduler_that_restarts_learns_what_its_executors_have_open() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut scheduler = fixture.scheduler().await?;
    let _executor = fixture.executor(&scheduler).await?;
    let digest = digest_of(&scheduler).await?;
    let port = scheduler.address(Listener::Internal)?.port();
    scheduler.kill().await?;

    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    let mut arguments = fixture.scheduler_with(fixture.pki().write("scheduler1", &leaf)?);
    arguments.ports.internal = port;
    let scheduler = Node::start(fixture.launch(&arguments, &[])).await?;
    let open = |line: &LogLine| {
        line.message() == "executor has the application open"
            && line.field("digest") == Some(&digest)
    };
    let line = scheduler.log().wait_for(open, PATIENCE).await?;
    ensure!(
        line.value("ready") == Some(&serde_json::json!(1)),
        "{line:?}"
    );
    Ok(())
}
