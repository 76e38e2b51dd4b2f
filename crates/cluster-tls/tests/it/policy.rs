//! What an operator can choose: roles of other issuers' identities, the protocol inside TLS; and
//! the alerts that tell a refused peer why.

use std::sync::{Arc, Mutex, PoisonError};

use cluster_tls::{
    ApplicationProtocol, CredentialBytes, Credentials, PeerPolicy, RefusalReason, Role,
    UnspecifiedRole, load_from, publish,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, Error, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::loaded::{credentials, texts};
use crate::meeting::{
    accept_beside, accept_from, accept_refusal, acceptor, dial_refusal, dialer, local, meet,
    refusal_of, speaking,
};
use crate::observed::within;
use crate::pki::{Authority, Issued, Mid2024, dns, executor, member, nameless, numbered, uri};
use crate::raw;

fn credentials_under(texts: CredentialBytes, policy: PeerPolicy) -> Credentials {
    let loaded = load_from(&mut Arc::new(texts), Arc::new(Mid2024), policy);
    publish(loaded.unwrap()).1
}

fn mapping(rules: &[&str]) -> PeerPolicy {
    PeerPolicy {
        identity_rules: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        ..PeerPolicy::default()
    }
}

fn speaking_protocol(application_protocol: ApplicationProtocol) -> PeerPolicy {
    PeerPolicy {
        application_protocol,
        ..PeerPolicy::default()
    }
}

/// A certificate with one identity URI.
fn identified(authority: &Authority, identity: &str) -> Issued {
    let mut params = nameless();
    params.subject_alt_names = vec![dns("localhost"), uri(identity)];
    authority.issue(&params)
}

/// The role that a node under `rules` gives a peer, or the reason why it refuses it.
async fn role_under(rules: &[&str], identity: &str) -> Result<Role, RefusalReason> {
    let authority = Authority::new("root");
    let node = credentials_under(texts(&authority, &authority.executor()), mapping(rules));
    let peer = identified(&authority, identity);
    let accepted = accept_from(&acceptor(&node), speaking(raw::client(Some(&peer)))).await;
    accepted
        .map(|stream| stream.peer().role())
        .map_err(|error| accept_refusal(error).reason())
}

const SVID: &str = "spiffe://corp.example/ns/prod/sa/spice-executor";

#[tokio::test]
async fn a_rule_gives_a_role_to_identities_of_another_issuer() {
    let rule = "spiffe://corp.example/ns/*/sa/spice-executor=executor";
    assert_eq!(role_under(&[rule], SVID).await, Ok(Role::Executor));
    // Without one, or where none matches, such an identity is none.
    for (rules, identity) in [
        (&[][..], SVID),
        (&[rule], "spiffe://corp.example/ns/prod/sa/spice-scheduler"),
        (&[rule], "spiffe://evil.example/ns/prod/sa/spice-executor"),
        (&[rule], "spiffe://corp.example/ns/prod/x/sa/spice-executor"),
    ] {
        let refused = role_under(rules, identity).await;
        assert_eq!(refused, Err(RefusalReason::BadIdentity), "{identity}");
    }
}

#[tokio::test]
async fn the_first_rule_that_matches_counts() {
    let narrow = "spiffe://corp.example/ns/prod/sa/*=scheduler";
    let wide = "spiffe://corp.example/ns/*/sa/*=executor";
    assert_eq!(role_under(&[narrow, wide], SVID).await, Ok(Role::Scheduler));
    assert_eq!(role_under(&[wide, narrow], SVID).await, Ok(Role::Executor));
}

#[tokio::test]
async fn identities_of_our_own_form_need_no_rule_and_obey_one_that_matches() {
    let own = "spiffe://cluster.local/executor/e1";
    let rule = "spiffe://cluster.local/executor/*=scheduler";
    assert_eq!(role_under(&[], own).await, Ok(Role::Executor));
    assert_eq!(role_under(&[rule], own).await, Ok(Role::Scheduler));
    let other = "spiffe://other.example/executor/*=client";
    assert_eq!(role_under(&[other], own).await, Ok(Role::Executor));
    let foreign = "spiffe://cluster.local/worker/e1";
    let refused = role_under(&[rule], foreign).await;
    assert_eq!(refused, Err(RefusalReason::BadIdentity));
}

#[tokio::test]
async fn a_mapped_role_is_what_a_dialler_asks_for() {
    let authority = Authority::new("root");
    let rules = mapping(&["spiffe://corp.example/ns/*/sa/spice-executor=executor"]);
    let node = credentials_under(texts(&authority, &identified(&authority, SVID)), rules);
    assert_eq!(node.current().own().role(), Role::Executor);
    let (accepted, dialled) = meet(&acceptor(&node), &node, "localhost", Role::Executor).await;
    assert_eq!(accepted.unwrap().peer().role(), Role::Executor);
    assert_eq!(dialled.unwrap().peer().uri(), Some(SVID));
    let (_, dialled) = meet(&acceptor(&node), &node, "localhost", Role::Scheduler).await;
    let refusal = dial_refusal(dialled.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::WrongRole);
}

#[tokio::test]
async fn both_ends_speak_the_protocol_of_the_policy() {
    let authority = Authority::new("root");
    let node = |protocol| {
        let texts = texts(&authority, &authority.executor());
        credentials_under(texts, speaking_protocol(protocol))
    };
    let protocols = [
        ApplicationProtocol::HTTP_2,
        ApplicationProtocol::HTTP_1_1,
        ApplicationProtocol::named("my-service/1"),
    ];
    for ours in &protocols {
        for theirs in &protocols {
            let (to, from) = (node(ours.clone()), node(theirs.clone()));
            let (accepted, dialled) =
                meet(&acceptor(&to), &from, "localhost", Role::Executor).await;
            if ours == theirs {
                assert!(accepted.is_ok() && dialled.is_ok(), "{ours:?}");
                continue;
            }
            let refusal = accept_refusal(accepted.unwrap_err());
            assert_eq!(refusal.reason(), RefusalReason::Alpn, "{refusal}");
            let refusal = dial_refusal(dialled.unwrap_err());
            assert_eq!(refusal.reason(), RefusalReason::Alpn, "{refusal}");
        }
    }
}

#[tokio::test]
async fn a_peer_that_agrees_to_no_protocol_is_refused_under_every_policy() {
    let authority = Authority::new("root");
    let policy = speaking_protocol(ApplicationProtocol::named("my-service/1"));
    let node = credentials_under(texts(&authority, &authority.executor()), policy);
    let mut client = raw::client(Some(&authority.executor()));
    client.alpn_protocols.clear();
    let refusal = refusal_of(&node, speaking(client.clone())).await;
    assert_eq!(refusal.reason(), RefusalReason::Alpn, "{refusal}");
    client.alpn_protocols = vec![b"h2".to_vec(), b"my-service/1".to_vec()];
    assert!(
        accept_from(&acceptor(&node), speaking(client))
            .await
            .is_ok()
    );
}

/// The alert with which `node` ends a connection of a client that would talk to anybody.
async fn alert_to_client(node: &Credentials, client: ClientConfig) -> AlertDescription {
    let told = Arc::new(Mutex::new(None));
    let telling = Arc::clone(&told);
    let client = move |tcp: TcpStream| async move {
        let name = ServerName::try_from("localhost").unwrap();
        let error = match TlsConnector::from(Arc::new(client))
            .connect(name, tcp)
            .await
        {
            // In TLS 1.3 the client is done first, and hears of it at its first read.
            Ok(mut stream) => stream.read_u8().await.unwrap_err(),
            Err(error) => error,
        };
        *telling.lock().unwrap_or_else(PoisonError::into_inner) = Some(alert(&error));
    };
    let (accepted, mut clients) = accept_beside(&acceptor(node), client).await;
    assert!(accepted.is_err());
    within(clients.join_next()).await.unwrap().unwrap();
    let told = told.lock().unwrap().take();
    told.unwrap()
}

fn alert(error: &std::io::Error) -> AlertDescription {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert: {error:?}"),
    }
}

