//! Ports that somebody else has.

use std::net::TcpListener;

use anyhow::{Result, ensure};
use cluster_test::{Listener, Node, http_get};

use super::{Faults, scheduler};
use crate::fixture::Fixture;

#[tokio::test]
async fn every_taken_port_is_named_with_its_flag_and_none_is_replaced() -> Result<()> {
    let fixture = Fixture::new()?;
    let internal = TcpListener::bind("127.0.0.1:0")?;
    let flight = TcpListener::bind("127.0.0.1:0")?;
    let (mut arguments, _) = scheduler(&fixture)?;
    arguments.ports.internal = internal.local_addr()?.port();
    arguments.ports.flight = Some(flight.local_addr()?.port());
    let faults = Faults::of(fixture.launch(&arguments, &[])).await?;
    let address = internal.local_addr()?.to_string();
    faults.tell(&["internal", &address, "taken", "--node-bind-address"])?;
    let address = flight.local_addr()?.to_string();
    faults.tell(&["flight", &address, "taken", "--flight"])?;
    faults.count(2)?;

    drop((internal, flight));
    let node = Node::start(fixture.launch(&arguments, &[])).await?;
    let bound = node.address(Listener::Internal)?.port();
    ensure!(bound == arguments.ports.internal, "bound {bound} instead");
    Ok(())
}

#[tokio::test]
async fn a_second_node_on_the_ports_of_the_first_ends_and_leaves_the_first_alone() -> Result<()> {
    let fixture = Fixture::new()?;
    let (mut arguments, _) = scheduler(&fixture)?;
    let first = Node::start(fixture.launch(&arguments, &[])).await?;
    arguments.ports.internal = first.address(Listener::Internal)?.port();
    arguments.ports.http = first.address(Listener::Http)?.port();
    arguments.data = fixture.directory().join("scheduler2-data");
    let faults = Faults::of(fixture.launch(&arguments, &[])).await?;
    faults.count(2)?;
    let health = http_get(first.address(Listener::Http)?, "/health").await?;
    ensure!(health.status == 200, "{health:?}");
    Ok(())
}
