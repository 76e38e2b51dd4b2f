//! Whom a node talks to, and the reason it gives for everybody else.

use std::sync::Arc;
use std::time::Duration;

use cluster_tls::{Credentials, DialError, DialLimits, Dialer, NoEvents, RefusalReason, Role};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::loaded::credentials;
use crate::meeting::{acceptor, dial_raw, dial_refusal, dialer, listen, local, meet};
use crate::pki::{Authority, dns, executor, member, nameless};
use crate::raw;

/// A cluster with one node.
fn cluster() -> (Authority, Credentials) {
    let authority = Authority::new("root");
    let node = credentials(&authority, &authority.executor());
    (authority, node)
}

/// The reason for which the node refuses a server whose certificate has `params`.
async fn reason_for(params: &CertificateParams) -> RefusalReason {
    let (authority, node) = cluster();
    let server = raw::server(&authority.issue(params));
    let dialled = dial_raw(&node, server, Role::Executor).await;
    dial_refusal(dialled.unwrap_err()).reason()
}

#[tokio::test]
async fn two_members_meet_and_talk() {
    let (authority, node) = cluster();
    let scheduler = credentials(&authority, &authority.issue(&member("scheduler", "s1")));
    for host in ["localhost", "LOCALHOST.", "127.0.0.1"] {
        let (accepted, dialled) = meet(&acceptor(&scheduler), &node, host, Role::Scheduler).await;
        let (mut accepted, mut dialled) = (accepted.unwrap(), dialled.unwrap());
        assert_eq!(dialled.peer().role(), Role::Scheduler);
        assert_eq!(accepted.peer().role(), Role::Executor);
        dialled.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        accepted.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[tokio::test]
async fn the_key_exchange_is_hybrid_post_quantum() {
    let (_, node) = cluster();
    let (accepted, dialled) = meet(&acceptor(&node), &node, "localhost", Role::Executor).await;
    assert_eq!(
        dialled.unwrap().key_exchange().as_deref(),
        Some("X25519MLKEM768")
    );
    assert_eq!(
        accepted.unwrap().key_exchange().as_deref(),
        Some("X25519MLKEM768")
    );
}

#[tokio::test]
async fn a_server_that_knows_only_classical_groups_is_spoken_to_in_them() {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};

    let (authority, node) = cluster();
    for (group, name) in [
        (kx_group::X25519, "X25519"),
        (kx_group::SECP256R1, "secp256r1"),
    ] {
        let mut provider = default_provider();
        provider.kx_groups = vec![group];
        let server = raw::server_with(provider, &authority.executor());
        let dialled = dial_raw(&node, server, Role::Executor).await.unwrap();
        assert_eq!(dialled.key_exchange().as_deref(), Some(name));
    }
}

#[tokio::test]
async fn a_server_under_another_name_is_refused() {
    let mut elsewhere = executor();
    elsewhere.subject_alt_names = vec![dns("elsewhere.cluster.local")];
    assert_eq!(reason_for(&elsewhere).await, RefusalReason::WrongName);

    let (authority, node) = cluster();
    let mut only_local = executor();
    only_local.subject_alt_names = vec![dns("localhost")];
    let server = credentials(&authority, &authority.issue(&only_local));
    let (_, by_address) = meet(&acceptor(&server), &node, "127.0.0.1", Role::Executor).await;
    let refusal = dial_refusal(by_address.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::WrongName);
    assert!(refusal.detail().contains("dialled 127.0.0.1"), "{refusal}");
    assert!(refusal.detail().contains("localhost"), "{refusal}");
    assert_eq!(refusal.claimed(), ["localhost"]);
}

#[tokio::test]
async fn a_server_in_another_role_is_refused() {
    let (_, node) = cluster();
    let (_, dialled) = meet(&acceptor(&node), &node, "localhost", Role::Scheduler).await;
    let refusal = dial_refusal(dialled.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::WrongRole);

    let (_, dialled) = meet(&acceptor(&node), &node, "localhost", Role::Executor).await;
    assert!(dialled.is_ok());
}

#[tokio::test]
async fn a_node_may_be_dialled_as_either_member_and_a_client_as_none() {
    let (authority, node) = cluster();
    let both = credentials(&authority, &authority.issue(&member("node", "n1")));
    let client = credentials(&authority, &authority.issue(&member("client", "c1")));
    for expected in [Role::Scheduler, Role::Executor] {
        let (_, dialled) = meet(&acceptor(&both), &node, "localhost", expected).await;
        assert!(dialled.is_ok(), "{expected}");
        let (_, dialled) = meet(&acceptor(&client), &node, "localhost", expected).await;
        let refusal = dial_refusal(dialled.unwrap_err());
        assert_eq!(refusal.reason(), RefusalReason::WrongRole, "{expected}");
    }
}

#[tokio::test]
async fn a_certificate_for_clients_only_is_no_server() {
    let mut params = executor();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(reason_for(&params).await, RefusalReason::WrongUsage);
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    let (authority, node) = cluster();
    let server = raw::server(&authority.issue(&params));
    assert!(dial_raw(&node, server, Role::Executor).await.is_ok());
}

#[tokio::test]
async fn the_rules_for_clients_hold_for_servers() {
    let mut expired = executor();
    expired.not_after = date_time_ymd(2024, 2, 1);
    assert_eq!(reason_for(&expired).await, RefusalReason::Expired);
    assert_eq!(reason_for(&nameless()).await, RefusalReason::NoNames);
    let mut wildcard = executor();
    wildcard.subject_alt_names.push(dns("*.cluster.local"));
    assert_eq!(reason_for(&wildcard).await, RefusalReason::BadName);
}

#[tokio::test]
async fn a_server_of_another_cluster_is_refused() {
    let (_, node) = cluster();
    for (subject, reason) in [
        ("another root", RefusalReason::UnknownIssuer),
        ("root", RefusalReason::BadSignature),
    ] {
        let server = raw::server(&Authority::new(subject).executor());
        let dialled = dial_raw(&node, server, Role::Executor).await;
        assert_eq!(dial_refusal(dialled.unwrap_err()).reason(), reason);
    }
}

#[tokio::test]
async fn a_server_that_does_not_agree_to_h2_is_refused() {
    let (authority, node) = cluster();
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut server = raw::server(&authority.executor());
        server.alpn_protocols = protocols;
        let dialled = dial_raw(&node, server, Role::Executor).await;
        let refusal = dial_refusal(dialled.unwrap_err());
        assert_eq!(refusal.reason(), RefusalReason::Alpn, "{refusal}");
    }
}

