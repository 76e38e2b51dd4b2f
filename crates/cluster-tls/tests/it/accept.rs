//! Whom a node lets in, and the reason it gives for everybody else.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use cluster_tls::{
    AcceptLimits, Acceptor, Credentials, PeerPolicy, RefusalReason, Role, Side, UnspecifiedRole,
    publish,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    date_time_ymd,
};
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::loaded::{Files, credentials, snapshot};
use crate::meeting::{
    Seen, accept_beside, accept_from, accept_refusal, acceptor, impatient, meet, refusal_of,
    saying, speaking,
};
use crate::pki::{Authority, authority, dns, executor, member, nameless, uri};
use crate::raw;

/// A cluster with one node.
fn cluster() -> (Authority, Credentials) {
    let authority = Authority::new("root");
    let node = credentials(
        &authority,
        &authority.issue(&member("scheduler", "scheduler1")),
    );
    (authority, node)
}

/// The reason for which the node refuses a client whose certificate has `params`.
async fn reason_for(params: &CertificateParams) -> RefusalReason {
    let (authority, node) = cluster();
    let issued = authority.issue(params);
    refusal_of(&node, speaking(raw::client(Some(&issued))))
        .await
        .reason()
}

#[tokio::test]
async fn a_member_is_accepted_and_known() {
    let (authority, node) = cluster();
    let issued = authority.executor();
    let accepted = accept_from(&acceptor(&node), speaking(raw::client(Some(&issued)))).await;
    let stream = accepted.unwrap();
    let peer = stream.peer();
    assert_eq!(peer.role(), Role::Executor);
    assert_eq!(
        peer.uri(),
        Some("spiffe://cluster.local/executor/executor1")
    );
    assert!(peer.has_name("Executor1.Cluster.Local."));
    assert!(peer.has_name("127.0.0.1"));
    assert!(!peer.has_name("executor2.cluster.local"));
    assert_eq!(peer.fingerprint().len(), 64);
    assert_eq!(peer.generation(), 1);
}

