//! The metrics of a whole cluster on one page, whatever its members do.

mod forged;
mod page;

use anyhow::{Result, ensure};
use cluster_test::{Listener, Metrics, Node};

/// The page of the cluster, which is an exposition in any case.
async fn cluster_page(scheduler: &Node) -> Result<Metrics> {
    let page = Metrics::scrape_cluster(scheduler.address(Listener::Metrics)?).await?;
    page.check()?;
    Ok(page)
}

/// Whether the page has a sample of `name` of this node.
fn has(page: &Metrics, name: &str, node_id: &str) -> bool {
    let label = format!("node_id=\"{node_id}\"");
    page.sum_where(name, &label).is_some()
}

fn ensure_missing(page: &Metrics, node_id: &str, reason: &str) -> Result<()> {
    let line = format!("node_id=\"{node_id}\"");
    let missing = page.text().lines().find(|text| {
        text.starts_with("spice_cluster_scrape_missing{")
            && text.contains(&line)
            && text.ends_with(&format!("reason=\"{reason}\"}} 1"))
    });
    ensure!(
        missing.is_some(),
        "{node_id} is not missing: {}",
        page.text()
    );
    Ok(())
}
