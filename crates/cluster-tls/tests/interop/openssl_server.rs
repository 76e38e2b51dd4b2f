//! A node of ours dials `openssl s_server`.

use std::path::Path;
use std::sync::Arc;

use cluster_tls::{
    CredentialPaths, DialLimits, NodeAddress, PeerPolicy, RefusalReason, Role, Stage, SystemClock,
    diagnose, load,
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::node::{credentials, dial, talk};
use crate::openssl::{Authority, EXECUTOR, Leaf, SCHEDULER, alert, best_group};
use crate::tool::{PATIENCE, Running};

/// A root, an executor of ours below it, and a scheduler for the tool.
struct Cluster {
    place: TempDir,
    root: Authority,
    executor: CredentialPaths,
}

impl Cluster {
    fn new() -> Self {
        let place = TempDir::new().unwrap();
        let root = Authority::new(place.path(), "root");
        root.issue(SCHEDULER);
        Self {
            executor: root.issue(EXECUTOR),
            root,
            place,
        }
    }
}

/// Starts a server that takes one connection, and gives its port.
async fn s_server(place: &Path, arguments: &str) -> (Running, u16) {
    let command = format!("openssl s_server -accept 127.0.0.1:0 -naccept 1 {arguments}");
    let mut server = Running::start(place, &command);
    let accepting = server.line_with("ACCEPT ").await;
    let (_, port) = accepting.trim_end().rsplit_once(':').unwrap();
    (server, port.parse().unwrap())
}

/// Arguments of a server that is a member and asks its clients to be some.
const MEMBER: &str = "-tls1_3 -alpn h2 -cert scheduler1.pem -key scheduler1-key.pem \
                      -CAfile root.pem -Verify 1 -verify_return_error";

#[tokio::test]
async fn a_node_and_a_server_that_uses_openssl_believe_and_hear_each_other() {
    let cluster = Cluster::new();
    let (mut server, port) = s_server(cluster.place.path(), MEMBER).await;
    let mut stream = dial(&credentials(&cluster.executor), port, Role::Scheduler)
        .await
        .unwrap();
    assert_eq!(stream.peer().role(), Role::Scheduler);
    let group = best_group(cluster.place.path());
    assert_eq!(stream.key_exchange().as_deref(), Some(group));
    talk(&mut stream, &mut server).await;
    let wanted = [
        "ALPN protocols selected: h2",
        "Client certificate",
        "executor1",
    ];
    server.must_say(&wanted).await;
}

/// What a server does where it should not be talked to, the alert that it gets, and our reason.
type Refused = (&'static str, Option<u8>, RefusalReason);

async fn refuses(cluster: &Cluster, servers: &[Refused]) {
    for (arguments, number, reason) in servers {
        let (server, port) = s_server(cluster.place.path(), arguments).await;
        let dialled = dial(&credentials(&cluster.executor), port, Role::Scheduler).await;
        let refusal = dialled.unwrap_err();
        assert_eq!(refusal.reason(), *reason, "{arguments}: {refusal}");
        let said = server.until_it_ends().await;
        match number {
            Some(number) => assert!(said.contains(&alert(*number)), "{number} is not in {said}"),
            None => assert!(!said.contains("SSL alert number"), "{said}"),
        }
    }
}

#[tokio::test]
async fn servers_that_use_openssl_are_told_by_the_alert_what_is_wrong() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    Authority::new(place, "elsewhere").issue(Leaf {
        name: "stranger",
        ..SCHEDULER
    });
    Authority::named(place, "anew", "root").issue(Leaf {
        name: "outdated",
        ..SCHEDULER
    });
    for (name, names, purposes) in [
        (
            "other",
            "DNS:other,URI:spiffe://c/scheduler/x",
            "serverAuth,clientAuth",
        ),
        ("executor2", EXECUTOR.names, "serverAuth,clientAuth"),
        ("client", SCHEDULER.names, "clientAuth"),
    ] {
        cluster.root.issue(Leaf {
            name,
            names,
            purposes,
            ..SCHEDULER
        });
    }
    let servers = [
        (
            "-tls1_3 -alpn h2 -cert other.pem -key other-key.pem",
            Some(BAD_CERTIFICATE),
            RefusalReason::WrongName,
        ),
        (
            "-tls1_3 -alpn h2 -cert executor2.pem -key executor2-key.pem",
            Some(ACCESS_DENIED),
            RefusalReason::WrongRole,
        ),
        (
            "-tls1_3 -alpn h2 -cert client.pem -key client-key.pem",
            Some(UNSUPPORTED_CERTIFICATE),
            RefusalReason::WrongUsage,
        ),
        (
            "-tls1_3 -alpn h2 -cert stranger.pem -key stranger-key.pem",
            Some(UNKNOWN_CA),
            RefusalReason::UnknownIssuer,
        ),
        (
            "-tls1_3 -alpn h2 -cert outdated.pem -key outdated-key.pem",
            Some(UNKNOWN_CA),
            RefusalReason::BadSignature,
        ),
    ];
    refuses(&cluster, &servers).await;
}

/// It is the server that finds these out and sends the alert, or nobody does.
#[tokio::test]
async fn a_server_without_common_ground_is_refused_for_what_is_missing() {
    let cluster = Cluster::new();
    let servers = [
        (
            "-tls1_2 -alpn h2 -cert scheduler1.pem -key scheduler1-key.pem",
            None,
            RefusalReason::ProtocolVersion,
        ),
        (
            "-tls1_3 -alpn http/1.1 -cert scheduler1.pem -key scheduler1-key.pem",
            None,
            RefusalReason::Alpn,
        ),
        (
            "-tls1_3 -cert scheduler1.pem -key scheduler1-key.pem",
            None,
            RefusalReason::Alpn,
        ),
    ];
    refuses(&cluster, &servers).await;
}

/// The dialling side has what it came for: the server has proven who it is, and what is sent can
/// be read by nobody else. That the server asks nobody for a certificate is its own fault, and
/// shows where it is dialled without one.
#[tokio::test]
async fn a_server_that_asks_for_no_certificate_is_refused() {
    let cluster = Cluster::new();
    let node = credentials(&cluster.executor);
    let arguments = "-tls1_3 -alpn h2 -cert scheduler1.pem -key scheduler1-key.pem";
    let (_server, port) = s_server(cluster.place.path(), arguments).await;
    let refusal = dial(&node, port, Role::Scheduler).await.unwrap_err();
    assert_eq!(refusal.reason(), RefusalReason::NotMutual, "{refusal}");
    let (_server, port) = s_server(cluster.place.path(), MEMBER).await;
    assert!(dial(&node, port, Role::Scheduler).await.is_ok());
}

#[tokio::test]
async fn a_server_is_met_in_the_group_that_it_insists_on() {
    let cluster = Cluster::new();
    let node = credentials(&cluster.executor);
    // Key shares are sent for the hybrid group and X25519: P-256 takes a retry.
    for (group, agreed) in [("X25519", "X25519"), ("P-256", "secp256r1")] {
        let arguments = format!("{MEMBER} -groups {group}");
        let (mut server, port) = s_server(cluster.place.path(), &arguments).await;
        let mut stream = dial(&node, port, Role::Scheduler).await.unwrap();
        assert_eq!(stream.key_exchange().as_deref(), Some(agreed));
        talk(&mut stream, &mut server).await;
    }
    let arguments = format!("{MEMBER} -groups P-384");
    let (_server, port) = s_server(cluster.place.path(), &arguments).await;
    let refusal = dial(&node, port, Role::Scheduler).await.unwrap_err();
    assert_eq!(refusal.reason(), RefusalReason::PeerAlert, "{refusal}");
    assert!(refusal.detail().contains("handshake_failure"), "{refusal}");
}

/// In TLS 1.3 that shows at the first read and not in the handshake.
#[tokio::test]
async fn a_server_that_does_not_trust_us_says_so_and_a_diagnosis_tells() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    Authority::new(place, "elsewhere");
    let arguments = MEMBER.replace("root.pem", "elsewhere.pem");
    let (_server, port) = s_server(place, &arguments).await;
    let mut stream = dial(&credentials(&cluster.executor), port, Role::Scheduler)
        .await
        .unwrap();
    let heard = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
    let error = heard.unwrap_err().to_string();
    assert!(error.contains("UnknownCA"), "{error}");

    let (_server, port) = s_server(place, &arguments).await;
    let own = load(
        &cluster.executor,
        Arc::new(SystemClock),
        PeerPolicy::default(),
    );
    let address = NodeAddress::new("localhost", port).unwrap();
    let diagnosis = diagnose(own, &address, Role::Scheduler, DialLimits::default()).await;
    let failure = diagnosis.failure().unwrap();
    assert_eq!(failure.stage(), Stage::Admission, "{failure:?}");
    assert!(failure.detail().contains("unknown_ca"), "{failure:?}");
}

// The alerts of RFC 8446, appendix B.2.
const BAD_CERTIFICATE: u8 = 42;
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const UNKNOWN_CA: u8 = 48;
const ACCESS_DENIED: u8 = 49;
