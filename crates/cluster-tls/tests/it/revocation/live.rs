//! What is revoked while it is connected is cut, and nothing else is.

use std::error::Error;
use std::fs;
use std::io;
use std::time::Instant;

use cluster_tls::{
    AcceptLimits, CloseCause, CredentialFile, Credentials, Cut, FileSource, POLL_INTERVAL,
    PeerStream, RefusalReason, ReloadTiming, Role, Side,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::following::{BRISK, Following, follow};
use crate::loaded::{Files, credentials, replace};
use crate::meeting::{accept_refusal, acceptor, dialer, meet_by};
use crate::observed::{Ended, Told, next, silent, within};
use crate::pki::{Authority, numbered};

type Ends = (PeerStream<TcpStream>, PeerStream<TcpStream>);

/// A node that follows its files, among them a deny-list and, if there is one, a revocation list.
struct Cluster {
    authority: Authority,
    files: Files,
    node: Following,
}

impl Cluster {
    fn new(timing: ReloadTiming) -> Self {
        let authority = Authority::new("root");
        let files = Files::of(&authority, &authority.issue(&numbered("node", 0x0101)));
        let deny_list = files.beside("denied", "# nobody yet\n");
        let crl = files.beside("crl.pem", &authority.crl(&[]));
        let source = FileSource::new(files.paths.clone())
            .with_crl(crl)
            .with_deny_list(deny_list);
        Self {
            authority,
            files,
            node: follow(source, timing),
        }
    }

    fn peer(&self, name: &str, serial: u16) -> Credentials {
        credentials(
            &self.authority,
            &self.authority.issue(&numbered(name, serial)),
        )
    }

    fn deny(&self, list: &str) {
        replace(&self.files.paths.ca.with_file_name("denied"), list);
    }

    fn revoke(&self, serials: &[u16]) {
        let list = self
            .authority
            .crl_dated(serials, (2024, 5, 2), (2024, 12, 1));
        replace(&self.files.paths.ca.with_file_name("crl.pem"), &list);
    }

    /// Connections with a peer that it dialled and that the node dialled; ours is the first end.
    async fn connect(&self, peer: &Credentials) -> [Ends; 2] {
        let accepting = self.node.acceptor(AcceptLimits::default());
        let (ours, theirs) = meet_by(&accepting, &dialer(peer), Role::Executor).await;
        let accepted = (ours.unwrap(), theirs.unwrap());
        let dialling = self.node.dialer();
        let (theirs, ours) = meet_by(&acceptor(peer), &dialling, Role::Executor).await;
        [accepted, (ours.unwrap(), theirs.unwrap())]
    }
}

/// Both ends still hear each other.
async fn talk((ours, theirs): &mut Ends) {
    hear(ours, theirs).await;
    hear(theirs, ours).await;
}

async fn hear(from: &mut PeerStream<TcpStream>, to: &mut PeerStream<TcpStream>) {
    from.write_all(b"x").await.unwrap();
    within(to.read_exact(&mut [0; 1])).await.unwrap();
}

/// What ends a read that waits; the other end must see the connection end as well.
async fn cut((mut ours, mut theirs): Ends) -> CloseCause {
    let error = within(ours.read(&mut [0; 1])).await.unwrap_err();
    let written = ours.write(b"x").await.unwrap_err();
    assert_eq!(cause(&written), cause(&error));
    drop(ours);
    let end = within(theirs.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    cause(&error)
}

fn cause(error: &io::Error) -> CloseCause {
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    let inner = error.get_ref().unwrap();
    inner.downcast_ref::<Cut>().unwrap().0
}

#[tokio::test]
async fn a_peer_on_the_revocation_list_is_cut_on_both_sides_and_others_live_on() {
    let mut cluster = Cluster::new(BRISK);
    let (first, second) = (cluster.peer("e1", 0x0201), cluster.peer("e2", 0x0202));
    let other = cluster.peer("e3", 0x0203);
    let of_first = cluster.connect(&first).await;
    let of_second = cluster.connect(&second).await;
    let mut of_other = cluster.connect(&other).await;

    cluster.revoke(&[0x0201]);
    for ends in of_first {
        assert_eq!(cut(ends).await, CloseCause::Revoked);
    }
    // The second look at all connections begins when the first one has ended, so whoever it cuts
    // survived the first, and with it the others did.
    cluster.revoke(&[0x0201, 0x0202]);
    for ends in of_second {
        assert_eq!(cut(ends).await, CloseCause::Revoked);
    }
    for ends in &mut of_other {
        talk(ends).await;
    }
    assert_eq!(cluster.node.credentials.connections().total(), 2);
    for name in ["e1", "e2"] {
        for side in [Side::Accepted, Side::Dialled] {
            let ended = next(&mut cluster.node.observed.endings).await;
            assert_eq!(ended, Ended::executor(side, name, CloseCause::Revoked));
        }
    }
    silent(&mut cluster.node.observed.endings);
}

#[tokio::test]
async fn a_peer_on_the_deny_list_is_cut_and_kept_out() {
    let mut cluster = Cluster::new(BRISK);
    let peer = cluster.peer("e1", 0x0201);
    let connections = cluster.connect(&peer).await;
    cluster.deny("0201\n");
    for ends in connections {
        assert_eq!(cut(ends).await, CloseCause::Revoked);
    }
    let accepting = cluster.node.acceptor(AcceptLimits::default());
    let (accepted, _) = meet_by(&accepting, &dialer(&peer), Role::Executor).await;
    let refusal = accept_refusal(accepted.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::Revoked);

    // Taken off the list, it may come back.
    cluster.deny("# nobody\n");
    while cluster.node.generation() < 3 {
        cluster.node.told().await;
    }
    let (accepted, _) = meet_by(&accepting, &dialer(&peer), Role::Executor).await;
    assert!(accepted.is_ok());
}

#[tokio::test]
async fn a_fault_in_another_file_does_not_keep_a_revoked_peer_in() {
    let mut cluster = Cluster::new(BRISK);
    let peer = cluster.peer("e1", 0x0201);
    let connections = cluster.connect(&peer).await;
    let (key, away) = (
        cluster.files.paths.key.clone(),
        cluster.files.paths.key.with_extension("away"),
    );
    fs::rename(&key, &away).unwrap();
    let missing = Told::Rejected(CredentialFile::Key, "missing");
    assert_eq!(cluster.node.told().await, missing);
    cluster.deny("0201\n");
    for ends in connections {
        assert_eq!(cut(ends).await, CloseCause::Revoked);
    }
    assert_eq!(cluster.node.told().await, Told::Swapped(2));
    assert_eq!(cluster.node.told().await, missing);
    // What is in use is then what the files hold, and nothing is new.
    fs::rename(&away, &key).unwrap();
    assert_eq!(cluster.node.told().await, Told::Unchanged);
    assert_eq!(cluster.node.generation(), 2);
}

#[tokio::test]
async fn a_revocation_list_is_not_exchanged_for_an_older_one() {
    let mut cluster = Cluster::new(BRISK);
    let first = fs::read_to_string(cluster.files.paths.ca.with_file_name("crl.pem")).unwrap();
    cluster.revoke(&[0x0201]);
    assert_eq!(cluster.node.told().await, Told::Swapped(2));
    replace(&cluster.files.paths.ca.with_file_name("crl.pem"), &first);
    let older = Told::Rejected(CredentialFile::Crl, "older_list");
    assert_eq!(cluster.node.told().await, older);
    let accepting = cluster.node.acceptor(AcceptLimits::default());
    let peer = cluster.peer("e1", 0x0201);
    let (accepted, _) = meet_by(&accepting, &dialer(&peer), Role::Executor).await;
    let refusal = accept_refusal(accepted.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::Revoked);
}

#[tokio::test]
async fn a_peer_that_waits_to_write_is_cut_as_well() {
    let cluster = Cluster::new(BRISK);
    let peer = cluster.peer("e1", 0x0201);
    let [(ours, theirs), _dialled] = cluster.connect(&peer).await;
    // The peer reads nothing, so that writing comes to a stop when all buffers are full.
    let (mut reading, mut writing) = tokio::io::split(ours);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let block = vec![0; 64 * 1024];
        loop {
            if let Err(error) = writing.write_all(&block).await {
                return error;
            }
        }
    });
    tasks.spawn(async move { reading.read(&mut [0; 1]).await.unwrap_err() });
    cluster.deny("0201\n");
    // Two tasks wait for one stream, each in its own direction, and both are woken.
    for _ in 0..2 {
        let error = within(tasks.join_next()).await.unwrap().unwrap();
        assert_eq!(cause(&error), CloseCause::Revoked);
    }
    drop(theirs);
}

