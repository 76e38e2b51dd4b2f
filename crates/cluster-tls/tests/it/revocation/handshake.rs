//! A revoked peer is refused at the handshake, whichever list names it and whoever dials.

use std::sync::Arc;

use cluster_tls::{CredentialBytes, Credentials, RefusalReason, Role, publish};
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::loaded::{credentials, load_texts, texts};
use crate::meeting::{
    accept_beside, accept_from, accept_refusal, acceptor, dial_refusal, meet, speaking,
};
use crate::observed::within;
use crate::pki::{Authority, Issued, authority, numbered, serial_number};
use crate::raw;

const REVOKED: u16 = 0x5f3a;
const GOOD: u16 = 0x5f3b;

/// A node of `authority` whose texts were completed by `with`.
fn node(
    authority: &Authority,
    with: impl FnOnce(CredentialBytes) -> CredentialBytes,
) -> Credentials {
    let own = authority.issue(&numbered("node", 0x0101));
    publish(load_texts(with(texts(authority, &own))).unwrap()).1
}

/// What both directions say to a peer that shows `issued`: to whoever dials, and to the dialled.
async fn reasons(
    node: &Credentials,
    authority: &Authority,
    issued: &Issued,
) -> [Option<RefusalReason>; 2] {
    let peer = credentials(authority, issued);
    let (accepted, _) = meet(&acceptor(node), &peer, "localhost", Role::Executor).await;
    let (_, dialled) = meet(&acceptor(&peer), node, "localhost", Role::Executor).await;
    [
        accepted.err().map(|error| accept_refusal(error).reason()),
        dialled.err().map(|error| dial_refusal(error).reason()),
    ]
}

const LET_IN: [Option<RefusalReason>; 2] = [None, None];
const REFUSED: [Option<RefusalReason>; 2] = [Some(RefusalReason::Revoked); 2];

#[tokio::test]
async fn a_serial_on_the_revocation_list_is_refused_in_both_directions() {
    let authority = Authority::new("root");
    let node = node(&authority, |texts| {
        texts.with_crl(authority.crl(&[REVOKED]))
    });
    let revoked = authority.issue(&numbered("executor1", REVOKED));
    let good = authority.issue(&numbered("executor1", GOOD));
    assert_eq!(reasons(&node, &authority, &revoked).await, REFUSED);
    assert_eq!(reasons(&node, &authority, &good).await, LET_IN);
}

#[tokio::test]
async fn a_serial_on_the_deny_list_is_refused_in_both_directions() {
    let authority = Authority::new("root");
    let node = node(&authority, |texts| {
        texts.with_deny_list("# stolen on 3 May\n0x5F:3A  # executor1\n")
    });
    let revoked = authority.issue(&numbered("executor1", REVOKED));
    let good = authority.issue(&numbered("executor1", GOOD));
    assert_eq!(reasons(&node, &authority, &revoked).await, REFUSED);
    assert_eq!(reasons(&node, &authority, &good).await, LET_IN);
}

#[tokio::test]
async fn a_fingerprint_on_the_deny_list_names_one_certificate_and_not_its_serial() {
    let authority = Authority::new("root");
    let revoked = authority.issue(&numbered("executor1", REVOKED));
    let twin = authority.issue(&numbered("executor1", REVOKED));
    let known = credentials(&authority, &revoked);
    let fingerprint = known.current().own().fingerprint().to_uppercase();
    let node = node(&authority, |texts| texts.with_deny_list(fingerprint));
    assert_eq!(reasons(&node, &authority, &revoked).await, REFUSED);
    assert_eq!(reasons(&node, &authority, &twin).await, LET_IN);
}

/// A root with one intermediate, and what the intermediate issued.
fn behind_an_intermediate() -> (Authority, Authority, Issued) {
    let root = Authority::new("root");
    let mut params = authority("intermediate");
    params.serial_number = Some(serial_number(REVOKED));
    let intermediate = root.intermediate_from(params);
    let issued = intermediate.issue(&numbered("executor1", GOOD));
    let issued = issued.with(intermediate.der());
    (root, intermediate, issued)
}

#[tokio::test]
async fn who_was_issued_by_a_denied_intermediate_is_refused() {
    let (root, _, issued) = behind_an_intermediate();
    let denying = node(&root, |texts| texts.with_deny_list("5f3a"));
    assert_eq!(reasons(&denying, &root, &issued).await, REFUSED);
    let indifferent = node(&root, |texts| texts.with_deny_list("5f3c"));
    assert_eq!(reasons(&indifferent, &root, &issued).await, LET_IN);
}

#[tokio::test]
async fn who_was_issued_by_a_revoked_intermediate_is_refused() {
    let (root, intermediate, issued) = behind_an_intermediate();
    let lists = |of_root: &[u16], of_intermediate: &[u16]| {
        format!("{}{}", root.crl(of_root), intermediate.crl(of_intermediate))
    };
    for (text, expected) in [
        (lists(&[], &[]), LET_IN),
        (lists(&[REVOKED], &[]), REFUSED),
        (lists(&[], &[GOOD]), REFUSED),
        // Serials belong to their issuer: the same numbers on the other's list say nothing.
        (lists(&[GOOD], &[REVOKED]), LET_IN),
    ] {
        let node = node(&root, |texts| texts.with_crl(text));
        assert_eq!(reasons(&node, &root, &issued).await, expected);
    }
}

