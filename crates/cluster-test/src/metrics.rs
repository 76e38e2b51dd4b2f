//! Reading Prometheus text.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use crate::exposition;
use crate::http::http_get;

/// The metrics of a node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics(String);

impl Metrics {
    /// Asks a metrics listener.
    ///
    /// # Errors
    ///
    /// When it does not answer with 200.
    pub async fn scrape(server: SocketAddr) -> Result<Self> {
        Self::get(server, "/metrics").await
    }

    /// Asks a scheduler's metrics listener for those of its whole cluster.
    ///
    /// # Errors
    ///
    /// When it does not answer with 200.
    pub async fn scrape_cluster(server: SocketAddr) -> Result<Self> {
        Self::get(server, "/metrics?scope=cluster").await
    }

    async fn get(server: SocketAddr, path: &str) -> Result<Self> {
        let reply = http_get(server, path).await?;
        ensure!(
            reply.status == 200,
            "GET {path} answers {}: {}",
            reply.status,
            reply.body
        );
        Ok(Self(reply.body))
    }

    /// Checks that the text is an exposition: each family once and together, no series twice,
    /// labels that end, and nothing behind the end.
    ///
    /// # Errors
    ///
    /// With the line that is at fault.
    pub fn check(&self) -> Result<()> {
        exposition::check(&self.0)
    }

    /// The text as it was served.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The sum of a metric over all its label sets; `None` when it is not there.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.sum_where(name, "")
    }

    /// The sum over the label sets that contain `label`, written as in the text:
    /// `outcome="refused"`. `None` when there is none.
    #[must_use]
    pub fn sum_where(&self, name: &str, label: &str) -> Option<f64> {
        self.0
            .lines()
            .filter_map(|line| sample(line, name))
            .filter(|(labels, _)| labels.contains(label))
            .map(|(_, value)| value)
            .reduce(|one, other| one + other)
    }
}

/// Labels and value of a line like `name{a="b"} 3`, if it is a sample of `name`.
fn sample<'a>(line: &'a str, name: &str) -> Option<(&'a str, f64)> {
    let rest = line.strip_prefix(name)?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once('}')?,
        None => ("", rest.strip_prefix(' ')?),
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    Some((labels, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        let text = "# HELP node_tasks_total tasks\n# TYPE node_tasks counter\n\
                    node_tasks_total{state=\"ok\"} 3\nnode_tasks_total{state=\"failed\"} 1\n\
                    node_tasks_total_bytes 99\nnode_status 1.5\n";
        Metrics(text.to_owned())
    }

    #[test]
    fn label_sets_are_added_up() {
        assert_eq!(metrics().sum("node_tasks_total"), Some(4.0));
        assert_eq!(metrics().sum("node_status"), Some(1.5));
        let failed = metrics().sum_where("node_tasks_total", "state=\"failed\"");
        assert_eq!(failed, Some(1.0));
    }

    #[test]
    fn a_metric_that_is_not_there_is_not_zero() {
        assert_eq!(metrics().sum("node_tasks"), None);
        assert_eq!(metrics().sum_where("node_status", "role=\"x\""), None);
    }
}
