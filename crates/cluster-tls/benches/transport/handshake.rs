//! A full mutual handshake through our accept and dial path, against rustls by itself.
//!
//! Over loopback TCP and not over a pipe in memory, because that is what a [`Dialer`] dials; both
//! halves pay for the same sockets. Both ends run in one thread, so that the figures are the work
//! of both ends together and do not depend on which core wakes up when. Next to the wall clock
//! stands the CPU time of that thread, which other programs on the machine hardly touch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cluster_tls::{AcceptLimits, Acceptor, DialLimits, Dialer, NoEvents, NodeAddress, Role};
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::figures::{Paired, Which, halves};
use crate::pki::Authority;
use crate::process::own_cpu_time;
use crate::table::{Aim, Table};
use crate::{Effort, bare, nodes};

pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    // Short rounds, so that both halves of one meet the same machine.
    let (rounds, count) = match effort {
        Effort::Full => (151, 60),
        Effort::Quick => (15, 30),
    };
    let ends = Ends::new().await?;
    let group = ends.common_group().await?;
    let (mut wall, mut cpu) = (Paired::default(), Paired::default());
    for round in 0..rounds {
        for which in halves(round) {
            let before = own_cpu_time().await?;
            let started = Instant::now();
            for _ in 0..count {
                ends.meet(which).await?;
            }
            let elapsed = started.elapsed();
            let used = own_cpu_time().await?.saturating_sub(before);
            wall.push(which, f64::from(count) / elapsed.as_secs_f64());
            cpu.push(which, 1e6 * used.as_secs_f64() / f64::from(count));
        }
    }
    let title = format!(
        "(a) full mutual handshake, both ends in one thread, {group}, {rounds} rounds of {count}"
    );
    Ok(Table::new(title)
        .row("cluster-tls, a second", &wall.ours)
        .row("bare tokio-rustls, a second", &wall.peer)
        .aimed("rate, ours / bare", &wall.ratios(), Aim::AtLeast(0.95))
        .row("cluster-tls, us of CPU for both ends", &cpu.ours)
        .row("bare tokio-rustls, us of CPU for both ends", &cpu.peer)
        .row("us of CPU more, both ends", &cpu.differences())
        .aimed(
            "rate by CPU time, ours / bare",
            &cpu.inverse_ratios(),
            Aim::AtLeast(0.95),
        ))
}

/// Both pairs of ends on one listener.
struct Ends {
    listener: TcpListener,
    address: SocketAddr,
    node: NodeAddress,
    acceptor: Acceptor,
    dialer: Dialer,
    bare_acceptor: TlsAcceptor,
    bare_connector: TlsConnector,
}

impl Ends {
    async fn new() -> Result<Self> {
        let authority = Authority::new()?;
        let server = authority.issue("scheduler", "scheduler1")?;
        let client = authority.issue("executor", "executor1")?;
        let events = Arc::new(NoEvents);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            node: nodes::address(address)?,
            acceptor: Acceptor::new(
                nodes::credentials(&server.texts)?,
                AcceptLimits::default(),
                events.clone(),
            ),
            dialer: Dialer::new(
                nodes::credentials(&client.texts)?,
                DialLimits::default(),
                events,
            ),
            bare_acceptor: TlsAcceptor::from(Arc::new(bare::server(&authority, &server)?)),
            bare_connector: TlsConnector::from(Arc::new(bare::client(&authority, &client)?)),
        })
    }

    /// One handshake, both ends to their end, and the connection closed.
    async fn meet(&self, which: Which) -> Result<String> {
        match which {
            Which::Ours => self.meet_ours().await,
            Which::Peer => self.meet_bare().await,
        }
    }

    async fn meet_ours(&self) -> Result<String> {
        let accepting = async {
            let (tcp, remote) = self.listener.accept().await?;
            tcp.set_nodelay(true)?;
            anyhow::Ok(self.acceptor.accept(tcp, remote).await?)
        };
        let dialling = async {
            let dialled = self.dialer.connect(&self.node, Role::Scheduler).await?;
            anyhow::Ok(dialled)
        };
        let (accepted, _dialled) = tokio::try_join!(accepting, dialling)?;
        accepted.key_exchange().context("no key exchange")
    }

    async fn meet_bare(&self) -> Result<String> {
        let accepting = async {
            let (tcp, _remote) = self.listener.accept().await?;
            tcp.set_nodelay(true)?;
            self.bare_acceptor.accept(tcp).await
        };
        let dialling = async {
            let tcp = TcpStream::connect(self.address).await?;
            tcp.set_nodelay(true)?;
            let name = ServerName::IpAddress(self.address.ip().into());
            self.bare_connector.connect(name, tcp).await
        };
        let (accepted, _dialled) = tokio::try_join!(accepting, dialling)?;
        let group = accepted.get_ref().1.negotiated_key_exchange_group();
        let group = group.context("no key exchange")?;
        Ok(format!("{:?}", group.name()))
    }

    /// The comparison is void if the two do not compute the same.
    async fn common_group(&self) -> Result<String> {
        let (ours, bare) = (self.meet(Which::Ours).await?, self.meet(Which::Peer).await?);
        ensure!(ours == bare, "{ours} is compared with {bare}");
        Ok(ours)
    }
}
