//! Binding every port before anything starts: a taken port is a fault like any other, and
//! never becomes another port.

use std::io::ErrorKind;
use std::net::SocketAddr;

use public_api::BoundListener;
use tokio::net::TcpListener;

use crate::config::{NodeConfig, RoleConfig};

/// The bound ports of a node.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) internal: Option<TcpListener>,
    pub(crate) http: Option<TcpListener>,
    pub(crate) flight: Option<TcpListener>,
    pub(crate) metrics: Option<TcpListener>,
}

impl Listeners {
    /// Where each of them is.
    pub(crate) fn bound(&self) -> Vec<BoundListener> {
        let all = [
            ("internal", &self.internal),
            ("http", &self.http),
            ("flight", &self.flight),
            ("metrics", &self.metrics),
        ];
        let bound = all.into_iter().filter_map(|(name, listener)| {
            let address = listener.as_ref()?.local_addr().ok()?;
            Some(BoundListener { name, address })
        });
        bound.collect()
    }
}

/// Binds what `config` asks for.
pub(crate) async fn bind(config: &NodeConfig, faults: &mut Vec<String>) -> Listeners {
    let (internal, flight) = match &config.role {
        RoleConfig::Standalone { flight, .. } => (None, Some(*flight)),
        RoleConfig::Scheduler {
            flight, internal, ..
        } => (Some(internal.bind), Some(*flight)),
        RoleConfig::Executor { internal, .. } => (Some(internal.bind), None),
    };
    Listeners {
        internal: listen("internal", "--node-bind-address", internal, faults).await,
        http: listen("http", "--http", Some(config.http), faults).await,
        flight: listen("flight", "--flight", flight, faults).await,
        metrics: listen("metrics", "--metrics", config.metrics, faults).await,
    }
}

async fn listen(
    name: &'static str,
    flag: &'static str,
    address: Option<SocketAddr>,
    faults: &mut Vec<String>,
) -> Option<TcpListener> {
    let address = address?;
    let bound = TcpListener::bind(address).await;
    match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
        Ok((_, listener)) => Some(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            faults.push(format!(
                "the {name} port {address} is taken by another process; stop that one or choose another port with {flag}"
            ));
            None
        }
        Err(error) => {
            faults.push(format!(
                "the {name} port cannot listen on {address}: {error}; see {flag}"
            ));
            None
        }
    }
}

/// The address a bound listener really has.
pub(crate) fn local_address(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    Ok(listener.local_addr()?)
}

/// Tells where a listener is; said once it is served.
pub(crate) fn announce(name: &'static str, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(listener = name, %address, "listening");
    }
}
