//! Numbered polls: a number is answered once, to the executor that sent it and to nobody else.

use anyhow::{Result, ensure};
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{ExecutorRegistration, PollWorkParams};
use cluster_proto::POLL_NUMBER_HEADER;
use cluster_test::Leaf;
use cluster_tls::Role;
use tonic::{Code, Request};

use super::Scene;
use super::calls::Caller;
use super::forgery::{poll_of, registration};

#[tokio::test]
async fn a_number_is_answered_again_an_older_one_is_not_and_nonsense_is_refused() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&executor("executor8"))?;
    let poll = poll_as("executor8.test:50052", "aa")?;
    for (number, code) in [
        ("5", Code::Ok),
        ("5", Code::Ok),
        ("4", Code::FailedPrecondition),
        ("x", Code::InvalidArgument),
        ("-1", Code::InvalidArgument),
        ("18446744073709551616", Code::InvalidArgument),
        ("5", Code::Ok),
        ("6", Code::Ok),
        ("5", Code::FailedPrecondition),
    ] {
        let answered = ask(&caller, &poll, number).await?;
        ensure!(answered == code, "{number}: {answered:?}");
    }
    // Another run begins anew.
    let restarted = poll_as("executor8.test:50052", "bb")?;
    let answered = ask(&caller, &restarted, "1").await?;
    ensure!(answered == Code::Ok, "{answered:?}");
    scene.still_answers().await
}

#[tokio::test]
async fn nobody_reads_or_disturbs_the_answers_of_another_executor() -> Result<()> {
    let scene = Scene::start().await?;
    let owner = scene.to_scheduler(&executor("executor8"))?;
    let poll = poll_as("executor8.test:50052", "aa")?;
    ensure!(ask(&owner, &poll, "5").await? == Code::Ok);
    // It has the name too, but the id is taken; and it is no scheduler's to ask for.
    let namesake = executor("executor9").with_names(["executor8.test", "executor9.test"]);
    let namesake = scene.to_scheduler(&namesake)?;
    let scheduler = Leaf::new("scheduler9").with_role(Role::Scheduler);
    let scheduler = scene.to_scheduler(&scheduler.with_names(["executor8.test"]))?;
    for (who, caller) in [("a namesake", namesake.clone()), ("a scheduler", scheduler)] {
        for number in ["5", "6", "1000"] {
            let answered = ask(&caller, &poll, number).await?;
            ensure!(answered == Code::PermissionDenied, "{who}: {answered:?}");
        }
    }
    let own = poll_as("executor9.test:50052", "aa")?;
    ensure!(ask(&namesake, &own, "1").await? == Code::Ok);
    // Neither number counted for the owner.
    for number in ["5", "6"] {
        ensure!(ask(&owner, &poll, number).await? == Code::Ok, "{number}");
    }
    scene.still_answers().await
}

fn executor(name: &str) -> Leaf {
    let leaf = Leaf::new(name).with_role(Role::Executor);
    leaf.with_names([format!("{name}.test").as_str()])
}

/// A poll of this run of the executor at `address`.
fn poll_as(address: &str, mark: &str) -> Result<PollWorkParams> {
    Ok(poll_of(ExecutorRegistration {
        id: format!("{address}#{mark}"),
        ..registration(address)?
    }))
}

async fn ask(caller: &Caller, poll: &PollWorkParams, number: &str) -> Result<Code> {
    let mut request = Request::new(poll.clone());
    let number = number.parse()?;
    request.metadata_mut().insert(POLL_NUMBER_HEADER, number);
    let answer = SchedulerGrpcClient::new(caller.channel())
        .poll_work(request)
        .await;
    Ok(answer.map_or_else(|status| status.code(), |_| Code::Ok))
}
