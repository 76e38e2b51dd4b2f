//! Messages that name somebody else than their sender. The services behind the guard believe
//! the sender that a message names, so a name that passes is an identity stolen.

use anyhow::{Context, Result, ensure};
use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::executor_resource::Resource;
use ballista_core::serde::protobuf::{
    ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorResource,
    ExecutorSpecification, ExecutorStoppedParams, HeartBeatParams, PollWorkParams,
    RegisterExecutorParams, RunningTask, SuccessfulTask, TaskStatus, UpdateTaskStatusParams,
    task_status,
};
use cluster_proto::pb;
use cluster_test::{Leaf, Listener, LogLine, http_get};
use cluster_tls::Role;
use prost::Message;
use tonic::Code;

use super::calls::{Caller, ensure_denied, ensure_not_denied};
use super::{Scene, call_denied};

const GET_APP_DEFINITION: &str = "/spice.protobuf.ClusterService/GetAppDefinition";
const EXPAND_SECRET: &str = "/spice.protobuf.ClusterService/ExpandSecret";
const ALLOCATE: &str = "/spice.protobuf.ClusterService/AllocateInitialPartitions";
const CONTROL_STREAM: &str = "/spice.protobuf.ClusterService/ControlStream";
const REGISTER: &str = "/ballista.protobuf.SchedulerGrpc/RegisterExecutor";
const POLL_WORK: &str = "/ballista.protobuf.SchedulerGrpc/PollWork";
const HEARTBEAT: &str = "/ballista.protobuf.SchedulerGrpc/HeartBeatFromExecutor";
const UPDATE_STATUS: &str = "/ballista.protobuf.SchedulerGrpc/UpdateTaskStatus";
const STOPPED: &str = "/ballista.protobuf.SchedulerGrpc/ExecutorStopped";

pub(super) fn registration(id: &str) -> Result<ExecutorRegistration> {
    let (host, port) = id.rsplit_once(':').context("no host:port")?;
    let port = port.parse()?;
    Ok(ExecutorRegistration {
        id: id.to_owned(),
        host: Some(host.to_owned()),
        port,
        grpc_port: port,
        specification: Some(specification(1)),
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    })
}

/// So many task slots.
fn specification(slots: u32) -> ExecutorSpecification {
    ExecutorSpecification {
        resources: vec![ExecutorResource {
            resource: Some(Resource::Vcores(slots)),
        }],
    }
}

