//! Flags that contradict each other, or that nobody knows.

use anyhow::{Result, ensure};
use cluster_test::{Leaf, Listener, LogLine, Node, Protection};
use cluster_tls::{CredentialPaths, Role};

use super::{Faults, scheduler};
use crate::fixture::{Fixture, PATIENCE};

fn executor_files(fixture: &Fixture) -> Result<CredentialPaths> {
    let leaf = Leaf::new("executor1").with_role(Role::Executor);
    fixture.pki().write("executor1", &leaf)
}

#[tokio::test]
async fn a_flag_that_nobody_knows_is_an_error_of_use() -> Result<()> {
    let fixture = Fixture::new()?;
    let (arguments, _) = scheduler(&fixture)?;
    let launch = fixture.launch(&arguments, &["--node-mtls-keyfile", "x"]);
    let (status, log) = Node::run_to_end(launch).await?;
    let text = log.tail(usize::MAX);
    ensure!(status.code() == Some(2), "{status}: {text}");
    ensure!(
        text.contains("--node-mtls-key-file"),
        "no suggestion: {text}"
    );
    Ok(())
}

#[tokio::test]
async fn plaintext_in_the_schedulers_address_does_not_win_over_mutual_tls() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut arguments = fixture.executor_with(executor_files(&fixture)?, 1);
    arguments.scheduler = None;
    let more = ["--scheduler-address", "http://127.0.0.1:50052"];
    let faults = Faults::of(fixture.launch(&arguments, &more)).await?;
    faults.tell_only(&["http://127.0.0.1:50052", "write https://127.0.0.1:50052"])
}

#[tokio::test]
async fn mutual_tls_and_its_absence_cannot_both_be_asked_for() -> Result<()> {
    let fixture = Fixture::new()?;
    let (arguments, _) = scheduler(&fixture)?;
    let more = ["--allow-insecure-connections"];
    let faults = Faults::of(fixture.launch(&arguments, &more)).await?;
    faults.tell_only(&["--allow-insecure-connections", "one or the other"])
}

#[tokio::test]
async fn an_executor_without_a_scheduler_is_told_the_flag() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut arguments = fixture.executor_with(executor_files(&fixture)?, 1);
    arguments.scheduler = None;
    let faults = Faults::of(fixture.launch(&arguments, &[])).await?;
    faults.tell_only(&[
        "needs a scheduler",
        "--scheduler-address https://HOST:50052",
    ])
}

#[tokio::test]
async fn a_node_is_never_insecure_for_want_of_files() -> Result<()> {
    let fixture = Fixture::new()?;
    let (mut arguments, _) = scheduler(&fixture)?;
    arguments.protection = Protection::Insecure;
    let mut launch = fixture.launch(&arguments, &[]);
    launch
        .arguments
        .retain(|argument| argument != "--allow-insecure-connections");
    let faults = Faults::of(launch).await?;
    faults.tell_only(&[
        "needs a certificate",
        "spice cluster tls init",
        "--node-mtls-key-file",
    ])
}

#[tokio::test]
async fn one_file_of_three_is_told_with_the_two_that_are_missing() -> Result<()> {
    let fixture = Fixture::new()?;
    let (mut arguments, paths) = scheduler(&fixture)?;
    arguments.protection = Protection::Insecure;
    let ca = paths.ca.display().to_string();
    let more = ["--node-mtls-ca-certificate-file", &ca];
    let mut launch = fixture.launch(&arguments, &more);
    launch
        .arguments
        .retain(|argument| argument != "--allow-insecure-connections");
    let faults = Faults::of(launch).await?;
    let missing = "missing: --node-mtls-certificate-file, --node-mtls-key-file";
    faults.tell_only(&["all three files", missing])
}

#[tokio::test]
async fn a_rule_gives_certificates_of_another_issuer_their_role() -> Result<()> {
    let fixture = Fixture::new()?;
    let leaf = Leaf::new("executor1").with_uri("spiffe://corp.example/ns/prod/sa/spice-executor");
    let foreign = fixture.pki().write("executor1", &leaf)?;
    let rule = "spiffe://corp.example/ns/*/sa/spice-executor=executor";
    let flags = ["--node-mtls-identity", rule];

    let own = Leaf::new("scheduler1").with_role(Role::Scheduler);
    let arguments = fixture.scheduler_with(fixture.pki().write("scheduler1", &own)?);
    let scheduler = Node::start(fixture.launch(&arguments, &flags)).await?;
    let port = scheduler.address(Listener::Internal)?.port();
    let executor = fixture.executor_with(foreign, port);
    let _executor = Node::start(fixture.launch(&executor, &flags)).await?;
    let connected = |line: &LogLine| line.message() == "executor connected";
    scheduler.log().wait_for(connected, PATIENCE).await?;

    // Without the rule it is nobody, already to itself.
    let faults = Faults::of(fixture.launch(&executor, &[])).await?;
    faults.tell_only(&[
        "executor1.pem",
        "the path is not <role>/<name>",
        "add a rule",
    ])
}
