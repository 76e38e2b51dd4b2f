//! Messages that are too large, or no messages: refused, and the node goes on.

use anyhow::{Result, ensure};
use cluster_proto::pb;
use cluster_tls::Role;
use prost::Message;
use tonic::Code;

use super::calls::Caller;
use super::rows::{self, FLIGHT, Row};
use super::{Scene, holder_of};

#[tokio::test]
async fn noise_is_refused_by_every_method_of_both_ports() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&holder_of(Role::Node))?;
    refuses_noise(&caller, &rows::scheduler()).await?;
    let caller = scene.to_executor(&holder_of(Role::Node))?;
    refuses_noise(&caller, &FLIGHT).await?;
    scene.still_answers().await
}

async fn refuses_noise(caller: &Caller, rows: &[Row]) -> Result<()> {
    for (path, ..) in rows {
        // A field of a kind that does not exist, a length beyond the end, and no length at all.
        for noise in [&[0xff; 40][..], &[0x0a, 0x7f, 0x00], &[0x0a]] {
            let status = caller.call(path, noise).await?;
            ensure!(status.code() != Code::Ok, "{path} takes {noise:?}");
            ensure!(!status.message().contains("panic"), "{path}: {status:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_control_message_beyond_the_limit_is_refused_before_it_is_read() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&holder_of(Role::Executor))?;
    let method = "/spice.protobuf.ClusterService/GetAppDefinition";
    for (bytes, code) in [
        (CONTROL_BYTES - 64, Code::InvalidArgument),
        (CONTROL_BYTES + 1, Code::OutOfRange),
    ] {
        let request = pb::GetAppDefinitionRequest {
            executor_id: "x".repeat(bytes),
        };
        let status = caller.call(method, request.encode_to_vec()).await?;
        ensure!(status.code() == code, "{bytes} bytes: {:?}", status.code());
    }
    scene.still_answers().await
}

#[tokio::test]
async fn a_control_stream_takes_no_message_beyond_the_limit() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&holder_of(Role::Executor))?;
    let method = "/spice.protobuf.ClusterService/ControlStream";
    for (bytes, code) in [
        (64, Code::Ok),
        (CONTROL_BYTES - 256, Code::Ok),
        (CONTROL_BYTES + 1, Code::InvalidArgument),
    ] {
        let shutdown = pb::ExecutorShutdown {
            ballista_executor_id: String::new(),
            reason: "x".repeat(bytes),
        };
        let report = pb::ExecutorControlMessage {
            executor_id: "127.0.0.1:9".to_owned(),
            message: Some(pb::executor_control_message::Message::Shutdown(shutdown)),
            instance_id: String::new(),
            build_version: String::new(),
        };
        let status = caller.call(method, report.encode_to_vec()).await?;
        ensure!(status.code() == code, "{bytes} bytes: {status:?}");
    }
    scene.still_answers().await
}

#[tokio::test]
async fn plans_reports_and_tickets_have_limits_of_their_own() -> Result<()> {
    let scene = Scene::start().await?;
    let to_scheduler = scene.to_scheduler(&holder_of(Role::Node))?;
    for method in ["PollWork", "UpdateTaskStatus", "ExecuteQuery"] {
        let path = format!("/ballista.protobuf.SchedulerGrpc/{method}");
        limited(&to_scheduler, &path, ENGINE_BYTES).await?;
    }
    let to_executor = scene.to_executor(&holder_of(Role::Node))?;
    for method in ["DoGet", "DoAction"] {
        let path = format!("/arrow.flight.protocol.FlightService/{method}");
        limited(&to_executor, &path, TICKET_BYTES).await?;
    }
    scene.still_answers().await
}

/// A message of `bytes` is read, whatever comes of it, and one that is longer is not.
async fn limited(caller: &Caller, path: &str, bytes: usize) -> Result<()> {
    let status = caller.call(path, unknown_field(bytes)).await?;
    ensure!(status.code() != Code::OutOfRange, "{path}: {status:?}");
    let status = caller.call(path, unknown_field(bytes + 1)).await?;
    ensure!(status.code() == Code::OutOfRange, "{path}: {status:?}");
    Ok(())
}

/// A message of so many bytes that any method can read: one field that none of them knows.
fn unknown_field(bytes: usize) -> Vec<u8> {
    let mut message = Vec::new();
    let head = 2 + prost::length_delimiter_len(bytes);
    prost::encoding::encode_key(
        UNKNOWN_FIELD,
        prost::encoding::WireType::LengthDelimited,
        &mut message,
    );
    prost::encoding::encode_varint((bytes - head) as u64, &mut message);
    message.resize(bytes, 0);
    message
}

/// No message has as many fields; its key takes two bytes.
const UNKNOWN_FIELD: u32 = 2000;

/// What executors may ask and report.
const CONTROL_BYTES: usize = 64 * 1024;

/// Plans, and the reports of a poll.
const ENGINE_BYTES: usize = 16 * 1024 * 1024;

/// What a member may ask of another one's shuffle files.
const TICKET_BYTES: usize = 256 * 1024;
