//! Certificates that do not open the door.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use cluster_test::{Issued, Kind, Leaf, Listener, Metrics, Node, TestPki, Usage};
use cluster_tls::Role;

use super::stranger::{Answer, Stranger};
use super::{SOURCE, Scene, source};
use crate::fixture::Fixture;

fn executor() -> Leaf {
    Leaf::new("executor1").with_role(Role::Executor)
}

#[tokio::test]
async fn a_member_is_served_and_a_client_without_a_certificate_is_not() -> Result<()> {
    let scene = Scene::start().await?;
    let line = scene
        .refuses(Stranger::anonymous(), "no_certificate")
        .await?;
    ensure!(line.field("claimed").is_none(), "{}", line.raw());
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_with_the_names_that_it_claims() -> Result<()>
{
    let scene = Scene::start().await?;
    let foreign = TestPki::new()?.issue(&executor().with_names(["intruder.test"]))?;
    let line = scene
        .refuses(Stranger::with(&foreign), "unknown_issuer")
        .await?;
    let claimed = line.field("claimed").unwrap_or_default();
    ensure!(claimed.contains("intruder.test"), "{}", line.raw());
    Ok(())
}

#[tokio::test]
async fn an_authority_that_calls_itself_like_ours_shows_as_a_bad_signature() -> Result<()> {
    let scene = Scene::start().await?;
    let foreign = scene.fixture.pki().namesake()?.issue(&executor())?;
    scene
        .refuses(Stranger::with(&foreign), "bad_signature")
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_expired_certificate_is_refused() -> Result<()> {
    let scene = Scene::start().await?;
    let now = SystemTime::now();
    let expired = executor().valid(now - 2 * DAY, now - HOUR);
    let expired = scene.fixture.pki().issue(&expired)?;
    scene.refuses(Stranger::with(&expired), "expired").await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_the_future_is_refused() -> Result<()> {
    let scene = Scene::start().await?;
    let now = SystemTime::now();
    let early = executor().valid(now + HOUR, now + 2 * DAY);
    let early = scene.fixture.pki().issue(&early)?;
    scene
        .refuses(Stranger::with(&early), "not_yet_valid")
        .await?;
    Ok(())
}

/// The policy of the handshake is claimed case by case in `cluster-tls`; this shows that a node
/// has it.
#[tokio::test]
async fn what_a_stock_verifier_would_let_pass_is_refused_too() -> Result<()> {
    let scene = Scene::start().await?;
    let pki = scene.fixture.pki();
    let now = SystemTime::now();
    let cases: [(Issued, &str); 7] = [
        (
            pki.issue(&Leaf::new("executor1").with_names([]))?,
            "no_names",
        ),
        (pki.issue(&executor().with_uri(SECOND_URI))?, "bad_identity"),
        (
            pki.issue(&executor().with_names(["*.cluster.local"]))?,
            "bad_name",
        ),
        (
            pki.issue(&executor().with_kind(Kind::Authority))?,
            "signing_leaf",
        ),
        (
            pki.issue(&executor().with_usages([Usage::Server]))?,
            "wrong_usage",
        ),
        (
            pki.issue(&executor().valid(now - HOUR, now + 36_500 * DAY))?,
            "excessive_lifetime",
        ),
        (pki.self_signed(&executor())?, "unknown_issuer"),
    ];
    for (issued, reason) in cases {
        scene.refuses(Stranger::with(&issued), reason).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_chain_is_followed_over_an_intermediate_but_not_over_a_gap() -> Result<()> {
    let scene = Scene::start().await?;
    let issued = scene.fixture.pki().intermediate()?.issue(&executor())?;
    let whole = Stranger::with(&issued)
        .knock(SOURCE, scene.address()?)
        .await?;
    ensure!(whole == Answer::Served, "{whole:?}");
    let gap = Stranger::with_leaf_only(&issued);
    scene.refuses(gap, "unknown_issuer").await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_without_a_role_is_refused_where_roles_are_required() -> Result<()> {
    let fixture = Fixture::new()?;
    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    let arguments = fixture.scheduler_with(fixture.pki().write("scheduler1", &leaf)?);
    let launch = fixture.launch(&arguments, &["--node-mtls-require-role"]);
    let scheduler = Node::start(launch).await?;
    let strict = Scene { fixture, scheduler };
    let without_role = strict.fixture.pki().issue(&Leaf::new("executor1"))?;
    strict
        .refuses(Stranger::with(&without_role), "role_missing")
        .await?;

    let lenient = Scene::start().await?;
    let without_role = lenient.fixture.pki().issue(&Leaf::new("executor1"))?;
    let member = Stranger::with(&without_role);
    let answer = member.knock(SOURCE, lenient.address()?).await?;
    ensure!(answer == Answer::Served, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn the_log_tells_a_source_and_reason_once_a_minute_and_the_metrics_count_all() -> Result<()> {
    let scene = Scene::start().await?;
    let address = scene.address()?;
    for last in [2, 2, 2, 3] {
        let answer = Stranger::anonymous().knock(source(last), address).await?;
        ensure!(answer != Answer::Served, "served without a certificate");
    }
    scene.refusal(source(3), "no_certificate").await?;
    let lines = scene.scheduler.log().lines();
    let told = lines
        .iter()
        .filter(|line| line.message() == "connection refused")
        .count();
    ensure!(told == 2, "{told} lines about two sources");
    let metrics = Metrics::scrape(scene.scheduler.address(Listener::Metrics)?).await?;
    let label = "reason=\"no_certificate\"";
    let counted = metrics.sum_where("spiced_tls_handshakes_total", label);
    ensure!(counted == Some(4.0), "{counted:?} handshakes counted");
    Ok(())
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SECOND_URI: &str = "spiffe://cluster.local/executor/another";