/// Every call that names its sender, with `id` as the sender; the one that ends it comes last.
fn calls_as(id: &str) -> Result<[(&'static str, Vec<u8>); 9]> {
    let executor_id = id.to_owned();
    let metadata = Some(registration(id)?);
    let definition = pb::GetAppDefinitionRequest {
        executor_id: executor_id.clone(),
    };
    let secret = pb::ExpandSecretRequest {
        executor_id: executor_id.clone(),
        ..Default::default()
    };
    let allocate = pb::AllocateInitialPartitionsRequest {
        executor_url: format!("https://{id}"),
    };
    let report = pb::ExecutorControlMessage {
        executor_id: executor_id.clone(),
        message: None,
        instance_id: String::new(),
        build_version: String::new(),
    };
    let register = RegisterExecutorParams {
        metadata: metadata.clone(),
    };
    let poll = PollWorkParams {
        metadata: metadata.clone(),
        ..Default::default()
    };
    let heartbeat = HeartBeatParams {
        executor_id: executor_id.clone(),
        metadata,
        ..Default::default()
    };
    let update = UpdateTaskStatusParams {
        executor_id: executor_id.clone(),
        task_status: vec![],
    };
    let stopped = ExecutorStoppedParams {
        executor_id,
        reason: "forged".to_owned(),
    };
    Ok([
        (GET_APP_DEFINITION, definition.encode_to_vec()),
        (EXPAND_SECRET, secret.encode_to_vec()),
        (ALLOCATE, allocate.encode_to_vec()),
        (CONTROL_STREAM, report.encode_to_vec()),
        (REGISTER, register.encode_to_vec()),
        (POLL_WORK, poll.encode_to_vec()),
        (HEARTBEAT, heartbeat.encode_to_vec()),
        (UPDATE_STATUS, update.encode_to_vec()),
        (STOPPED, stopped.encode_to_vec()),
    ])
}

async fn is_denied_as(scene: &Scene, caller: &Caller, id: &str) -> Result<()> {
    for (method, message) in calls_as(id)? {
        let status = caller.call(method, message).await?;
        ensure_denied(&status, &format!("{method} as {id}"))?;
        let node = &scene.scheduler;
        call_denied(node, method, Role::Executor, "foreign_sender").await?;
    }
    Ok(())
}

async fn is_heard_as(caller: &Caller, id: &str) -> Result<()> {
    for (method, message) in calls_as(id)? {
        let status = caller.call(method, message).await?;
        let heard = match method {
            REGISTER | HEARTBEAT => Code::Unimplemented,
            // It is heard, and asks for nothing that there is.
            EXPAND_SECRET => Code::InvalidArgument,
            _ => Code::Ok,
        };
        ensure!(status.code() == heard, "{method} as {id}: {status:?}");
    }
    Ok(())
}

fn executor(name: &str) -> Leaf {
    Leaf::new(name).with_role(Role::Executor)
}

#[tokio::test]
async fn an_executor_speaks_for_the_hosts_of_its_certificate_and_for_no_other() -> Result<()> {
    let scene = Scene::start().await?;
    let leaf = executor("executor9").with_names(["executor9.test"]);
    let caller = scene.to_scheduler(&leaf)?;
    is_denied_as(&scene, &caller, &scene.executor_id()?).await?;
    is_denied_as(&scene, &caller, "executor8.test:50052").await?;
    is_heard_as(&caller, "executor9.test:50052").await
}

#[tokio::test]
async fn a_shared_host_name_does_not_let_an_executor_speak_as_its_neighbour() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&executor("executor9"))?;
    is_denied_as(&scene, &caller, &scene.executor_id()?).await?;
    is_heard_as(&caller, "127.0.0.1:9").await?;

    let http = scene.scheduler.address(Listener::Http)?;
    let ready = http_get(http, "/v1/ready?min_ready_executors=1").await?;
    ensure!(ready.status == 200, "the neighbour is gone: {}", ready.body);
    let lines = scene.scheduler.log().lines();
    let ended = |line: &LogLine| line.message() == "executor disconnected";
    let own_id = scene.executor_id()?;
    let mut ended = lines.iter().filter(|line| ended(line));
    ensure!(ended.all(|line| line.field("executor") != Some(&own_id)));
    Ok(())
}

pub(super) fn poll_of(metadata: ExecutorRegistration) -> PollWorkParams {
    PollWorkParams {
        metadata: Some(metadata),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_registration_that_sends_others_elsewhere_is_denied() -> Result<()> {
    let scene = Scene::start().await?;
    let leaf = executor("executor9").with_names(["executor9.test", "executor9b.test"]);
    let caller = scene.to_scheduler(&leaf)?;
    let honest = registration("executor9.test:50052")?;
    let elsewhere = [
        ExecutorRegistration {
            host: Some("127.0.0.1".to_owned()),
            ..honest.clone()
        },
        ExecutorRegistration {
            host: None,
            ..honest.clone()
        },
        ExecutorRegistration {
            port: 1,
            ..honest.clone()
        },
        ExecutorRegistration {
            grpc_port: 1 << 16 | 50052,
            ..honest.clone()
        },
    ];
    for metadata in elsewhere {
        let what = format!("{metadata:?}");
        let register = RegisterExecutorParams {
            metadata: Some(metadata.clone()),
        };
        let poll = poll_of(metadata);
        let status = caller.call(REGISTER, register.encode_to_vec()).await?;
        ensure_denied(&status, &what)?;
        let status = caller.call(POLL_WORK, poll.encode_to_vec()).await?;
        ensure_denied(&status, &what)?;
    }
    let poll = poll_of(honest);
    let status = caller.call(POLL_WORK, poll.encode_to_vec()).await?;
    ensure!(status.code() == Code::Ok, "the honest one: {status:?}");
    Ok(())
}

/// Upstream dials whoever registers, without TLS, before it answers.
#[tokio::test]
async fn no_message_of_an_executor_makes_the_scheduler_dial_in_plaintext() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&executor("executor9"))?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    for (method, message) in calls_as(&listener.local_addr()?.to_string())? {
        caller.call(method, message).await?;
        let dialled = listener.accept();
        ensure!(dialled.is_err(), "{method} made it dial: {dialled:?}");
    }
    scene.still_answers().await
}

