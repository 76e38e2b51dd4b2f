use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How a node is named in messages: the address it advertises, `host:port`.
///
/// A scheduler is known by it in the shared state, an executor in its registrations and on
/// its control stream. The text is a claim until it was compared with the certificate of the
/// connection it arrived on: the host must be one of the certificate's names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    text: String,
    port_start: usize,
}

impl NodeId {
    /// Names the node that advertises `host` (a DNS name or an IP address) and `port`.
    ///
    /// # Errors
    ///
    /// [`InvalidNodeId`] when the host is empty, too long or not made of host characters.
    pub fn new(host: &str, port: u16) -> Result<Self, InvalidNodeId> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.contains(':') {
            format!("[{bare}]:{port}").parse()
        } else {
            format!("{bare}:{port}").parse()
        }
    }

    /// The host part, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = &self.text[..self.port_start - 1];
        host.strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The internal port that the node listens on.
    pub fn port(&self) -> u16 {
        // The text was parsed with a valid port; zero is never one.
        self.text[self.port_start..].parse().unwrap_or_default()
    }

    /// The whole id, `host:port`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidNodeId {
            text: text.chars().take(MAX_ID_BYTES).collect(),
        };
        if text.len() > MAX_ID_BYTES {
            return Err(invalid());
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host_is_sound = match bare {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(is_host_character),
        };
        let port_is_sound = port.parse::<u16>().is_ok_and(|port| port != 0);
        if !host_is_sound || !port_is_sound {
            return Err(invalid());
        }
        Ok(Self {
            text: text.to_ascii_lowercase(),
            port_start: host.len() + 1,
        })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text that is no node id.
#[derive(Debug, Error)]
#[error("{text:?} is no node id; expected host:port")]
pub struct InvalidNodeId {
    text: String,
}

fn is_host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_')
}

/// The longest DNS name (253), its brackets or dot, a colon and a port.
const MAX_ID_BYTES: usize = 262;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_both_kinds_of_address() {
        for (text, host, port) in [
            (
                "executor1.cluster.local:50052",
                "executor1.cluster.local",
                50052,
            ),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]:65535", "::1", 65535),
            ("EXECUTOR1:50052", "executor1", 50052),
        ] {
            let id: NodeId = text.parse().unwrap();
            assert_eq!((id.host(), id.port()), (host, port), "{text}");
        }
        assert_eq!(NodeId::new("::1", 7).unwrap().as_str(), "[::1]:7");
        assert_eq!(NodeId::new("[::1]", 7).unwrap().as_str(), "[::1]:7");
    }

    #[test]
    fn refuses_what_is_no_address() {
        let too_long = format!("{}:1", "a".repeat(300));
        for text in [
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "a b:1",
            "a/../b:1",
            "::1:1",
            "[x]:1",
            &too_long,
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text:?}");
        }
    }
}
