//! The fixed ports of the demonstration, checked before anything is started.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

use crate::cluster::Ports;
use crate::node::Listener;

/// The usual ports of a scheduler.
const INTERNAL: u16 = 50052;
const FLIGHT: u16 = 50051;
const HTTP: u16 = 8090;
const METRICS: u16 = 9090;

/// The nodes, the scheduler first.
pub(super) const NAMES: [&str; 3] = ["scheduler1", "executor1", "executor2"];

/// The ports of a node, its name beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodePorts {
    pub(super) name: &'static str,
    pub(super) ports: Ports,
}

/// The scheduler on the usual ports and two executors near them, all moved by `offset`.
pub(super) fn assigned(offset: u16) -> Result<[NodePorts; 3]> {
    let [scheduler, one, two] = NAMES;
    Ok([
        node(scheduler, 0, offset)?,
        node(one, 1, offset)?,
        node(two, 2, offset)?,
    ])
}

fn node(name: &'static str, index: u16, offset: u16) -> Result<NodePorts> {
    let moved = |port: u16, step: u16| {
        port.checked_add(step * index)
            .and_then(|port| port.checked_add(offset))
            .context("--port-offset is too large: ports end at 65535")
    };
    let ports = Ports {
        internal: moved(INTERNAL, 10)?,
        // Only the scheduler answers SQL.
        flight: (index == 0).then(|| moved(FLIGHT, 0)).transpose()?,
        http: moved(HTTP, 1)?,
        metrics: moved(METRICS, 1)?,
    };
    Ok(NodePorts { name, ports })
}

/// Fails with all ports that somebody else listens on, not only the first.
pub(super) fn check_free(nodes: &[NodePorts]) -> Result<()> {
    let taken: Vec<String> = nodes.iter().flat_map(taken).collect();
    if taken.is_empty() {
        return Ok(());
    }
    bail!(
        "these ports are taken:\n{}\nend what listens there, or move all ports with \
         `--port-offset 1000`",
        taken.join("\n")
    )
}

fn taken(node: &NodePorts) -> Vec<String> {
    Listener::ALL
        .into_iter()
        .filter_map(|listener| {
            let port = node.ports.of(listener)?;
            let error = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
            let (name, listener) = (node.name, listener.as_str());
            Some(format!(
                "  127.0.0.1:{port} for {name} ({listener}): {error}"
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use cluster_tls::Role;

    use super::*;

    #[test]
    fn no_two_listeners_share_a_port() {
        let mut ports: Vec<u16> = assigned(0)
            .unwrap()
            .iter()
            .flat_map(|node| Listener::ALL.map(|it| node.ports.of(it)))
            .flatten()
            .collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 10);
    }

    #[test]
    fn an_offset_moves_every_port_and_ends_at_the_last_one() {
        let [scheduler, executor, _] = assigned(1000).unwrap();
        assert_eq!(scheduler.ports.internal, 51_052);
        assert_eq!(executor.ports.http, 9091);
        assert!(assigned(20_000).is_err());
    }

    #[test]
    fn all_taken_ports_are_named_at_once() {
        let held: Vec<TcpListener> = (0..2)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        let ports: Vec<u16> = held
            .iter()
            .map(|it| it.local_addr().unwrap().port())
            .collect();
        let any = Ports::any(Role::Executor);
        let node = NodePorts {
            name: "executor1",
            ports: Ports {
                http: ports[0],
                metrics: ports[1],
                ..any
            },
        };
        let text = check_free(&[node]).unwrap_err().to_string();
        assert!(
            text.contains(&format!("{} for executor1 (http)", ports[0])),
            "{text}"
        );
        assert!(
            text.contains(&format!("{} for executor1 (metrics)", ports[1])),
            "{text}"
        );
        drop(held);
        assert!(
            check_free(&[NodePorts {
                name: "executor1",
                ports: any
            }])
            .is_ok()
        );
    }
}