#[tokio::test]
async fn a_plaintext_port_is_called_by_its_name() {
    let (_, node) = cluster();
    let (listener, address) = listen().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    });
    let dialled = dialer(&node)
        .connect(&local("localhost", address), Role::Executor)
        .await;
    let refusal = dial_refusal(dialled.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::Plaintext, "{refusal}");
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let (_, node) = cluster();
    let (_listener, address) = listen().await;
    let limits = DialLimits {
        handshake_timeout: Duration::from_millis(200),
        ..DialLimits::default()
    };
    let dialer = Dialer::new(node, limits, Arc::new(NoEvents));
    let dialled = dialer
        .connect(&local("127.0.0.1", address), Role::Executor)
        .await;
    assert_eq!(
        dial_refusal(dialled.unwrap_err()).reason(),
        RefusalReason::Timeout
    );
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_no_refusal() {
    let (_, node) = cluster();
    let (listener, address) = listen().await;
    drop(listener);
    let dialled = dialer(&node)
        .connect(&local("127.0.0.1", address), Role::Executor)
        .await;
    assert!(matches!(dialled.unwrap_err(), DialError::Connect { .. }));
}

#[tokio::test]
async fn a_server_that_asks_for_no_certificate_is_refused() {
    let (authority, node) = cluster();
    let config = raw::server_asking_nothing(&authority.executor());
    let refusal = dial_refusal(dial_raw(&node, config, Role::Executor).await.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::NotMutual);
    assert!(!refusal.claimed().is_empty());
    let config = raw::server(&authority.executor());
    assert!(dial_raw(&node, config, Role::Executor).await.is_ok());
}