#[tokio::test]
async fn leaves_of_every_accepted_kind_of_key_are_accepted() {
    let (authority, node) = cluster();
    for algorithm in [
        &PKCS_ED25519,
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_RSA_SHA256,
    ] {
        let issued = authority.issue_for(&executor(), algorithm);
        let client = speaking(raw::client(Some(&issued)));
        assert!(
            accept_from(&acceptor(&node), client).await.is_ok(),
            "{algorithm:?}"
        );
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let (_, node) = cluster();
    let refusal = refusal_of(&node, speaking(raw::client(None))).await;
    assert_eq!(refusal.reason(), RefusalReason::NoCertificate);
}

#[tokio::test]
async fn another_authority_is_an_unknown_issuer_under_its_own_name() {
    let (_, node) = cluster();
    let stranger = Authority::new("another root").executor();
    let refusal = refusal_of(&node, speaking(raw::client(Some(&stranger)))).await;
    assert_eq!(refusal.reason(), RefusalReason::UnknownIssuer);
    assert!(refusal.detail().contains("another root"), "{refusal}");
    assert!(refusal.detail().contains("CN=root"), "{refusal}");
}

#[tokio::test]
async fn another_authority_is_a_bad_signature_under_the_same_name() {
    let (_, node) = cluster();
    let stranger = Authority::new("root").executor();
    let refusal = refusal_of(&node, speaking(raw::client(Some(&stranger)))).await;
    assert_eq!(refusal.reason(), RefusalReason::BadSignature);
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let (_, node) = cluster();
    let mut params = executor();
    params.is_ca = IsCa::NoCa;
    let alone = Authority::root(params);
    let issued = alone.executor();
    let refusal = refusal_of(&node, speaking(raw::client(Some(&issued)))).await;
    assert_eq!(refusal.reason(), RefusalReason::UnknownIssuer);
}

#[tokio::test]
async fn an_intermediate_must_be_shown() {
    let (root, node) = cluster();
    let intermediate = root.intermediate("intermediate");
    let bare = intermediate.executor();
    let refusal = refusal_of(&node, speaking(raw::client(Some(&bare)))).await;
    assert_eq!(refusal.reason(), RefusalReason::UnknownIssuer);

    let whole = intermediate.executor().with(intermediate.der());
    let client = speaking(raw::client(Some(&whole)));
    assert!(accept_from(&acceptor(&node), client).await.is_ok());
}

#[tokio::test]
async fn a_chain_longer_than_ten_is_refused_before_it_is_followed() {
    let (root, node) = cluster();
    let padded =
        |count: usize| (0..count).fold(root.executor(), |issued, _| issued.with(root.der()));
    let refusal = refusal_of(&node, speaking(raw::client(Some(&padded(10))))).await;
    assert_eq!(refusal.reason(), RefusalReason::ChainTooLong);

    let client = speaking(raw::client(Some(&padded(9))));
    assert!(accept_from(&acceptor(&node), client).await.is_ok());
}

#[tokio::test]
async fn dates_are_judged_by_the_injected_clock() {
    let mut expired = executor();
    expired.not_after = date_time_ymd(2024, 2, 1);
    assert_eq!(reason_for(&expired).await, RefusalReason::Expired);

    let mut early = executor();
    early.not_before = date_time_ymd(2024, 12, 1);
    assert_eq!(reason_for(&early).await, RefusalReason::NotYetValid);
}

#[tokio::test]
async fn a_root_past_its_dates_vouches_for_nobody() {
    let mut params = authority("old root");
    params.not_after = date_time_ymd(2024, 2, 1);
    let old = Authority::root(params);
    let new = Authority::new("new root");
    let issued = new.executor();
    let bundle = old.pem() + &new.pem();
    let files = Files::write(&bundle, &issued.chain_pem(), &issued.key_pem());
    let node = publish(files.load().unwrap()).1;

    let refusal = refusal_of(&node, speaking(raw::client(Some(&old.executor())))).await;
    assert_eq!(refusal.reason(), RefusalReason::ExpiredRoot);
    let client = speaking(raw::client(Some(&new.executor())));
    assert!(accept_from(&acceptor(&node), client).await.is_ok());
}

#[tokio::test]
async fn a_certificate_for_servers_only_is_no_client() {
    let mut params = executor();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(reason_for(&params).await, RefusalReason::WrongUsage);
    params.extended_key_usages.clear();
    assert_eq!(reason_for(&params).await, RefusalReason::WrongUsage);
}

#[tokio::test]
async fn a_key_that_may_not_sign_handshakes_is_refused() {
    let mut params = executor();
    params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    assert_eq!(reason_for(&params).await, RefusalReason::WrongUsage);
}

#[tokio::test]
async fn a_common_name_is_not_a_name() {
    assert_eq!(reason_for(&nameless()).await, RefusalReason::NoNames);
}

#[tokio::test]
async fn two_identity_uris_are_refused_even_if_one_does_not_decode() {
    let mut params = executor();
    params
        .subject_alt_names
        .push(uri("spiffe://cluster.local/scheduler/s1"));
    assert_eq!(reason_for(&params).await, RefusalReason::BadIdentity);

    let good = b"spiffe://cluster.local/executor/e1";
    let mut names = vec![0x86, u8::try_from(good.len()).unwrap()];
    names.extend(good);
    names.extend([0x86, 0x02, 0xff, 0xfe]);
    assert_eq!(
        reason_for(&with_alternatives(names)).await,
        RefusalReason::BadIdentity
    );
}

/// A member whose alternative names are given as DER.
fn with_alternatives(names: Vec<u8>) -> CertificateParams {
    let mut content = vec![0x30, u8::try_from(names.len()).unwrap()];
    content.extend(names);
    let mut params = nameless();
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], content)];
    params
}

