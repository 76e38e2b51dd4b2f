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

/// One run of an executor: its id and a mark that is fresh for every start of its work for one
/// scheduler, `host:port#mark`.
///
/// Tasks are given to a run, not to an address: a process that comes back at the same address
/// knows nothing of the tasks of the one before, and neither does one that gave the scheduler up
/// and came back to it. A run without a mark is written as its node id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecutorRun {
    node: NodeId,
    text: String,
}

impl ExecutorRun {
    /// The run of `node` with `mark`: up to 64 letters and digits, or empty for none.
    ///
    /// # Errors
    ///
    /// [`InvalidNodeId`] when the mark has other characters or is longer.
    pub fn new(node: NodeId, mark: &str) -> Result<Self, InvalidNodeId> {
        let sound =
            mark.len() <= MAX_MARK_BYTES && mark.bytes().all(|it| it.is_ascii_alphanumeric());
        if !sound {
            let text = mark.chars().take(MAX_MARK_BYTES).collect();
            return Err(InvalidNodeId { text });
        }
        let text = if mark.is_empty() {
            node.to_string()
        } else {
            format!("{node}#{mark}")
        };
        Ok(Self { node, text })
    }

    /// The executor that runs.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// What tells this run from others; empty for none.
    pub fn mark(&self) -> &str {
        self.text.split_once('#').map_or("", |(_, mark)| mark)
    }

    /// The whole text, `host:port#mark`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for ExecutorRun {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (node, mark) = text.split_once('#').unwrap_or((text, ""));
        Self::new(node.parse()?, mark)
    }
}

impl fmt::Display for ExecutorRun {
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

const MAX_MARK_BYTES: usize = 64;

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

    #[test]
    fn a_run_is_told_from_the_next_one_at_the_same_address() {
        let first: ExecutorRun = "localhost:1#aa".parse().unwrap();
        let second: ExecutorRun = "localhost:1#bb".parse().unwrap();
        let unmarked: ExecutorRun = "localhost:1".parse().unwrap();
        assert_eq!(first.node(), second.node());
        assert_ne!(first, second);
        assert_eq!(unmarked.as_str(), "localhost:1");
        for text in [
            "localhost#aa",
            "localhost:1#a b",
            "localhost:1#a#b",
            "localhost:1#../x",
        ] {
            assert!(text.parse::<ExecutorRun>().is_err(), "{text:?}");
        }
    }
}
