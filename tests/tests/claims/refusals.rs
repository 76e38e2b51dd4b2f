//! Who is not let in, and that both sides learn why: through real sockets to a real node, with
//! the reason from the log that its operator reads.
//!
//! Every refusal has its pair: the same client code with a proper certificate is served by the
//! same process, after the refusal as well as before it.

mod certificates;
mod dialled;
mod protocols;
pub(crate) mod stranger;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cluster_test::{Issued, Leaf, Listener, LogLine, Node};
use cluster_tls::Role;

use crate::fixture::{Fixture, PATIENCE};
use stranger::{Answer, Stranger};

/// A running scheduler and the authority that it trusts.
struct Scene {
    fixture: Fixture,
    scheduler: Node,
}

impl Scene {
    async fn start() -> Result<Self> {
        let fixture = Fixture::new()?;
        let scheduler = fixture.scheduler().await?;
        Ok(Self { fixture, scheduler })
    }

    fn address(&self) -> Result<SocketAddr> {
        self.scheduler.address(Listener::Internal)
    }

    /// A certificate that the scheduler accepts.
    fn proper(&self) -> Result<Issued> {
        let leaf = Leaf::new("executor1").with_role(Role::Executor);
        self.fixture.pki().issue(&leaf)
    }

    /// The same client with a proper certificate gets an answer.
    async fn serves_members(&self) -> Result<()> {
        let member = Stranger::with(&self.proper()?);
        let answer = member.knock(SOURCE, self.address()?).await?;
        ensure!(answer == Answer::Served, "a member got {answer:?}");
        Ok(())
    }

    /// The stranger gets nothing, and the log says `reason`; members are served before and after.
    async fn refuses(&self, stranger: Stranger, reason: &str) -> Result<Arc<LogLine>> {
        self.serves_members().await?;
        let answer = stranger.knock(SOURCE, self.address()?).await?;
        ensure!(
            matches!(answer, Answer::Closed(_)),
            "{reason}: the stranger was served"
        );
        let line = self.refusal(SOURCE, reason).await?;
        self.serves_members().await?;
        Ok(line)
    }

    /// Waits for the line about a refusal of a peer at `source`.
    async fn refusal(&self, source: IpAddr, reason: &str) -> Result<Arc<LogLine>> {
        let wanted = |line: &LogLine| {
            line.message() == "connection refused"
                && line.field("side") == Some("accepted")
                && line.field("reason") == Some(reason)
                && is_from(line, source)
        };
        let line = self.scheduler.log().wait_for(wanted, PATIENCE).await;
        line.with_context(|| format!("no refusal of {source} as {reason}"))
    }
}

fn is_from(line: &LogLine, source: IpAddr) -> bool {
    let remote = line.field("remote").and_then(|it| it.parse().ok());
    remote.is_some_and(|remote: SocketAddr| remote.ip() == source)
}

/// The log has one line per source, reason and minute, so a test that needs the same reason
/// twice comes from another address of the loopback network.
fn source(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
