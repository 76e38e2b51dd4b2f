use std::time::{Duration, Instant};

use anyhow::Result;

use crate::figures::Figures;
use crate::systems::{Cluster, Systems};

/// `SELECT 1`, which runs on the scheduler, and the smallest query that runs on an executor.
pub(crate) async fn measure(systems: &mut Systems) -> Result<()> {
    for (sql, title) in [
        ("SELECT 1", "SELECT 1 (never leaves the scheduler)"),
        (
            "SELECT count(*) FROM region WHERE r_regionkey > 0",
            "smallest distributed query",
        ),
    ] {
        println!("\n{title}, {CALLS} calls, ms");
        println!("  {:<22} {:>8} {:>8} {:>8}", "", "minimum", "median", "p99");
        let mut reference = vec![];
        for _ in 0..CALLS {
            let started = Instant::now();
            systems.reference.sql(sql).await?.collect().await?;
            reference.push(started.elapsed());
        }
        show("DataFusion in process", &reference);
        show(
            "cluster, mutual TLS",
            &calls(&mut systems.mutual, sql).await?,
        );
        show(
            "cluster, insecure",
            &calls(&mut systems.insecure, sql).await?,
        );
    }
    Ok(())
}

async fn calls(cluster: &mut Cluster, sql: &str) -> Result<Vec<Duration>> {
    let mut durations = vec![];
    for _ in 0..CALLS {
        let started = Instant::now();
        cluster.client.query(sql).await?;
        durations.push(started.elapsed());
    }
    Ok(durations)
}

fn show(name: &str, durations: &[Duration]) {
    let figures = Figures::new(durations);
    println!(
        "  {name:<22} {:>8.2} {:>8.2} {:>8.2}",
        figures.minimum(),
        figures.median(),
        figures.quantile(0.99)
    );
}

const CALLS: usize = 100;
