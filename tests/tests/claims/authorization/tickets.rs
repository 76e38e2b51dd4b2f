//! Shuffle tickets: ids of work that the executor has done, never paths.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow_flight::{Action, Ticket};
use ballista_core::serde::protobuf;
use cluster_tls::Role;
use prost::Message;
use protobuf::action::ActionType;
use tonic::Code;

use super::{Scene, holder_of};

const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";
const DO_ACTION: &str = "/arrow.flight.protocol.FlightService/DoAction";
const BLOCK_TRANSPORT: &str = "IO_BLOCK_TRANSPORT";
const JOB: &str = "0123456789abcdef0123456789abcdef";
const CONTENT: &[u8] = b"rows of a job";

/// A ticket for the first bytes of the file of a job's first partition.
fn ticket(job_id: &str) -> Vec<u8> {
    let fetch = protobuf::FetchPartition {
        job_id: job_id.to_owned(),
        stage_id: 1,
        partition_id: 0,
        byte_ranges: vec![protobuf::ByteRange {
            offset: 0,
            length: CONTENT.len() as u64,
        }],
        ..Default::default()
    };
    protobuf::Action {
        settings: vec![],
        action_type: Some(ActionType::FetchPartition(fetch)),
    }
    .encode_to_vec()
}

fn action(r#type: &str, body: Vec<u8>) -> Vec<u8> {
    let action = Action {
        r#type: r#type.to_owned(),
        body: body.into(),
    };
    action.encode_to_vec()
}

fn get(ticket: Vec<u8>) -> Vec<u8> {
    let ticket = Ticket {
        ticket: ticket.into(),
    };
    ticket.encode_to_vec()
}

/// The directory of the running executor's shuffle files.
fn work_dir(scene: &Scene) -> Result<PathBuf> {
    let parent = scene.fixture.directory().join("executor1-data/shuffle");
    let mut entries = fs::read_dir(&parent)?.filter_map(Result::ok);
    let directory = entries.find(|entry| entry.path().is_dir());
    Ok(directory.context("there is no shuffle directory")?.path())
}

/// Puts a file where the executor itself would put the output of a job below `directory`.
fn plant(directory: &Path) -> Result<()> {
    let partition = directory.join("1/0");
    fs::create_dir_all(&partition)?;
    Ok(fs::write(partition.join("data.arrow"), CONTENT)?)
}

#[tokio::test]
async fn a_ticket_reaches_the_work_of_its_job_and_no_file_elsewhere() -> Result<()> {
    let scene = Scene::start().await?;
    let work_dir = work_dir(&scene)?;
    plant(&work_dir.join(JOB))?;
    let caller = scene.to_executor(&holder_of(Role::Executor))?;
    let served = caller
        .call(DO_ACTION, action(BLOCK_TRANSPORT, ticket(JOB)))
        .await?;
    ensure!(served.code() == Code::Ok, "the job's own file: {served:?}");

    // The same file outside, so that a path that got out would find something.
    let outside = scene.fixture.directory().join("outside");
    plant(&outside)?;
    plant(&work_dir.with_file_name("sibling"))?;
    let absolute = outside.display().to_string();
    let dots = format!("{JOB}/../{JOB}");
    let jobs = [
        "../sibling",
        &absolute,
        &dots,
        "..",
        ".",
        "",
        "./0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef/",
        "0123456789abcdef0123456789abcdef\0",
        "..\\sibling",
        "%2e%2e%2fsibling",
        "ffffffffffffffffffffffffffffffff",
    ];
    for job in jobs {
        for (method, message) in [
            (DO_ACTION, action(BLOCK_TRANSPORT, ticket(job))),
            (DO_GET, get(ticket(job))),
        ] {
            let status = caller.call(method, message).await?;
            ensure!(
                status.code() == Code::NotFound && status.message() == "no such ticket",
                "{method} of {job:?}: {status:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_executor_carries_out_no_other_action() -> Result<()> {
    let scene = Scene::start().await?;
    plant(&work_dir(&scene)?.join(JOB))?;
    let caller = scene.to_executor(&holder_of(Role::Scheduler))?;
    for kind in [
        "",
        "io_block_transport",
        "REMOVE_JOB_DATA",
        "CreatePreparedStatement",
        "CancelFlightInfo",
    ] {
        let status = caller.call(DO_ACTION, action(kind, ticket(JOB))).await?;
        ensure!(status.code() == Code::Unimplemented, "{kind:?}: {status:?}");
    }
    let served = action(BLOCK_TRANSPORT, ticket(JOB));
    let served = caller.call(DO_ACTION, served).await?;
    ensure!(served.code() == Code::Ok, "{served:?}");
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_ticket_are_not_found() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_executor(&holder_of(Role::Executor))?;
    for body in [vec![], b"SELECT 1".to_vec(), vec![0xff; 100]] {
        for (method, message) in [
            (DO_ACTION, action(BLOCK_TRANSPORT, body.clone())),
            (DO_GET, get(body.clone())),
        ] {
            let status = caller.call(method, message).await?;
            ensure!(status.code() == Code::NotFound, "{method}: {status:?}");
        }
    }
    Ok(())
}
