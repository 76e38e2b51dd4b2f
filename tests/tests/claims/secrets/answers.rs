//! What a scheduler answers to whoever asks for secrets.

use std::fs;

use anyhow::{Context, Result, ensure};
use cluster_proto::{REQUEST_ID_HEADER, pb};
use cluster_test::{Launch, Leaf, LogLine, Node, NodeArguments, Protection};
use cluster_tls::Role;
use prost::Message;
use tonic::{Code, Status};

use super::{Vault, executor_leaf, expand, reads_three};
use crate::authorization::calls::ensure_denied;
use crate::fixture::PATIENCE;

#[tokio::test]
async fn an_executor_gets_what_the_application_refers_to_and_sees_it_replaced() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    let secret = &vault.bucket.credentials().secret_access_key;
    for value in [secret.as_str(), "replaced"] {
        vault.put("vault/s3.secret", value)?;
        let answer = expand(&caller, "vault", "s3.secret").await??;
        ensure!(answer.metadata().contains_key(REQUEST_ID_HEADER));
        let answer = answer.into_inner();
        ensure!(answer.key == "s3.secret" && answer.value == value);
        ensure!(!format!("{answer:?}").contains(value));
    }
    Ok(())
}

#[tokio::test]
async fn whatever_is_not_given_gets_one_answer() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    expand(&caller, "vault", "s3.key").await??;
    fs::remove_file(vault.path("vault/s3.key"))?;
    for (store, key) in [
        // Referred to, and gone.
        ("vault", "s3.key"),
        // There, and not referred to.
        ("vault", "unreferenced"),
        ("attic", "unreferenced"),
        // Referred to through another store.
        ("attic", "s3.secret"),
        ("secrets", "s3.secret"),
        ("", "s3.secret"),
        // Neither.
        ("vault", "nothing"),
        ("elsewhere", "s3.secret"),
        ("vault", ""),
        ("vault", "../attic/unreferenced"),
        ("../vault", "s3.secret"),
        ("vault", "S3.SECRET"),
    ] {
        let status = expand(&caller, store, key).await?.err();
        let status = status.with_context(|| format!("{store}:{key} is given"))?;
        ensure_refused(&status, &format!("{store}:{key}"))?;
    }
    Ok(())
}