#[tokio::test]
async fn a_peer_whose_root_is_removed_is_cut_as_untrusted() {
    let (old, new) = (Authority::new("old root"), Authority::new("new root"));
    let own = new.issue(&numbered("node", 0x0101));
    let both_roots = format!("{}{}", old.pem(), new.pem());
    let files = Files::write(&both_roots, &own.chain_pem(), &own.key_pem());
    let mut node = follow(FileSource::new(files.paths.clone()), BRISK);
    let of_both = |issued: crate::pki::Issued| {
        let files = Files::write(&both_roots, &issued.chain_pem(), &issued.key_pem());
        cluster_tls::publish(files.load().unwrap()).1
    };
    let leaving = of_both(old.issue(&numbered("e1", 0x0201)));
    let staying = of_both(new.issue(&numbered("e2", 0x0202)));
    let accepting = node.acceptor(AcceptLimits::default());
    let (ours, theirs) = meet_by(&accepting, &dialer(&leaving), Role::Executor).await;
    let of_leaving = (ours.unwrap(), theirs.unwrap());
    let (ours, theirs) = meet_by(&accepting, &dialer(&staying), Role::Executor).await;
    let mut of_staying = (ours.unwrap(), theirs.unwrap());

    replace(&files.paths.ca, &new.pem());
    assert_eq!(cut(of_leaving).await, CloseCause::Untrusted);
    talk(&mut of_staying).await;
    let ended = next(&mut node.observed.endings).await;
    let expected = Ended::executor(Side::Accepted, "e1", CloseCause::Untrusted);
    assert_eq!(ended, expected);
}

