//! How long a connection lives, and what is told when it ends.

mod clock;
#[cfg(feature = "tonic")]
mod grpc;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_tls::{
    AcceptLimits, Acceptor, CloseCause, Credentials, Cut, FileSource, PeerStream, RefusalReason,
    Role, Side, publish,
};
use rcgen::{CertificateParams, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::following::{BRISK, Following, follow_by};
use crate::loaded::{Files, credentials, load_texts, texts};
use crate::meeting::{accept_refusal, acceptor, dialer, meet_by};
use crate::observed::{Ended, next, observer, silent, within};
use crate::pki::{Authority, ManualClock, member, numbered};

type End = PeerStream<TcpStream>;

/// Long enough to talk in the grace, which is a quarter of it, and short enough to wait for.
pub(crate) const SHORT_LIVED: AcceptLimits = AcceptLimits {
    max_age: Duration::from_secs(3),
    ..LIMITS
};

/// The grace is longer than any short call takes on a machine that has much else to do.
#[cfg(feature = "tonic")]
pub(crate) const AGEING: AcceptLimits = AcceptLimits {
    max_age: Duration::from_secs(6),
    ..LIMITS
};

/// The default, as a constant.
pub(crate) const LIMITS: AcceptLimits = AcceptLimits {
    handshake_timeout: cluster_tls::HANDSHAKE_TIMEOUT,
    concurrent_handshakes: cluster_tls::CONCURRENT_HANDSHAKES,
    handshakes_per_source: cluster_tls::HANDSHAKES_PER_SOURCE,
    pending_connections: cluster_tls::PENDING_CONNECTIONS,
    pending_per_source: cluster_tls::PENDING_PER_SOURCE,
    failure_burst: cluster_tls::FAILURE_BURST,
    failures_per_second: cluster_tls::FAILURES_PER_SECOND,
    connections_per_peer: cluster_tls::CONNECTIONS_PER_PEER,
    max_age: cluster_tls::MAX_AGE,
    drain_grace: cluster_tls::DRAIN_GRACE,
};

/// A node with a clock of its own.
struct Cluster {
    authority: Authority,
    clock: ManualClock,
    _files: Files,
    node: Following,
}

impl Cluster {
    fn new() -> Self {
        Self::under(Authority::new("root"))
    }

    fn under(authority: Authority) -> Self {
        let clock = ManualClock::mid_2024();
        let files = Files::of(&authority, &authority.issue(&numbered("node", 0x0101)));
        let source = FileSource::new(files.paths.clone());
        let node = follow_by(source, BRISK, Arc::new(clock.clone()));
        Self {
            authority,
            clock,
            _files: files,
            node,
        }
    }

    fn peer(&self, params: &CertificateParams) -> Credentials {
        credentials(&self.authority, &self.authority.issue(params))
    }

    /// A connection that the node accepts; its own end is the first.
    async fn accept(&self, peer: &Credentials, limits: AcceptLimits) -> (End, End) {
        let accepting = self.node.acceptor(limits);
        let (ours, theirs) = meet_by(&accepting, &dialer(peer), Role::Executor).await;
        (ours.unwrap(), theirs.unwrap())
    }

    /// A connection that the node dials; its own end is the first.
    async fn dial(&self, peer: &Credentials) -> (End, End) {
        let dialling = self.node.dialer();
        let (theirs, ours) = meet_by(&acceptor(peer), &dialling, Role::Executor).await;
        (ours.unwrap(), theirs.unwrap())
    }

    async fn ended(&mut self) -> Ended {
        next(&mut self.node.observed.endings).await
    }
}

/// An executor whose certificate ends so long after mid 2024.
fn ending_in(name: &str, after: Duration) -> CertificateParams {
    let mut params = member("executor", name);
    params.not_after = date_time_ymd(2024, 6, 1) + after;
    params
}

async fn hear(from: &mut End, to: &mut End) {
    from.write_all(b"x").await.unwrap();
    within(to.read_exact(&mut [0; 1])).await.unwrap();
}

/// What a read that waits fails with.
async fn cut(stream: &mut End) -> CloseCause {
    let error = within(stream.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    error.get_ref().unwrap().downcast_ref::<Cut>().unwrap().0
}

#[tokio::test]
async fn a_connection_that_comes_of_age_may_finish_before_it_is_cut() {
    let mut cluster = Cluster::new();
    let peer = cluster.peer(&member("executor", "e1"));
    let started = Instant::now();
    let (mut ours, mut theirs) = cluster.accept(&peer, SHORT_LIVED).await;
    within(ours.draining()).await;
    // Asked and not yet made to: both directions go on.
    hear(&mut ours, &mut theirs).await;
    hear(&mut theirs, &mut ours).await;
    assert_eq!(cut(&mut ours).await, CloseCause::MaxAge);
    assert!(started.elapsed() >= SHORT_LIVED.max_age * 9 / 10);
    drop(ours);
    let ended = Ended::executor(Side::Accepted, "e1", CloseCause::MaxAge);
    assert_eq!(cluster.ended().await, ended);
    silent(&mut cluster.node.observed.endings);
}

#[tokio::test]
async fn a_connection_that_is_finished_in_its_grace_ended_of_age() {
    let mut cluster = Cluster::new();
    let peer = cluster.peer(&member("executor", "e1"));
    let (ours, _theirs) = cluster.accept(&peer, SHORT_LIVED).await;
    within(ours.draining()).await;
    drop(ours);
    assert_eq!(cluster.ended().await.cause, CloseCause::MaxAge);
}

#[tokio::test]
async fn a_peer_that_is_revoked_in_its_grace_is_cut_as_revoked() {
    let authority = Authority::new("root");
    let own = authority.issue(&numbered("node", 0x0101));
    let denying = texts(&authority, &own).with_deny_list("0201");
    // Verified beforehand, so that the swap takes nothing of the grace.
    let denying = load_texts(denying).unwrap();
    let (mut writer, node) = publish(load_texts(texts(&authority, &own)).unwrap());
    let (events, mut observed) = observer();
    let accepting = Acceptor::new(node, SHORT_LIVED, events);
    let peer = credentials(&authority, &authority.issue(&numbered("e1", 0x0201)));
    let (ours, _theirs) = meet_by(&accepting, &dialer(&peer), Role::Executor).await;
    let mut ours = ours.unwrap();
    within(ours.draining()).await;
    writer.swap(denying);
    assert_eq!(cut(&mut ours).await, CloseCause::Revoked);
    drop(ours);
    assert_eq!(next(&mut observed.endings).await.cause, CloseCause::Revoked);
}

#[tokio::test]
async fn a_peer_whose_certificate_ends_while_connected_is_cut_as_expired() {
    let mut cluster = Cluster::new();
    let peer = cluster.peer(&ending_in("e1", Duration::from_secs(1)));
    let staying = cluster.peer(&member("executor", "e2"));
    // The clock stands still: what passes is the second that the certificate had left.
    let (mut accepted, _dialler) = cluster.accept(&peer, LIMITS).await;
    let (mut dialled, _acceptor) = cluster.dial(&peer).await;
    let (mut ours, mut theirs) = cluster.accept(&staying, LIMITS).await;
    within(accepted.draining()).await;
    assert_eq!(cut(&mut accepted).await, CloseCause::Expired);
    assert_eq!(cut(&mut dialled).await, CloseCause::Expired);
    hear(&mut ours, &mut theirs).await;
    drop((accepted, dialled));
    for side in [Side::Accepted, Side::Dialled] {
        let ended = Ended::executor(side, "e1", CloseCause::Expired);
        assert_eq!(cluster.ended().await, ended);
    }
}

#[tokio::test]
async fn every_connection_tells_its_end_once_whoever_ends_it() {
    let mut cluster = Cluster::new();
    let peer = cluster.peer(&member("executor", "e1"));
    let (ours, theirs) = cluster.accept(&peer, LIMITS).await;
    drop(ours);
    let ended = Ended::executor(Side::Accepted, "e1", CloseCause::Ended);
    assert_eq!(cluster.ended().await, ended);
    drop(theirs);

    let (mut ours, theirs) = cluster.dial(&peer).await;
    drop(theirs);
    within(ours.read(&mut [0; 1])).await.unwrap_err();
    drop(ours);
    let ended = Ended::executor(Side::Dialled, "e1", CloseCause::Ended);
    assert_eq!(cluster.ended().await, ended);
    assert_eq!(cluster.node.credentials.connections().total(), 0);
    silent(&mut cluster.node.observed.endings);
}

#[tokio::test]
async fn live_connections_are_counted_by_side_and_role_and_closed_by_fingerprint() {
    let mut cluster = Cluster::new();
    let executor = cluster.peer(&member("executor", "e1"));
    let scheduler = cluster.peer(&member("scheduler", "s1"));
    let connections = cluster.node.credentials.connections();
    let (mut one, _one) = cluster.accept(&executor, LIMITS).await;
    let (mut two, _two) = cluster.dial(&executor).await;
    let (mut three, mut four) = cluster.accept(&scheduler, LIMITS).await;
    assert_eq!(connections.count(Side::Accepted, Role::Executor), 1);
    assert_eq!(connections.count(Side::Dialled, Role::Executor), 1);
    assert_eq!(connections.count(Side::Accepted, Role::Scheduler), 1);
    assert_eq!(connections.count(Side::Dialled, Role::Scheduler), 0);
    assert_eq!(connections.total(), 3);

    assert_eq!(connections.close("nobody"), 0);
    assert_eq!(connections.close(one.peer().fingerprint()), 2);
    assert_eq!(cut(&mut one).await, CloseCause::Requested);
    assert_eq!(cut(&mut two).await, CloseCause::Requested);
    hear(&mut three, &mut four).await;
    drop((one, two));
    for side in [Side::Accepted, Side::Dialled] {
        let ended = Ended::executor(side, "e1", CloseCause::Requested);
        assert_eq!(cluster.ended().await, ended);
    }
    assert_eq!(connections.total(), 1);
}

#[tokio::test]
async fn a_peer_may_have_so_many_connections_and_no_more_and_others_have_theirs() {
    let cluster = Cluster::new();
    let limits = AcceptLimits {
        connections_per_peer: 2,
        ..LIMITS
    };
    let accepting = cluster.node.acceptor(limits);
    let (greedy, modest) = (
        cluster.peer(&member("executor", "e1")),
        cluster.peer(&member("executor", "e2")),
    );
    // What the node dials itself is no fault of the peer's and takes none of its places.
    let _dialled = [cluster.dial(&greedy).await, cluster.dial(&greedy).await];
    let mut held = Vec::new();
    for _ in 0..2 {
        let (accepted, dialled) = meet_by(&accepting, &dialer(&greedy), Role::Executor).await;
        held.push((accepted.unwrap(), dialled.unwrap()));
    }
    let (refused, _) = meet_by(&accepting, &dialer(&greedy), Role::Executor).await;
    let refusal = accept_refusal(refused.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::TooManyConnections);
    let (accepted, _) = meet_by(&accepting, &dialer(&modest), Role::Executor).await;
    assert!(accepted.is_ok());
    held.pop();
    let (accepted, _) = meet_by(&accepting, &dialer(&greedy), Role::Executor).await;
    assert!(accepted.is_ok());
}