#[tokio::test]
async fn an_intermediate_without_a_list_leaves_the_standing_unknown() {
    let (root, _, issued) = behind_an_intermediate();
    let node = node(&root, |texts| texts.with_crl(root.crl(&[])));
    let unknown = [Some(RefusalReason::RevocationUnknown); 2];
    assert_eq!(reasons(&node, &root, &issued).await, unknown);
}

#[tokio::test]
async fn a_list_that_another_key_signed_leaves_the_standing_unknown() {
    let (root, other) = (Authority::new("root"), Authority::new("other root"));
    let impostor = Authority::new("other root");
    let own = root.issue(&numbered("node", 0x0101));
    let roots = format!("{}{}", root.pem(), other.pem());
    let load = |of_other: String| {
        let texts = CredentialBytes::new(roots.clone(), own.chain_pem(), own.key_pem());
        let snapshot = load_texts(texts.with_crl(format!("{}{of_other}", root.crl(&[]))));
        publish(snapshot.unwrap()).1
    };
    let issued = other.issue(&numbered("executor1", GOOD));
    let sound = refusal_or_none(&load(other.crl(&[])), &issued).await;
    assert_eq!(sound, None);
    let forged = refusal_or_none(&load(impostor.crl(&[])), &issued).await;
    assert_eq!(forged, Some(RefusalReason::RevocationUnknown));
}

/// What the node says to a client that trusts everybody.
async fn refusal_or_none(node: &Credentials, issued: &Issued) -> Option<RefusalReason> {
    let client = speaking(raw::client(Some(issued)));
    let accepted = accept_from(&acceptor(node), client).await;
    accepted.err().map(|error| accept_refusal(error).reason())
}

#[tokio::test]
async fn a_revoked_client_is_told_so_by_the_alert() {
    let authority = Authority::new("root");
    let node = node(&authority, |texts| {
        texts.with_crl(authority.crl(&[REVOKED]))
    });
    let issued = authority.issue(&numbered("executor1", REVOKED));
    let (told, heard) = oneshot::channel();
    let config = Arc::new(raw::client(Some(&issued)));
    let (accepted, _client) = accept_beside(&acceptor(&node), |tcp| async move {
        let name = ServerName::try_from("localhost").unwrap();
        // The client is done before the server has seen its certificate: the alert comes later.
        let mut stream = TlsConnector::from(config).connect(name, tcp).await.unwrap();
        let error = stream.read(&mut [0; 1]).await.unwrap_err();
        told.send(error.to_string()).unwrap();
    })
    .await;
    let refusal = accept_refusal(accepted.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::Revoked);
    assert_eq!(
        refusal.claimed().first().unwrap(),
        "executor1.cluster.local"
    );
    let alert = within(heard).await.unwrap();
    assert!(alert.contains("CertificateRevoked"), "{alert}");
}

#[tokio::test]
async fn of_two_lists_of_one_issuer_the_later_has_the_word_in_either_order() {
    let authority = Authority::new("root");
    let revoked = authority.issue(&numbered("executor1", REVOKED));
    let old = authority.crl_dated(&[], (2024, 4, 1), (2024, 12, 1));
    let longer = authority.crl_dated(&[REVOKED], (2024, 5, 1), (2024, 12, 20));
    // Issued in a hurry, and to be replaced soon: later than the old one all the same.
    let shorter = authority.crl_dated(&[REVOKED], (2024, 5, 1), (2024, 6, 20));
    for new in [longer, shorter] {
        for text in [format!("{old}{new}"), format!("{new}{old}")] {
            let node = node(&authority, |texts| texts.with_crl(text));
            assert_eq!(reasons(&node, &authority, &revoked).await, REFUSED);
        }
    }
}

#[tokio::test]
async fn a_later_list_that_no_longer_names_a_certificate_lets_it_in() {
    let authority = Authority::new("root");
    let issued = authority.issue(&numbered("executor1", REVOKED));
    let hold = authority.crl_dated(&[REVOKED], (2024, 4, 1), (2024, 12, 20));
    let released = authority.crl_dated(&[], (2024, 5, 1), (2024, 12, 1));
    let node = node(&authority, |texts| {
        texts.with_crl(format!("{hold}{released}"))
    });
    assert_eq!(reasons(&node, &authority, &issued).await, LET_IN);
}

#[tokio::test]
async fn without_any_list_nobody_is_revoked() {
    let authority = Authority::new("root");
    let issued = authority.issue(&numbered("executor1", REVOKED));
    let indifferent = node(&authority, |texts| texts);
    assert_eq!(reasons(&indifferent, &authority, &issued).await, LET_IN);
    let empty = node(&authority, |texts| texts.with_deny_list("# nobody yet\n"));
    assert_eq!(reasons(&empty, &authority, &issued).await, LET_IN);
}