#[tokio::test]
async fn at_the_usual_timing_a_revoked_peer_is_gone_within_the_poll_interval_and_a_second() {
    let cluster = Cluster::new(ReloadTiming::default());
    let peer = cluster.peer("e1", 0x0201);
    let mut connections = Vec::new();
    for _ in 0..8 {
        connections.extend(cluster.connect(&peer).await);
    }
    let changed = Instant::now();
    cluster.revoke(&[0x0201]);
    for ends in connections {
        assert_eq!(cut(ends).await, CloseCause::Revoked);
    }
    let took = changed.elapsed();
    eprintln!("from the changed list to the last of 16 connections cut: {took:?}");
    let bound = POLL_INTERVAL + std::time::Duration::from_secs(1);
    assert!(took <= bound, "{took:?}");
}

#[tokio::test]
async fn a_node_that_is_revoked_itself_applies_the_rest_of_the_news_and_says_so() {
    let mut cluster = Cluster::new(BRISK);
    let peer = cluster.peer("e1", 0x0201);
    let connections = cluster.connect(&peer).await;
    assert!(
        cluster
            .node
            .credentials
            .current()
            .own_revocation()
            .is_none()
    );
    cluster.revoke(&[0x0101, 0x0201]);
    assert_eq!(cluster.node.swapped().await, 2);
    for ends in connections {
        assert_eq!(cut(ends).await, CloseCause::Revoked);
    }
    let current = cluster.node.credentials.current();
    let refusal = current.own_revocation().unwrap();
    assert_eq!(refusal.reason(), RefusalReason::Revoked);
    assert!(refusal.source().is_none());
}