/// Upstream takes these fields for granted.
#[tokio::test]
async fn an_incomplete_or_boundless_registration_is_refused_and_harms_nobody() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&executor("executor9").with_names(["executor9.test"]))?;
    let honest = registration("executor9.test:50052")?;
    let specifications = [
        None,
        Some(ExecutorSpecification::default()),
        Some(specification(0)),
        Some(specification(u32::MAX)),
    ];
    let mut registrations: Vec<_> = specifications
        .map(|specification| {
            Some(ExecutorRegistration {
                specification,
                ..honest.clone()
            })
        })
        .to_vec();
    registrations.push(None);
    registrations.push(Some(ExecutorRegistration {
        os_info: None,
        ..honest
    }));
    for metadata in registrations {
        let register = RegisterExecutorParams {
            metadata: metadata.clone(),
        };
        let poll = PollWorkParams {
            metadata,
            ..Default::default()
        };
        for (method, message) in [
            (REGISTER, register.encode_to_vec()),
            (POLL_WORK, poll.encode_to_vec()),
        ] {
            let status = caller.call(method, message).await?;
            ensure!(
                status.code() == Code::InvalidArgument,
                "{method}: {status:?}"
            );
        }
    }
    scene.still_answers().await
}

fn task(status: task_status::Status) -> TaskStatus {
    TaskStatus {
        job_id: "0123456789abcdef0123456789abcdef".to_owned(),
        status: Some(status),
        ..Default::default()
    }
}

fn reports_of(executor_id: &str) -> [TaskStatus; 2] {
    let executor_id = executor_id.to_owned();
    [
        task(task_status::Status::Running(RunningTask {
            executor_id: executor_id.clone(),
        })),
        task(task_status::Status::Successful(SuccessfulTask {
            executor_id,
            ..Default::default()
        })),
    ]
}

async fn report(caller: &Caller, sender: &str, report: TaskStatus) -> Result<[tonic::Status; 2]> {
    let poll = PollWorkParams {
        metadata: Some(registration(sender)?),
        task_status: vec![report.clone()],
        ..Default::default()
    };
    let update = UpdateTaskStatusParams {
        executor_id: sender.to_owned(),
        task_status: vec![report],
    };
    Ok([
        caller.call(POLL_WORK, poll.encode_to_vec()).await?,
        caller.call(UPDATE_STATUS, update.encode_to_vec()).await?,
    ])
}

#[tokio::test]
async fn an_executor_reports_its_own_tasks_only() -> Result<()> {
    let scene = Scene::start().await?;
    let sender = "executor9.test:50052";
    let caller = scene.to_scheduler(&executor("executor9").with_names(["executor9.test"]))?;
    for foreign in reports_of(&scene.executor_id()?) {
        for status in report(&caller, sender, foreign).await? {
            ensure_denied(&status, "a report about the task of another")?;
        }
    }
    for own in reports_of(sender) {
        for status in report(&caller, sender, own).await? {
            ensure_not_denied(&status, "a report about an own task")?;
        }
    }
    scene.still_answers().await
}
