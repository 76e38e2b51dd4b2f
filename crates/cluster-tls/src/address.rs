//! Where a node is dialled.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::str::FromStr;

use crate::name::{Name, NameError};

/// Host and port of a node's internal listener.
///
/// # Examples
///
/// ```
/// use cluster_tls::NodeAddress;
///
/// let address: NodeAddress = "[::1]:50052".parse()?;
/// assert_eq!((address.host(), address.port()), ("::1", 50052));
/// assert_eq!(address.to_string(), "[::1]:50052");
/// # Ok::<(), cluster_tls::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeAddress {
    host: String,
    name: Name,
    port: u16,
}

impl NodeAddress {
    /// An address from its parts; `host` is a DNS name or an IP address without brackets.
    ///
    /// # Errors
    ///
    /// Refuses a host that is neither, wildcards, and port 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let name: Name = host.parse().map_err(|source| AddressError::Host {
            host: host.to_owned(),
            source,
        })?;
        if port == 0 {
            return Err(AddressError::Port("0".to_owned()));
        }
        Ok(Self {
            host: name.to_string(),
            name,
            port,
        })
    }

    /// The host in canonical form; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as a name that certificates are compared with.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }
}

impl Display for NodeAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.name {
            Name::Ip(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for NodeAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(inner) => inner,
            None if host.contains(':') => return Err(AddressError::NoBrackets(text.to_owned())),
            None => host,
        };
        let number = port
            .parse()
            .map_err(|_| AddressError::Port(port.to_owned()))?;
        Self::new(host, number)
    }
}

/// Why a text is not the address of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `:port` at the end.
    #[error("{0:?} has no port: write host:port")]
    NoPort(String),
    /// An IPv6 address needs brackets, or its end is taken for the port.
    #[error("{0:?} holds an IPv6 address without brackets: write [address]:port")]
    NoBrackets(String),
    /// The port is not a number from 1 to 65535.
    #[error("{0:?} is not a port: expected a number from 1 to 65535")]
    Port(String),
    /// The host is neither a DNS name nor an IP address.
    #[error("{host:?} is not a host")]
    Host {
        /// The host as given.
        host: String,
        /// What is wrong with it.
        source: NameError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_both_kinds_of_address() {
        for (text, host) in [
            ("Node1.Example:1", "node1.example"),
            ("127.0.0.1:50052", "127.0.0.1"),
            ("[::1]:50052", "::1"),
        ] {
            assert_eq!(text.parse::<NodeAddress>().unwrap().host(), host);
        }
    }

    #[test]
    fn refuses_what_cannot_be_dialled() {
        for text in [
            "node1",
            "node1:",
            "node1:0",
            "node1:65536",
            ":1",
            "::1:5",
            "a b:1",
            "*.a:1",
        ] {
            assert!(text.parse::<NodeAddress>().is_err(), "{text}");
        }
    }
}
