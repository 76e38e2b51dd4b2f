//! The command line of a node.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use cluster_tls::{CredentialPaths, Role};

use crate::node::Listener;

/// What a cluster node is told.
#[derive(Clone, Debug)]
pub struct NodeArguments {
    /// Scheduler or executor.
    pub role: Role,
    /// The spicepod; executors get theirs from the scheduler.
    pub manifest: Option<PathBuf>,
    /// The host at which other nodes reach this one.
    pub host: String,
    /// Where the internal port listens; every other listener is on 127.0.0.1.
    pub bind: IpAddr,
    /// How the internal port is protected.
    pub protection: Protection,
    /// The internal port of the scheduler on this machine; schedulers have none.
    pub scheduler: Option<u16>,
    /// Where it listens.
    pub ports: Ports,
    /// Its own directory.
    pub data: PathBuf,
}

/// How the internal port is protected.
#[derive(Clone, Debug)]
pub enum Protection {
    /// By mutual TLS with these files.
    Mutual(CredentialPaths),
    /// Not at all.
    Insecure,
}

/// The ports of a node; 0 is any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Between nodes.
    pub internal: u16,
    /// Public Flight SQL, which executors do not have.
    pub flight: Option<u16>,
    /// Public HTTP.
    pub http: u16,
    /// Prometheus.
    pub metrics: u16,
}

impl Ports {
    /// Any free port for every listener that a node of this role has.
    #[must_use]
    pub fn any(role: Role) -> Self {
        Self {
            internal: 0,
            flight: (role != Role::Executor).then_some(0),
            http: 0,
            metrics: 0,
        }
    }

    /// The port of a listener, if the node has it.
    #[must_use]
    pub fn of(self, listener: Listener) -> Option<u16> {
        match listener {
            Listener::Internal => Some(self.internal),
            Listener::Flight => self.flight,
            Listener::Http => Some(self.http),
            Listener::Metrics => Some(self.metrics),
        }
    }
}

impl NodeArguments {
    /// The arguments for `spiced`; the log is JSON, so that its events can be waited for.
    #[must_use]
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args = Arguments::default();
        args.0.extend(self.manifest.as_deref().map(OsString::from));
        args.add("--role", self.role.as_str());
        args.add("--node-advertise-address", &self.host);
        let internal = SocketAddr::from((self.bind, self.ports.internal));
        args.add("--node-bind-address", internal.to_string());
        if let Some(port) = self.ports.flight {
            args.add("--flight", loopback(port));
        }
        args.add("--http", loopback(self.ports.http));
        args.add("--metrics", loopback(self.ports.metrics));
        args.add("--data-dir", &self.data);
        args.add("--log-format", "json");
        let scheme = args.protection(&self.protection);
        if let Some(port) = self.scheduler {
            args.add(
                "--scheduler-address",
                format!("{scheme}://127.0.0.1:{port}"),
            );
        }
        args.0
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add(&mut self, flag: &str, value: impl Into<OsString>) {
        self.0.push(flag.into());
        self.0.push(value.into());
    }

    /// Adds the flags and gives the scheme of the scheduler's address that fits them.
    fn protection(&mut self, protection: &Protection) -> &'static str {
        match protection {
            Protection::Insecure => {
                self.0.push("--allow-insecure-connections".into());
                "http"
            }
            Protection::Mutual(paths) => {
                self.add("--node-mtls-ca-certificate-file", &paths.ca);
                self.add("--node-mtls-certificate-file", &paths.certificate);
                self.add("--node-mtls-key-file", &paths.key);
                "https"
            }
        }
    }
}

fn loopback(port: u16) -> String {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executor(protection: Protection) -> Vec<String> {
        let arguments = NodeArguments {
            role: Role::Executor,
            manifest: None,
            host: "localhost".to_owned(),
            bind: Ipv4Addr::new(127, 0, 0, 3).into(),
            protection,
            scheduler: Some(50052),
            ports: Ports::any(Role::Executor),
            data: "/data".into(),
        };
        let args = arguments.to_args().into_iter();
        args.map(|it| it.into_string().unwrap()).collect()
    }

    #[test]
    fn the_scheme_of_the_scheduler_follows_the_protection() {
        let secure = executor(Protection::Mutual(CredentialPaths {
            ca: "ca.pem".into(),
            certificate: "executor1.pem".into(),
            key: "executor1-key.pem".into(),
        }));
        assert!(
            secure.contains(&"https://127.0.0.1:50052".to_owned()),
            "{secure:?}"
        );
        assert!(
            secure.contains(&"127.0.0.3:0".to_owned()),
            "the internal port is bound where it was asked for: {secure:?}"
        );
        assert!(!secure.contains(&"--allow-insecure-connections".to_owned()));
        let insecure = executor(Protection::Insecure);
        assert!(
            insecure.contains(&"http://127.0.0.1:50052".to_owned()),
            "{insecure:?}"
        );
        assert!(!insecure.contains(&"--node-mtls-key-file".to_owned()));
        assert!(!insecure.contains(&"--flight".to_owned()));
    }
}
