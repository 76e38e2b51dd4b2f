//! Every node on the page, or why it is not.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster_test::{Leaf, Listener, LogLine, Metrics, Node, http_get};
use cluster_tls::Role;

use super::{cluster_page, ensure_missing, has};
use crate::fixture::{Fixture, PATIENCE};
use crate::membership::{Cluster, id, knows_of, pause, resume};

/// Longer than a node may take to answer, shorter than it may be silent.
const BOUND: Duration = Duration::from_secs(10);

/// Starts an executor of `scheduler` and waits until it is known there.
async fn executor(fixture: &Fixture, name: &str, scheduler: &Node) -> Result<Node> {
    let leaf = Leaf::new(name).with_role(Role::Executor);
    let port = scheduler.address(Listener::Internal)?.port();
    let mut arguments = fixture.executor_with(fixture.pki().write(name, &leaf)?, port);
    arguments.data = fixture.directory().join(format!("{name}-data"));
    let node = Node::start(fixture.launch(&arguments, &[])).await?;
    let id = node.address(Listener::Internal)?.to_string();
    let connected = |line: &LogLine| {
        line.message() == "executor connected" && line.field("executor") == Some(&id)
    };
    scheduler.log().wait_for(connected, PATIENCE).await?;
    Ok(node)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_cluster_has_every_node_and_marks_those_that_stand_still() -> Result<()> {
    let cluster = Cluster::with_scheduler("{state_location: 'file:state', member_ttl: 60s}", "")?;
    let one = cluster.start("scheduler1").await?;
    let other = cluster.start("scheduler2").await?;
    knows_of(&one, 2).await?;
    let executors = [
        executor(cluster.fixture(), "executor1", &one).await?,
        executor(cluster.fixture(), "executor2", &one).await?,
    ];
    let mut ids = vec![id(&one)?, id(&other)?];
    for executor in &executors {
        ids.push(executor.address(Listener::Internal)?.to_string());
    }
    let page = cluster_page(&one).await?;
    for (node_id, role) in ids
        .iter()
        .zip(["scheduler", "scheduler", "executor", "executor"])
    {
        for name in [
            "node_tasks_total",
            "spiced_tls_handshake_duration_ms_bucket",
        ] {
            let labels = format!("node_id=\"{node_id}\",node_role=\"{role}\"");
            ensure!(
                page.sum_where(name, &labels).is_some(),
                "{labels}: {}",
                page.text()
            );
        }
    }
    ensure!(
        page.sum("spice_cluster_scrape_missing").is_none(),
        "{}",
        page.text()
    );
    ensure!(
        page.sum("spice_cluster_scrape_rejected_series").is_none(),
        "{}",
        page.text()
    );

    for stopped in [&other, &executors[1]] {
        pause(stopped).await?;
    }
    // The page before is good for a moment; the next one is made anew.
    let begun = Instant::now();
    let page = loop {
        let page = cluster_page(&one).await?;
        if page.sum("spice_cluster_scrape_missing").is_some() {
            break page;
        }
        ensure!(
            begun.elapsed() < BOUND,
            "nothing is missing: {}",
            page.text()
        );
    };
    ensure!(begun.elapsed() < BOUND, "it took {:?}", begun.elapsed());
    for node_id in [&ids[1], &ids[3]] {
        ensure_missing(&page, node_id, "timeout")?;
        ensure!(!has(&page, "node_tasks_total", node_id), "{}", page.text());
    }
    for node_id in [&ids[0], &ids[2]] {
        ensure!(has(&page, "node_tasks_total", node_id), "{}", page.text());
    }
    for stopped in [&other, &executors[1]] {
        resume(stopped).await?;
    }
    let begun = Instant::now();
    while cluster_page(&one)
        .await?
        .sum("spice_cluster_scrape_missing")
        .is_some()
    {
        ensure!(begun.elapsed() < BOUND, "they are still missing");
    }
    Ok(())
}

#[tokio::test]
async fn an_executor_shows_itself_and_sends_for_the_cluster_to_a_scheduler() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let executor = executor(&fixture, "executor1", &scheduler).await?;
    let metrics = executor.address(Listener::Metrics)?;
    for (path, status) in [
        ("/metrics", 200),
        ("/metrics?scope=node", 200),
        ("/metrics?scope=cluster", 404),
        ("/metrics?scope=galaxy", 400),
    ] {
        let reply = http_get(metrics, path).await?;
        ensure!(
            reply.status == status,
            "{path}: {} {}",
            reply.status,
            reply.body
        );
        let says_where = status != 404 || reply.body.contains("ask a scheduler");
        ensure!(says_where, "{}", reply.body);
    }
    Ok(())
}

#[tokio::test]
async fn a_node_shows_the_families_of_its_own_role_and_no_others() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let executor = executor(&fixture, "executor1", &scheduler).await?;
    for (node, own, other) in [
        (&scheduler, "scheduler_", "executor_"),
        (&executor, "executor_", "scheduler_"),
    ] {
        let page = Metrics::scrape(node.address(Listener::Metrics)?).await?;
        let families = |of: &str| {
            let family = format!("# TYPE {of}");
            let families = page.text().lines().filter(|line| line.starts_with(&family));
            families.count()
        };
        ensure!(families(own) > 4, "{own}: {}", page.text());
        ensure!(families(other) == 0, "{other}: {}", page.text());
        ensure!(families("node_") > 0, "{}", page.text());
    }
    Ok(())
}
