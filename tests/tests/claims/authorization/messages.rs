//! Messages that are too large, or no messages: refused, and the node goes on.

use anyhow::{Result, ensure};
use bytes::Bytes;
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
        (LIMIT_BYTES - 64, Code::InvalidArgument),
        (LIMIT_BYTES + 1, Code::OutOfRange),
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
    for (bytes, code) in [(64, Code::Ok), (LIMIT_BYTES + 1, Code::InvalidArgument)] {
        let shutdown = pb::ExecutorShutdown {
            ballista_executor_id: String::new(),
            reason: "x".repeat(bytes),
        };
        let report = pb::ExecutorControlMessage {
            executor_id: "127.0.0.1:9".to_owned(),
            message: Some(pb::executor_control_message::Message::Shutdown(shutdown)),
            instance_id: String::new(),
        };
        let status = caller.call(method, report.encode_to_vec()).await?;
        ensure!(status.code() == code, "{bytes} bytes: {status:?}");
    }
    scene.still_answers().await
}

#[tokio::test]
async fn plans_and_tickets_have_a_limit_as_well() -> Result<()> {
    let scene = Scene::start().await?;
    let huge = Bytes::from(vec![0; 65 * 1024 * 1024]);
    let to_scheduler = scene.to_scheduler(&holder_of(Role::Node))?;
    let to_executor = scene.to_executor(&holder_of(Role::Node))?;
    for (caller, path) in [
        (&to_scheduler, "/ballista.protobuf.SchedulerGrpc/PollWork"),
        (
            &to_scheduler,
            "/ballista.protobuf.SchedulerGrpc/ExecuteQuery",
        ),
        (&to_executor, "/arrow.flight.protocol.FlightService/DoGet"),
    ] {
        let status = caller.call(path, huge.clone()).await?;
        ensure!(status.code() == Code::OutOfRange, "{path}: {status:?}");
    }
    scene.still_answers().await
}

/// What control calls accept.
const LIMIT_BYTES: usize = 16 * 1024 * 1024;