#[tokio::test]
async fn an_identity_uri_that_is_none_is_refused() {
    for bad in [
        "https://cluster.local/executor/e1",
        "spiffe://cluster.local/executor/../scheduler/s1",
        "spiffe://cluster.local/executor/%65",
        "spiffe://cluster.local/administrator/a1",
    ] {
        let mut params = executor();
        params.subject_alt_names = vec![dns("localhost"), uri(bad)];
        assert_eq!(
            reason_for(&params).await,
            RefusalReason::BadIdentity,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_certificate_without_a_role_is_a_member_unless_policy_says_otherwise() {
    let authority = Authority::new("root");
    let own = authority.executor();
    let mut params = nameless();
    params.subject_alt_names = vec![dns("executor2.cluster.local")];
    let roleless = authority.issue(&params);

    let lenient = credentials(&authority, &own);
    let client = speaking(raw::client(Some(&roleless)));
    let stream = accept_from(&acceptor(&lenient), client).await.unwrap();
    assert_eq!(stream.peer().role(), Role::Unspecified);

    let policy = PeerPolicy {
        unspecified_role: UnspecifiedRole::Refuse,
        ..PeerPolicy::default()
    };
    let files = Files::of(&authority, &own);
    let strict = publish(files.load_under(policy).unwrap()).1;
    let refusal = refusal_of(&strict, speaking(raw::client(Some(&roleless)))).await;
    assert_eq!(refusal.reason(), RefusalReason::RoleMissing);
}

#[tokio::test]
async fn wildcards_and_malformed_names_identify_nobody() {
    for bad in ["*.cluster.local", "10.0.0.1", "a..b"] {
        let mut params = executor();
        params.subject_alt_names.push(dns(bad));
        assert_eq!(reason_for(&params).await, RefusalReason::BadName, "{bad}");
    }
}

#[tokio::test]
async fn a_leaf_that_may_sign_is_refused() {
    let mut ca = executor();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(reason_for(&ca).await, RefusalReason::SigningLeaf);

    for power in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        let mut params = executor();
        params.key_usages.push(power);
        assert_eq!(
            reason_for(&params).await,
            RefusalReason::SigningLeaf,
            "{power:?}"
        );
    }
}

#[tokio::test]
async fn a_leaf_for_a_century_is_refused() {
    let mut params = executor();
    params.not_after = date_time_ymd(2123, 1, 1);
    assert_eq!(reason_for(&params).await, RefusalReason::ExcessiveLifetime);
}

#[tokio::test]
async fn plaintext_is_refused_and_named() {
    let (_, node) = cluster();
    for (bytes, protocol) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP without TLS"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "gRPC without TLS"),
    ] {
        let refusal = refusal_of(&node, saying(bytes.into())).await;
        assert_eq!(refusal.reason(), RefusalReason::Plaintext);
        assert!(refusal.detail().contains(protocol), "{refusal}");
    }
}

#[tokio::test]
async fn a_tls_1_2_client_is_refused() {
    let (_, node) = cluster();
    let refusal = refusal_of(&node, saying(raw::tls12_client_hello())).await;
    assert_eq!(
        refusal.reason(),
        RefusalReason::ProtocolVersion,
        "{refusal}"
    );
}

#[tokio::test]
async fn garbage_inside_a_handshake_record_is_malformed() {
    let (_, node) = cluster();
    let garbage = [&[22, 3, 1, 0, 64][..], &[0xa5; 64]].concat();
    let refusal = refusal_of(&node, saying(garbage)).await;
    assert_eq!(refusal.reason(), RefusalReason::Malformed, "{refusal}");
}

#[tokio::test]
async fn a_client_that_does_not_ask_for_h2_is_refused() {
    let (authority, node) = cluster();
    let issued = authority.executor();
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut client = raw::client(Some(&issued));
        client.alpn_protocols = protocols;
        let refusal = refusal_of(&node, speaking(client)).await;
        assert_eq!(refusal.reason(), RefusalReason::Alpn, "{refusal}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_without_a_word_closed_the_connection() {
    let (_, node) = cluster();
    let refusal = refusal_of(&node, |tcp| async move { drop(tcp) }).await;
    assert_eq!(refusal.reason(), RefusalReason::Closed);
}

#[tokio::test]
async fn a_handshake_that_stalls_at_any_byte_times_out() {
    let (_, node) = cluster();
    let acceptor = Acceptor::new(node, impatient(), Arc::new(Seen::default()));
    let hello = raw::tls12_client_hello();
    for length in [0, 1, 2, 5, hello.len() - 1] {
        let stalled = saying(hello[..length].to_vec());
        let error = accept_from(&acceptor, stalled).await.unwrap_err();
        let refusal = accept_refusal(error);
        assert_eq!(
            refusal.reason(),
            RefusalReason::Timeout,
            "after {length} bytes"
        );
    }
}

#[tokio::test]
async fn silent_connections_do_not_take_the_slots_of_talking_ones() {
    let (authority, node) = cluster();
    let limits = AcceptLimits {
        concurrent_handshakes: 1,
        ..AcceptLimits::default()
    };
    let acceptor = Acceptor::new(node, limits, Arc::new(Seen::default()));
    let issued = authority.executor();
    let silent = accept_from(&acceptor, saying(Vec::new()));
    let talking = accept_from(&acceptor, speaking(raw::client(Some(&issued))));
    tokio::select! {
        biased;
        _ = silent => panic!("the silent one was answered first"),
        accepted = talking => assert!(accepted.is_ok()),
    }
}

#[tokio::test]
async fn a_peer_that_finds_no_free_slot_in_time_is_dropped() {
    let (_, node) = cluster();
    let limits = AcceptLimits {
        concurrent_handshakes: 1,
        ..impatient()
    };
    let acceptor = Acceptor::new(node, limits, Arc::new(Seen::default()));
    let remote = "127.0.0.1:1".parse().unwrap();
    let hello = raw::tls12_client_hello();
    let (mut late_end, late) = duplex(1024);
    let (mut stalling_end, stalling) = duplex(1024);

    // The late one comes first, but says nothing until the stalling one has the only slot. In
    // memory, one poll is enough for each to get as far as it can.
    let mut late = pin!(acceptor.accept(late, remote));
    poll_once(&mut late).await;
    stalling_end.write_all(&hello[..9]).await.unwrap();
    let mut stalling = pin!(acceptor.accept(stalling, remote));
    poll_once(&mut stalling).await;
    late_end.write_all(&hello).await.unwrap();

    let (late, stalling) = tokio::join!(biased; late, stalling);
    let late = accept_refusal(late.unwrap_err());
    let stalling = accept_refusal(stalling.unwrap_err());
    assert_eq!(late.reason(), RefusalReason::Overloaded, "{late}");
    assert_eq!(stalling.reason(), RefusalReason::Timeout, "{stalling}");
}

async fn poll_once<F: Future>(future: &mut Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_refuses_us_says_so_with_an_alert() {
    let (_, node) = cluster();
    let elsewhere = Authority::new("elsewhere");
    let stranger = credentials(&elsewhere, &elsewhere.executor());
    let (accepted, dialled) = meet(&acceptor(&node), &stranger, "localhost", Role::Scheduler).await;
    assert!(dialled.is_err());
    let refusal = accept_refusal(accepted.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::PeerAlert);
    assert!(refusal.detail().contains("unknown_ca"), "{refusal}");
}

#[tokio::test]
async fn events_name_the_reason_and_what_the_refused_peer_claims() {
    let (authority, node) = cluster();
    let seen = Seen::default();
    let acceptor = Acceptor::new(node, AcceptLimits::default(), Arc::new(seen.clone()));
    let good = authority.executor();
    let stranger = Authority::new("another root").executor();
    accept_from(&acceptor, speaking(raw::client(Some(&good))))
        .await
        .unwrap();
    accept_from(&acceptor, speaking(raw::client(Some(&stranger))))
        .await
        .unwrap_err();

    let [first, second] = <[_; 2]>::try_from(seen.all()).unwrap();
    assert_eq!((first.side, first.reason), (Side::Accepted, None));
    assert_eq!(second.reason, Some(RefusalReason::UnknownIssuer));
    assert!(
        second
            .claimed
            .contains(&"executor1.cluster.local".to_owned())
    );
    assert!(
        second
            .claimed
            .contains(&"spiffe://cluster.local/executor/executor1".to_owned())
    );
}

#[tokio::test]
async fn nothing_is_handed_out_that_a_session_could_be_resumed_with() {
    let (authority, node) = cluster();
    let acceptor = acceptor(&node);
    // The client's cache is shared by both connections: a ticket of the first would be used.
    let config = Arc::new(raw::client(Some(&authority.executor())));
    for round in 0..2 {
        let (report, reported) = oneshot::channel();
        let config = Arc::clone(&config);
        let (accepted, _client) = accept_beside(&acceptor, |tcp| async move {
            let name = ServerName::try_from("localhost").unwrap();
            let connector = TlsConnector::from(config);
            let mut stream = connector.connect(name, tcp).await.unwrap();
            // Tickets come before the first byte of data, so they have been read by then.
            stream.read_u8().await.unwrap();
            let connection = stream.get_ref().1;
            let tickets = connection.tls13_tickets_received();
            let _ = report.send((tickets, connection.handshake_kind()));
        })
        .await;
        accepted.unwrap().write_all(&[1]).await.unwrap();
        let (tickets, kind) = reported.await.unwrap();
        assert_eq!(tickets, 0, "round {round}");
        assert_eq!(kind, Some(HandshakeKind::Full), "round {round}");
    }
}

#[tokio::test]
async fn a_snapshot_shows_neither_key_nor_more_than_it_must() {
    let authority = Authority::new("root");
    let issued = authority.executor();
    let shown = format!("{:?}", snapshot(&authority, &issued));
    assert!(shown.contains("executor1.cluster.local"), "{shown}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
    assert!(!shown.to_lowercase().contains("signingkey"), "{shown}");
}
