//! The accept loop among strangers: whom it drops, and that members get in meanwhile.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cluster_tls::{AcceptLimits, DropReason, RefusalReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::door::{Door, Word, cluster, shake_hands};
use crate::observed::within;
use crate::raw;

/// Ends when the node has let go of a connection, whatever lay unread on it.
async fn hung_up(mut tcp: TcpStream) {
    let read = within(tcp.read(&mut [0; 64])).await;
    assert!(matches!(read, Ok(0) | Err(_)));
}

/// Time limits that no test comes near: whatever ends, another bound has ended it.
fn unhurried() -> AcceptLimits {
    AcceptLimits {
        handshake_timeout: Duration::from_secs(120),
        ..AcceptLimits::default()
    }
}

#[tokio::test]
async fn ten_thousand_idle_connections_keep_no_member_out_and_take_no_more_than_their_places() {
    let (node, member) = cluster();
    let places = 128;
    let limits = AcceptLimits {
        pending_connections: places,
        ..unhurried()
    };
    let mut door = Door::open(node, limits).await;
    let mut idle = HashMap::new();
    let mut slowest = Duration::ZERO;
    for number in 0..10_000_u32 {
        // A hundred sources, so that none of them meets its own bound.
        let tcp = door.knock(u8::try_from(number % 100).unwrap() + 2).await;
        idle.insert(tcp.local_addr().unwrap(), tcp);
        if number % 1000 == 999 {
            slowest = slowest.max(door.enter(&member, 1).await);
        }
        // What was dropped there is dropped here too: it costs the node nothing any more, and
        // would cost this process descriptors.
        for word in door.news() {
            if let Word::Dropped(remote, reason) = word {
                // Who is made to go again and again has failed too often in the end.
                assert_ne!(reason, DropReason::SourcePending);
                assert!(idle.remove(&remote).is_some());
            }
        }
    }
    // The last member came after all of them, so all that had to go has gone.
    assert!(idle.len() <= places, "{} are pending", idle.len());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[tokio::test]
async fn the_oldest_silent_connection_makes_room_and_one_that_has_spoken_stays() {
    let (node, member) = cluster();
    let limits = AcceptLimits {
        pending_connections: 2,
        ..unhurried()
    };
    let mut door = Door::open(node, limits).await;
    let mut spoken = door.stall(&member, 2).await;
    let silent = door.knock(3).await;
    let silent_address = silent.local_addr().unwrap();
    let another = door.knock(4).await;
    let another_address = another.local_addr().unwrap();
    door.hear(Word::Dropped(silent_address, DropReason::Evicted))
        .await;
    hung_up(silent).await;

    door.enter(&member, 1).await;
    let evicted = Word::Dropped(another_address, DropReason::Evicted);
    assert!(door.heard.contains(&evicted), "{:?}", door.heard);
    // Had it been dropped, there would be nobody left to refuse it.
    let address = spoken.local_addr().unwrap();
    spoken.write_all(&[22, 3, 3, 0xff, 0xff]).await.unwrap();
    door.hear(Word::Refused(address, RefusalReason::Malformed))
        .await;
}

#[tokio::test]
async fn when_all_have_spoken_the_oldest_of_all_makes_room() {
    let (node, member) = cluster();
    let limits = AcceptLimits {
        pending_connections: 2,
        ..unhurried()
    };
    let mut door = Door::open(node, limits).await;
    let oldest = door.stall(&member, 2).await;
    let _younger = door.stall(&member, 3).await;
    door.enter(&member, 1).await;
    let address = oldest.local_addr().unwrap();
    let evicted = Word::Dropped(address, DropReason::Evicted);
    assert_eq!(door.heard[0], evicted);
    assert_eq!(door.heard.len(), 2, "{:?}", door.heard);
}

#[tokio::test]
async fn a_source_without_places_left_is_dropped_while_another_gets_in() {
    let (node, member) = cluster();
    let limits = AcceptLimits {
        pending_per_source: 2,
        ..unhurried()
    };
    let mut door = Door::open(node, limits).await;
    let first = door.knock(2).await;
    let _second = door.knock(2).await;
    let third = door.knock(2).await;
    let address = third.local_addr().unwrap();
    let dropped = Word::Dropped(address, DropReason::SourcePending);
    assert_eq!(door.listen().await, dropped);
    hung_up(third).await;
    door.enter(&member, 3).await;

    // A place that has become free is a place.
    let address = first.local_addr().unwrap();
    drop(first);
    door.hear(Word::Refused(address, RefusalReason::Closed))
        .await;
    door.enter(&member, 2).await;
}

#[tokio::test]
async fn a_source_that_fails_too_often_is_dropped_unread_until_its_failures_are_forgiven() {
    let (node, member) = cluster();
    let limits = AcceptLimits {
        failure_burst: 3,
        failures_per_second: 1,
        ..unhurried()
    };
    let mut door = Door::open(node, limits).await;
    for _ in 0..3 {
        let mut failing = door.knock(2).await;
        failing.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let address = failing.local_addr().unwrap();
        door.hear(Word::Refused(address, RefusalReason::Plaintext))
            .await;
    }
    let exhausted = Instant::now();
    // Silent: whatever is read of it could not be what it is dropped for.
    let dropped = door.knock(2).await;
    let address = dropped.local_addr().unwrap();
    door.hear(Word::Dropped(address, DropReason::FailureRate))
        .await;
    hung_up(dropped).await;

    // Another source is served all the while, and after a second the first one is again.
    while exhausted.elapsed() < Duration::from_secs(1) {
        door.enter(&member, 3).await;
    }
    door.enter(&member, 2).await;
}

#[tokio::test]
async fn success_is_no_failure_however_often_it_happens() {
    let (node, member) = cluster();
    let limits = AcceptLimits {
        failure_burst: 1,
        failures_per_second: 0,
        ..unhurried()
    };
    let mut door = Door::open(node, limits).await;
    for _ in 0..5 {
        door.enter(&member, 2).await;
    }
}

/// A node with four handshake slots, eight connections of one source that stall behind their
/// ClientHello, and then a member of another source: what the node says first, and of whom.
async fn first_word_beside_stalling_ones(handshakes_per_source: usize) -> (Word, SocketAddr) {
    let (node, member) = cluster();
    let limits = AcceptLimits {
        concurrent_handshakes: 4,
        handshakes_per_source,
        handshake_timeout: Duration::from_secs(1),
        ..AcceptLimits::default()
    };
    let mut door = Door::open(node, limits).await;
    let mut stalling = Vec::new();
    for number in 0..8 {
        // Those who are answered have their slots by then; the others wait.
        stalling.push(if number < handshakes_per_source.min(4) {
            door.stall(&member, 2).await
        } else {
            let mut waiting = door.knock(2).await;
            waiting
                .write_all(&raw::client_hello(&member))
                .await
                .unwrap();
            waiting
        });
    }
    let tcp = door.knock(3).await;
    let local = tcp.local_addr().unwrap();
    let mut handshake = JoinSet::new();
    handshake.spawn(async move {
        let _stream = shake_hands(&member, tcp).await;
    });
    (door.listen().await, local)
}

#[tokio::test]
async fn one_source_that_stalls_in_the_middle_cannot_keep_another_one_waiting() {
    let (word, member) = first_word_beside_stalling_ones(2).await;
    assert_eq!(word, Word::Entered(member));
    // The control: with all slots for one source, its end comes first.
    let (word, member) = first_word_beside_stalling_ones(4).await;
    assert!(
        matches!(word, Word::Refused(who, _) if who != member),
        "{word:?}"
    );
}
