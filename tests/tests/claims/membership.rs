//! Several schedulers over one shared state: who sees whom, who holds an id, and what happens when
//! a process is killed or stopped, or the state is away.

mod drift;
mod ids;
mod objects;
mod others;
mod trouble;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster_proto::pb;
use cluster_test::{
    Launch, Leaf, Listener, LogLine, Node, NodeArguments, Ports, Protection, http_get,
};
use cluster_tls::Role;
use pb::cluster_service_client::ClusterServiceClient;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::authorization::calls::Caller;
use crate::fixture::{Fixture, PATIENCE};

/// How long a scheduler may be silent here: the shortest that there is.
const TTL: Duration = Duration::from_secs(3);

/// A place for schedulers that share a state.
pub(crate) struct Cluster {
    fixture: Fixture,
}

impl Cluster {
    /// Schedulers that keep their state in a directory.
    fn in_directory() -> Result<Self> {
        Self::with_scheduler("{state_location: 'file:state', member_ttl: 3s}", "")
    }

    /// Schedulers with these settings.
    pub(crate) fn with_scheduler(settings: &str, more: &str) -> Result<Self> {
        let fixture = Fixture::new()?;
        let manifest = fs::read_to_string(fixture.manifest())?;
        let runtime = format!("{manifest}runtime:\n  scheduler: {settings}\n{more}");
        fs::write(fixture.manifest(), runtime)?;
        Ok(Self { fixture })
    }

    pub(crate) fn fixture(&self) -> &Fixture {
        &self.fixture
    }

    fn state(&self) -> PathBuf {
        self.fixture.directory().join("state")
    }

    /// How a scheduler of this name is started.
    fn launch(&self, name: &str, place: Place) -> Result<Launch> {
        self.launch_with(self.fixture.manifest(), name, place)
    }

    /// The same with a spicepod of its own.
    fn launch_with(&self, manifest: PathBuf, name: &str, place: Place) -> Result<Launch> {
        let names = [name, "localhost", "127.0.0.1", "127.0.0.2"];
        let leaf = Leaf::new(name).with_role(Role::Scheduler).with_names(names);
        let arguments = NodeArguments {
            role: Role::Scheduler,
            manifest: Some(manifest),
            host: "localhost".to_owned(),
            bind: place.address,
            protection: Protection::Mutual(self.fixture.pki().write(name, &leaf)?),
            scheduler: None,
            ports: Ports {
                internal: place.port,
                ..Ports::any(Role::Scheduler)
            },
            data: self.fixture.directory().join(format!("{name}-data")),
        };
        let mut launch = self.fixture.launch(&arguments, &[]);
        name.clone_into(&mut launch.name);
        Ok(launch)
    }

    /// Starts a scheduler of this name.
    pub(crate) async fn start(&self, name: &str) -> Result<Node> {
        Node::start(self.launch(name, Place::ANY)?).await
    }

    /// The ids that `scheduler` gives to executors.
    async fn schedulers_of(&self, scheduler: &Node) -> Result<Vec<String>> {
        let leaf = Leaf::new("executor1").with_role(Role::Executor);
        let server = scheduler.address(Listener::Internal)?;
        let caller = Caller::new(self.fixture.pki(), &leaf, server, Role::Scheduler)?;
        let mut client = ClusterServiceClient::new(caller.channel());
        let answer = client.get_schedulers(pb::GetSchedulersRequest {}).await?;
        let schedulers = answer.into_inner().schedulers.into_iter();
        Ok(schedulers.map(|it| it.advertise_address).collect())
    }
}

/// Where the internal port of a scheduler is; its id is `localhost` and the port.
#[derive(Clone, Copy)]
struct Place {
    address: IpAddr,
    port: u16,
}

impl Place {
    const ANY: Self = Self {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
    };

    /// Where `scheduler` is.
    fn of(scheduler: &Node) -> Result<Self> {
        let internal = scheduler.address(Listener::Internal)?;
        Ok(Self {
            address: internal.ip(),
            port: internal.port(),
        })
    }

    /// The same port of another address of this machine, so that the id is the same.
    fn beside(self) -> Self {
        let address = Ipv4Addr::new(127, 0, 0, 2).into();
        Self { address, ..self }
    }
}

/// The id of a scheduler.
pub(crate) fn id(scheduler: &Node) -> Result<String> {
    let port = scheduler.address(Listener::Internal)?.port();
    Ok(format!("localhost:{port}"))
}

/// The other schedulers that a scheduler lists, by their ids.
async fn listed(scheduler: &Node) -> Result<BTreeMap<String, Value>> {
    let reply = http_get(scheduler.address(Listener::Http)?, "/v1/nodes").await?;
    let list: Value = serde_json::from_str(&reply.body)?;
    let nodes = list["nodes"].as_array().context("no list")?;
    ensure!(list["total"] == nodes.len(), "{list}");
    let own = id(scheduler)?;
    let named = nodes.iter().filter_map(|node| {
        let address = node["address"].as_str()?.to_owned();
        (node["role"] == "scheduler" && address != own).then(|| (address, node.clone()))
    });
    Ok(named.collect())
}

/// Asks for the other schedulers until they are `wanted`.
async fn list_until(
    scheduler: &Node,
    wanted: impl Fn(&BTreeMap<String, Value>) -> bool,
) -> Result<BTreeMap<String, Value>> {
    let asking = async {
        loop {
            let others = listed(scheduler).await?;
            if wanted(&others) {
                return anyhow::Ok(others);
            }
        }
    };
    let asked = timeout(PATIENCE, asking).await;
    asked.context("the schedulers are never listed like that")?
}

/// Waits until `scheduler` said that it knows of `live` schedulers.
pub(crate) async fn knows_of(scheduler: &Node, live: u64) -> Result<()> {
    let wanted = |line: &LogLine| {
        line.message() == "scheduler joined" && line.value("live") == Some(&live.into())
    };
    scheduler.log().wait_for(wanted, PATIENCE).await?;
    Ok(())
}

async fn says(scheduler: &Node, message: &'static str) -> Result<()> {
    let said = |line: &LogLine| line.message() == message;
    scheduler.log().wait_for(said, PATIENCE).await?;
    Ok(())
}

fn said(scheduler: &Node, message: &str) -> bool {
    let lines = scheduler.log().lines();
    lines.iter().any(|line| line.message() == message)
}

/// Stops a process where it stands, as a machine that swaps does.
pub(crate) async fn pause(node: &Node) -> Result<()> {
    signal(node, "-STOP").await
}

pub(crate) async fn resume(node: &Node) -> Result<()> {
    signal(node, "-CONT").await
}

async fn signal(node: &Node, signal: &str) -> Result<()> {
    let id = node.process_id().context("the process has ended")?;
    let status = Command::new("kill")
        .args([signal, &id.to_string()])
        .status()
        .await?;
    ensure!(status.success(), "kill {signal} {id}: {status}");
    Ok(())
}