/// The alert with which a node under `policy` refuses a client whose certificate has `params`.
async fn alert_for(params: &CertificateParams, policy: PeerPolicy) -> AlertDescription {
    let authority = Authority::new("root");
    let node = credentials_under(texts(&authority, &authority.executor()), policy);
    alert_to_client(&node, raw::client(Some(&authority.issue(params)))).await
}

#[tokio::test]
async fn a_client_outside_its_dates_is_told_certificate_expired() {
    let mut expired = executor();
    expired.not_after = date_time_ymd(2024, 2, 1);
    let mut early = executor();
    early.not_before = date_time_ymd(2024, 12, 1);
    for params in [expired, early] {
        let alert = alert_for(&params, PeerPolicy::default()).await;
        assert_eq!(alert, AlertDescription::CertificateExpired);
    }
}

#[tokio::test]
async fn a_client_on_the_deny_list_is_told_certificate_revoked() {
    let authority = Authority::new("root");
    let denied = authority.issue(&numbered("executor7", 0x5f3a));
    let texts = texts(&authority, &authority.executor()).with_deny_list("5f3a");
    let node = credentials_under(texts, PeerPolicy::default());
    let alert = alert_to_client(&node, raw::client(Some(&denied))).await;
    assert_eq!(alert, AlertDescription::CertificateRevoked);
}

