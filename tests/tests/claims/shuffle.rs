//! Rows travel between executors, over the internal port and nothing else, encrypted.

mod blocks;
mod records;
mod relay;
mod sockets;
mod thief;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, NodePlan, Security, SqlClient, TestCluster};
use tokio::time::timeout;

use crate::dataset::TpchData;
use crate::rows::{Rows, order_by};
use relay::{Recording, Relay};
use sockets::{Connection, established};

#[tokio::test(flavor = "multi_thread")]
async fn rows_between_executors_travel_encrypted_over_the_internal_port_only() {
    let data = TpchData::shared().await.unwrap();
    let observed = Observed::start(&data, Security::Mutual).await.unwrap();
    let during = observed.run_shuffling_query(&data).await.unwrap();

    let recordings = observed.relay.recordings();
    let mut encrypted = 0;
    for recording in &recordings {
        for stream in [recording.sent_to_node(), recording.sent_by_node()] {
            let volume = records::read(&stream).unwrap();
            assert!(volume.open < LARGEST_HELLO, "{volume:?}");
            encrypted += volume.encrypted;
        }
    }
    assert!(encrypted > 64 * 1024, "{encrypted} bytes went through");
    let seen = markers_in(&recordings);
    assert!(seen.is_empty(), "in clear: {seen:?}");

    for connections in [during, observed.connections().unwrap()] {
        observed.assert_internal_only(&connections).unwrap();
    }
}

/// What the claim above looks for is there to be found: without TLS it is.
#[tokio::test(flavor = "multi_thread")]
async fn without_protection_the_same_rows_can_be_read_on_the_way() {
    let data = TpchData::shared().await.unwrap();
    let observed = Observed::start(&data, Security::Plaintext).await.unwrap();
    observed.run_shuffling_query(&data).await.unwrap();
    let recordings = observed.relay.recordings();
    let seen = markers_in(&recordings);
    assert_eq!(seen, BTreeSet::from(MARKERS));
    for recording in recordings {
        assert!(records::read(&recording.sent_to_node()).is_err());
        assert!(records::read(&recording.sent_by_node()).is_err());
    }
}

/// A cluster whose first executor is reached through a relay: it listens on one loopback
/// address and advertises another, so that whatever other nodes send to it passes by.
struct Observed {
    cluster: TestCluster,
    relay: Relay,
}

impl Observed {
    async fn start(data: &TpchData, security: Security) -> Result<Self> {
        let behind_relay = NodePlan::new("executor1")
            .with_bind(BEHIND_RELAY)
            .with_host(&RELAY.to_string());
        let executors = vec![behind_relay, NodePlan::new("executor2")];
        let plan = data
            .cluster()?
            .with_security(security)
            .with_executors(executors);
        let cluster = TestCluster::start(plan).await?;
        let node = cluster.node("executor1")?.address(Listener::Internal)?;
        let relay = Relay::start(RELAY, node).await?;
        Ok(Self { cluster, relay })
    }

    /// Runs queries whose joins shuffle text, and gives the connections that the second
    /// executor had while the first of them ran.
    async fn run_shuffling_query(&self, data: &Arc<TpchData>) -> Result<BTreeSet<Connection>> {
        let flight = self.cluster.node("scheduler1")?.address(Listener::Flight)?;
        let mut client = SqlClient::connect(flight).await?;
        let running = tokio::spawn(async move { client.query(SHUFFLES_TEXT).await });
        timeout(PATIENCE, self.relay.used()).await??;
        let during = self.connections()?;
        let rows = Rows::read(&running.await??)?;
        let expected = data.reference().await?.sql(SHUFFLES_TEXT).await?;
        let expected = Rows::read(&expected.collect().await?)?;
        let difference = rows.difference(&expected, &order_by(SHUFFLES_TEXT));
        ensure!(difference.is_none(), "{difference:?}");
        for (name, metric) in [
            ("executor1", "node_tasks_total"),
            ("executor2", "node_tasks_total"),
            // Its only neighbour is the one behind the relay.
            ("executor2", "executor_shuffle_read_remote_bytes_total"),
        ] {
            let metrics = self.cluster.metrics(name).await?;
            let value = metrics.sum(metric).context(metric)?;
            ensure!(value > 0.0, "{metric} of {name} is {value}");
        }
        Ok(during)
    }

    /// The connections of both executors.
    fn connections(&self) -> Result<BTreeSet<Connection>> {
        let mut all = BTreeSet::new();
        for name in ["executor1", "executor2"] {
            let id = self.cluster.node(name)?.process_id();
            all.extend(established(id.with_context(|| format!("{name} ended"))?)?);
        }
        Ok(all)
    }

    /// Every connection goes to the internal port of a node, but for those that the test makes
    /// to read metrics. There is one to the relay, or nothing would have been seen.
    fn assert_internal_only(&self, connections: &BTreeSet<Connection>) -> Result<()> {
        let internal = ["scheduler1", "executor1", "executor2"]
            .map(|name| Ok(self.cluster.node(name)?.address(Listener::Internal)?.port()));
        let internal = internal.into_iter().collect::<Result<BTreeSet<u16>>>()?;
        let metrics = ["executor1", "executor2"]
            .map(|name| Ok(self.cluster.node(name)?.address(Listener::Metrics)?.port()));
        let metrics = metrics.into_iter().collect::<Result<BTreeSet<u16>>>()?;
        for Connection { local, remote } in connections {
            let known = internal.contains(&local.port())
                || internal.contains(&remote.port())
                || metrics.contains(&local.port());
            ensure!(known, "{local} talks to {remote}");
        }
        let relayed = connections.iter().any(|it| it.remote.ip() == RELAY);
        ensure!(relayed, "nobody talks to the relay: {connections:?}");
        Ok(())
    }
}

/// Which of the markers can be read somewhere.
fn markers_in(recordings: &[Arc<Recording>]) -> BTreeSet<&'static str> {
    let streams: Vec<Vec<u8>> = recordings
        .iter()
        .flat_map(|recording| [recording.sent_to_node(), recording.sent_by_node()])
        .collect();
    let contains = |marker: &&str| {
        let marker = marker.as_bytes();
        let mut streams = streams.iter();
        streams.any(|stream| stream.windows(marker.len()).any(|it| it == marker))
    };
    MARKERS.into_iter().filter(contains).collect()
}

/// Joins and groups by the text of a million comments, which nothing could answer without
/// moving them.
const SHUFFLES_TEXT: &str = "\
select c_name, c_comment, count(*) as orders, max(o_clerk) as clerk
from customer join orders on c_custkey = o_custkey
group by c_name, c_comment
having count(*) > 15
order by c_name";

/// What a shuffle looks like in clear: the preface of HTTP/2, Ballista's action, the beginning
/// of a customer's name.
const MARKERS: [&str; 3] = ["PRI * HTTP/2.0", "IO_BLOCK_TRANSPORT", "Customer#0"];

const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const BEHIND_RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// A client hello with a post-quantum key share takes 1.5 KiB.
const LARGEST_HELLO: usize = 4 * 1024;

const PATIENCE: Duration = Duration::from_secs(60);
