//! The TCP connections of a process, as the kernel lists them.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result};

/// An established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Connection {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// The established IPv4 connections that process `id` holds; nodes of a test have no others.
///
/// # Errors
///
/// When the kernel does not tell: the process is gone, or belongs to somebody else.
pub(super) fn established(id: u32) -> Result<BTreeSet<Connection>> {
    let own = socket_inodes(id)?;
    let table = fs::read_to_string(format!("/proc/{id}/net/tcp"))?;
    let lines = table.lines().skip(1);
    Ok(lines
        .filter_map(|line| established_line(line, &own))
        .collect())
}

/// Descriptors come and go while they are listed; those that are gone are skipped.
fn socket_inodes(id: u32) -> Result<BTreeSet<String>> {
    let directory = format!("/proc/{id}/fd");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot read {directory}"))?;
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inode = |target: std::path::PathBuf| {
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']');
        inode.map(str::to_owned)
    };
    Ok(targets.filter_map(inode).collect())
}

/// Fields: number, local, remote, state, two queues, two timers, uid, timeout, inode.
fn established_line(line: &str, own: &BTreeSet<String>) -> Option<Connection> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, remote, "01", _, _, _, _, _, inode, ..] = fields[..] else {
        return None;
    };
    own.contains(inode).then_some(())?;
    Some(Connection {
        local: address(local)?,
        remote: address(remote)?,
    })
}

/// The octets are written as one number in the order of the machine, the port as it reads.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let host = u32::from_str_radix(host, 16).ok()?.to_ne_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((host, port).into())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_listed_while_it_is_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connection = Connection {
            local: stream.local_addr().unwrap(),
            remote: stream.peer_addr().unwrap(),
        };
        let id = std::process::id();
        assert!(established(id).unwrap().contains(&connection));
        drop(stream);
        assert!(!established(id).unwrap().contains(&connection));
    }
}