#[tokio::test]
async fn a_client_of_another_authority_is_told_unknown_ca() {
    let authority = Authority::new("root");
    let node = credentials(&authority, &authority.executor());
    for name in ["another root", "root"] {
        let stranger = Authority::new(name).executor();
        let alert = alert_to_client(&node, raw::client(Some(&stranger))).await;
        assert_eq!(alert, AlertDescription::UnknownCA, "{name}");
    }
}

#[tokio::test]
async fn a_client_for_servers_only_is_told_unsupported_certificate() {
    let mut params = executor();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let alert = alert_for(&params, PeerPolicy::default()).await;
    assert_eq!(alert, AlertDescription::UnsupportedCertificate);
}

#[tokio::test]
async fn a_client_without_the_role_asked_for_is_told_access_denied() {
    let mut params = nameless();
    params.subject_alt_names = vec![dns("localhost")];
    let policy = PeerPolicy {
        unspecified_role: UnspecifiedRole::Refuse,
        ..PeerPolicy::default()
    };
    let alert = alert_for(&params, policy).await;
    assert_eq!(alert, AlertDescription::AccessDenied);
}

#[tokio::test]
async fn a_client_with_two_identities_is_told_no_more_than_that() {
    let mut params = executor();
    params
        .subject_alt_names
        .push(uri("spiffe://cluster.local/scheduler/s1"));
    let alert = alert_for(&params, PeerPolicy::default()).await;
    assert_eq!(alert, AlertDescription::CertificateUnknown);
}

#[tokio::test]
async fn a_client_without_certificate_or_protocol_is_told_so() {
    let authority = Authority::new("root");
    let node = credentials(&authority, &authority.executor());
    let alert = alert_to_client(&node, raw::client(None)).await;
    assert_eq!(alert, AlertDescription::CertificateRequired);
    let mut client = raw::client(Some(&authority.executor()));
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let alert = alert_to_client(&node, client).await;
    assert_eq!(alert, AlertDescription::NoApplicationProtocol);
}

/// The alert with which `node` leaves a server that it has dialled.
async fn alert_to_server(
    node: &Credentials,
    server: ServerConfig,
    host: &str,
    expected: Role,
) -> AlertDescription {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut servers = JoinSet::new();
    servers.spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let shaken = TlsAcceptor::from(Arc::new(server)).accept(tcp).await;
        alert(&shaken.unwrap_err())
    });
    let to = local(host, address);
    assert!(dialer(node).connect(&to, expected).await.is_err());
    within(servers.join_next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_server_under_another_name_is_told_bad_certificate_and_in_another_role_access_denied() {
    let authority = Authority::new("root");
    let node = credentials(&authority, &authority.executor());
    for (host, expected, told) in [
        (
            "127.0.0.2",
            Role::Executor,
            AlertDescription::BadCertificate,
        ),
        ("localhost", Role::Scheduler, AlertDescription::AccessDenied),
    ] {
        let server = raw::server(&authority.issue(&member("executor", "e1")));
        assert_eq!(alert_to_server(&node, server, host, expected).await, told);
    }
}
