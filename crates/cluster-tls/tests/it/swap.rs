//! New connections use the newest snapshot.

use cluster_tls::{RefusalReason, Role, publish};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::loaded::{credentials, snapshot};
use crate::meeting::{accept_refusal, acceptor, dial_refusal, meet};
use crate::observed::within;
use crate::pki::{Authority, executor};

#[tokio::test]
async fn after_a_swap_both_sides_use_the_new_roots_and_the_new_certificate() {
    let (old, new) = (Authority::new("old root"), Authority::new("new root"));
    let (mut writer, node) = publish(snapshot(&old, &old.executor()));
    let old_peer = credentials(&old, &old.executor());
    let new_peer = credentials(&new, &new.executor());
    // Made before the swap and used after it: nothing of the old snapshot sticks to it.
    let acceptor_of_node = acceptor(&node);

    let (accepted, dialled) = meet(&acceptor_of_node, &old_peer, "localhost", Role::Executor).await;
    assert_eq!(accepted.unwrap().peer().generation(), 1);
    assert!(dialled.is_ok());

    assert_eq!(writer.swap(snapshot(&new, &new.executor())), 2);
    assert_eq!(node.current().generation(), 2);

    let (accepted, dialled) = meet(&acceptor_of_node, &new_peer, "localhost", Role::Executor).await;
    assert_eq!(accepted.unwrap().peer().generation(), 2);
    assert!(dialled.is_ok());
    let (accepted, dialled) = meet(&acceptor(&new_peer), &node, "localhost", Role::Executor).await;
    assert!(accepted.is_ok());
    assert_eq!(dialled.unwrap().peer().generation(), 2);

    let (_, dialled) = meet(&acceptor_of_node, &old_peer, "localhost", Role::Executor).await;
    let refusal = dial_refusal(dialled.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::UnknownIssuer);
    let (accepted, _) = meet(&acceptor(&old_peer), &node, "localhost", Role::Executor).await;
    let refusal = accept_refusal(accepted.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::PeerAlert);
}

#[tokio::test]
async fn a_connection_whose_peer_is_still_believed_outlives_a_swap() {
    let (authority, other) = (Authority::new("root"), Authority::new("other root"));
    let (mut writer, node) = publish(snapshot(&authority, &authority.executor()));
    let peer = credentials(&authority, &authority.executor());
    let (accepted, dialled) = meet(&acceptor(&node), &peer, "localhost", Role::Executor).await;
    let (mut ours, mut theirs) = (accepted.unwrap(), dialled.unwrap());
    writer.swap(snapshot(&authority, &authority.issue(&executor())));
    theirs.write_all(b"x").await.unwrap();
    within(ours.read_exact(&mut [0; 1])).await.unwrap();
    assert_eq!(ours.peer().generation(), 1);

    // The look after this swap begins when the one after the last has ended, so that the connection
    // has outlived that one when it is cut now.
    writer.swap(snapshot(&other, &other.executor()));
    within(ours.read(&mut [0; 1])).await.unwrap_err();
}

#[tokio::test]
async fn the_last_snapshot_stays_when_the_writer_is_gone() {
    let authority = Authority::new("root");
    let (writer, node) = publish(snapshot(&authority, &authority.issue(&executor())));
    drop(writer);
    let (accepted, dialled) = meet(&acceptor(&node), &node, "localhost", Role::Executor).await;
    assert!(accepted.is_ok());
    assert!(dialled.is_ok());
}
