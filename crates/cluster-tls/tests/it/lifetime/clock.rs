//! Clocks that jump, as those of machines do.

use std::time::{Duration, SystemTime};

use cluster_tls::{AcceptLimits, Clock, CloseCause, Credentials, DialError, RefusalReason, Role};
use rcgen::date_time_ymd;

use super::{Cluster, LIMITS, cut, ending_in, hear};
use crate::meeting::{accept_refusal, acceptor, dial_refusal, dialer, listen, local, meet_by};
use crate::observed::within;
use crate::pki::{Authority, Mid2024, authority, member};

impl Cluster {
    /// Ends when the connections made so far have been looked at for the first time, which verifies
    /// them once more: whoever moves the clock before that moves it for that look as well.
    async fn looked_after(&self, peer: &Credentials) {
        let limits = AcceptLimits {
            max_age: Duration::from_millis(100),
            ..LIMITS
        };
        let (ours, _theirs) = self.accept(peer, limits).await;
        within(ours.draining()).await;
    }
}

#[tokio::test]
async fn a_clock_that_jumps_past_the_end_of_a_certificate_cuts_its_connections() {
    let cluster = Cluster::new();
    let day = Duration::from_secs(86_400);
    let peer = cluster.peer(&ending_in("e1", 10 * day));
    let staying = cluster.peer(&member("executor", "e2"));
    let (mut accepted, _dialler) = cluster.accept(&peer, LIMITS).await;
    let (mut dialled, _acceptor) = cluster.dial(&peer).await;
    let (mut ours, mut theirs) = cluster.accept(&staying, LIMITS).await;
    cluster.clock.jump_to(Mid2024.now() + 11 * day);
    assert_eq!(cut(&mut accepted).await, CloseCause::Expired);
    assert_eq!(cut(&mut dialled).await, CloseCause::Expired);
    hear(&mut ours, &mut theirs).await;

    let accepting = cluster.node.acceptor(LIMITS);
    let (refused, _) = meet_by(&accepting, &dialer(&peer), Role::Executor).await;
    let refusal = accept_refusal(refused.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::Expired);
    // And back again, as when somebody has set the clock right.
    cluster.clock.jump_to(Mid2024.now());
    let (accepted, _) = meet_by(&accepting, &dialer(&peer), Role::Executor).await;
    assert!(accepted.is_ok());
}

#[tokio::test]
async fn a_root_that_ends_while_its_peers_are_connected_cuts_them() {
    let mut short = authority("root");
    short.not_after = date_time_ymd(2024, 7, 1);
    let cluster = Cluster::under(Authority::root(short));
    let peer = cluster.peer(&member("executor", "e1"));
    let (mut ours, mut theirs) = cluster.accept(&peer, LIMITS).await;
    let day = Duration::from_secs(86_400);
    cluster.clock.jump_to(Mid2024.now() + 20 * day);
    hear(&mut ours, &mut theirs).await;
    cluster.clock.jump_to(Mid2024.now() + 60 * day);
    assert_eq!(cut(&mut ours).await, CloseCause::Untrusted);
}

#[tokio::test]
async fn a_clock_that_jumps_back_makes_handshakes_fail_and_leaves_connections_alone() {
    let cluster = Cluster::new();
    let mut spring = member("executor", "e1");
    spring.not_before = date_time_ymd(2024, 5, 1);
    let peer = cluster.peer(&spring);
    let (mut ours, mut theirs) = cluster.accept(&peer, LIMITS).await;
    cluster.looked_after(&peer).await;

    let march = Mid2024.now() - Duration::from_secs(80 * 86_400);
    cluster.clock.jump_to(march);
    let accepting = cluster.node.acceptor(LIMITS);
    let (refused, _) = meet_by(&accepting, &dialer(&peer), Role::Executor).await;
    let refusal = accept_refusal(refused.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::NotYetValid);
    assert!(
        refusal.detail().contains("the clock says 2024-03"),
        "{refusal}"
    );
    let (_, refused) = meet_by(&acceptor(&peer), &cluster.node.dialer(), Role::Executor).await;
    let refusal = dial_refusal(refused.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::NotYetValid);
    hear(&mut ours, &mut theirs).await;

    cluster.clock.jump_to(Mid2024.now());
    let (accepted, _) = meet_by(&accepting, &dialer(&peer), Role::Executor).await;
    let (_, dialled) = meet_by(&acceptor(&peer), &cluster.node.dialer(), Role::Executor).await;
    assert!(accepted.is_ok() && dialled.is_ok());
}

#[tokio::test]
async fn a_node_whose_own_certificate_is_outside_its_dates_does_not_even_dial() {
    let cluster = Cluster::new();
    let address = local("localhost", listen().await.1);
    for (time, reason) in [
        (SystemTime::UNIX_EPOCH, RefusalReason::NotYetValid),
        (
            Mid2024.now() + Duration::from_secs(400 * 86_400),
            RefusalReason::Expired,
        ),
    ] {
        cluster.clock.jump_to(time);
        let dialled = cluster
            .node
            .dialer()
            .connect(&address, Role::Executor)
            .await;
        // Nobody listens there any more: an attempt to connect would be another error.
        let DialError::OwnCertificate(refusal) = dialled.unwrap_err() else {
            panic!("dialled");
        };
        assert_eq!(refusal.reason(), reason);
    }
}