/// Neither the code nor the text nor anything beside them tells one refusal from another.
fn ensure_refused(status: &Status, what: &str) -> Result<()> {
    ensure!(status.code() == Code::InvalidArgument, "{what}: {status:?}");
    ensure!(status.message() == "no such secret", "{what}: {status:?}");
    ensure!(status.details().is_empty(), "{what}: {status:?}");
    let names = status.metadata().keys();
    let names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    ensure!(
        names.iter().all(|name| name.contains("content-type")
            || name.contains("date")
            || name.contains(REQUEST_ID_HEADER)),
        "{what}: {names:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_store_in_trouble_is_told_of_in_the_log_of_the_scheduler_alone() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    fs::rename(vault.path("vault"), vault.path("away"))?;
    for key in ["s3.secret", "unreferenced"] {
        let status = expand(&caller, "vault", key).await?.err().context(key)?;
        ensure!(status.code() == Code::Internal, "{status:?}");
        ensure!(status.message() == "the secret cannot be read now");
        let id = status.metadata().get(REQUEST_ID_HEADER);
        let id = id.context("no request id")?.to_str()?.to_owned();
        let told = |line: &LogLine| {
            line.message() == "secret store failed"
                && line.field("request_id") == Some(&id)
                && line.field("error").is_some_and(|it| it.contains("vault"))
        };
        scheduler.log().wait_for(told, PATIENCE).await?;
    }
    fs::rename(vault.path("away"), vault.path("vault"))?;
    expand(&caller, "vault", "s3.secret").await??;
    Ok(())
}

#[tokio::test]
async fn other_roles_and_other_names_get_no_secret() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    for role in [Role::Scheduler, Role::Client] {
        let caller = vault.caller(&scheduler, &Leaf::new("caller").with_role(role))?;
        let status = expand(&caller, "vault", "s3.secret").await?.err();
        ensure_denied(&status.context("given")?, role.as_str())?;
    }
    // A certificate for another host may not speak as the executor at this one.
    let elsewhere = executor_leaf().with_names(["elsewhere.example"]);
    let caller = vault.caller(&scheduler, &elsewhere)?;
    let status = expand(&caller, "vault", "s3.secret").await?.err();
    ensure_denied(&status.context("given")?, "a foreign name")?;
    for role in [Role::Executor, Role::Node] {
        // Each under a certificate and id of its own.
        let leaf = Leaf::new("caller").with_role(role);
        let caller = vault.caller(&scheduler, &leaf)?;
        let request = pb::ExpandSecretRequest {
            executor_id: format!("127.0.0.1:{}", role.as_str().len()),
            key: "s3.secret".to_owned(),
            store: "vault".to_owned(),
        };
        let status = caller.call(EXPAND_SECRET, request.encode_to_vec()).await?;
        ensure!(status.code() == Code::Ok, "{role}: {status:?}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_that_are_too_long_or_no_requests_are_refused() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    let caller = vault.caller(&scheduler, &executor_leaf())?;
    for (bytes, code) in [
        (60 * 1024, Code::InvalidArgument),
        (64 * 1024, Code::OutOfRange),
    ] {
        let status = expand(&caller, "vault", &"k".repeat(bytes)).await?.err();
        ensure!(status.context("given")?.code() == code, "{bytes} bytes");
    }
    for noise in [
        &[0xff; 40][..],
        &[0x0a, 0x7f, 0x00],
        &[0x12, 0x02, 0xff, 0xfe],
    ] {
        let status = caller.call(EXPAND_SECRET, noise).await?;
        ensure!(status.code() != Code::Ok, "{noise:?}");
    }
    expand(&caller, "vault", "s3.secret").await??;
    Ok(())
}

#[tokio::test]
async fn an_executor_works_with_the_secrets_of_its_scheduler() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    let executor = vault.executor(&scheduler)?;
    let _executor = vault.join(&scheduler, executor).await?;
    reads_three(&scheduler, "numbers").await
}

#[tokio::test]
async fn an_executor_asks_its_scheduler_and_not_its_own_environment() -> Result<()> {
    let vault = Vault::new().await?;
    let keys = vault.bucket.credentials();
    // One comes from the environment of the scheduler, the other from the file beside it.
    vault.put(".env", &format!("CLAIMS_KEY='{}'\n", keys.access_key_id))?;
    vault.edit(|manifest| {
        let stores = "secrets:\n  - {from: env, name: env, params: {file_path: .env}}\n";
        let manifest = manifest.replace("secrets:\n", stores);
        let manifest = manifest.replace("vault:s3.key", "env:CLAIMS_KEY");
        manifest.replace("vault:s3.secret", "env:CLAIMS_SECRET")
    })?;
    let launch = vault.scheduler_launch(&[])?;
    let scheduler = in_environment(launch, "CLAIMS_SECRET", &keys.secret_access_key);
    let scheduler = Node::start(scheduler).await?;
    let executor = in_environment(vault.executor(&scheduler)?, "CLAIMS_SECRET", "wrong");
    let _executor = vault.join(&scheduler, executor).await?;
    reads_three(&scheduler, "numbers").await
}

fn in_environment(launch: Launch, name: &str, value: &str) -> Launch {
    let mut arguments = vec![format!("{name}={value}").into(), launch.program.into()];
    arguments.extend(launch.arguments);
    Launch {
        program: "env".into(),
        arguments,
        ..launch
    }
}

#[tokio::test]
async fn an_executor_that_gets_no_secret_names_it_and_its_dataset() -> Result<()> {
    let vault = Vault::new().await?;
    let scheduler = vault.scheduler(&[]).await?;
    fs::remove_file(vault.path("vault/s3.secret"))?;
    let (status, log) = Node::run_to_end(vault.executor(&scheduler)?).await?;
    ensure!(!status.success());
    let told = log.tail(usize::MAX);
    for part in ["dataset `numbers`", "${vault:s3.secret}", "not given"] {
        ensure!(told.contains(part), "no {part} in {told}");
    }
    let secret = &vault.bucket.credentials().secret_access_key;
    ensure!(!told.contains(secret.as_str()));
    Ok(())
}

#[tokio::test]
async fn an_insecure_cluster_has_no_secrets() -> Result<()> {
    let vault = Vault::new().await?;
    let unused = vault.fixture.pki().write("unused", &Leaf::new("unused"))?;
    let insecure = |arguments: NodeArguments| {
        let protection = Protection::Insecure;
        vault.fixture.launch(
            &NodeArguments {
                protection,
                ..arguments
            },
            &[],
        )
    };
    let scheduler = Node::start(insecure(vault.fixture.scheduler_with(unused))).await?;
    let executor = insecure(vault.fixture.executor_of(&scheduler)?);
    let (status, log) = Node::run_to_end(executor).await?;
    ensure!(!status.success());
    let told = log.tail(usize::MAX);
    ensure!(told.contains("${vault:s3.key} is not given"), "{told}");
    Ok(())
}

const EXPAND_SECRET: &str = "/spice.protobuf.ClusterService/ExpandSecret";
