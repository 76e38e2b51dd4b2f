//! `openssl s_client` dials a node of ours.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cluster_tls::{CredentialPaths, Credentials, PeerPolicy, RefusalReason, Role, UnspecifiedRole};
use tempfile::TempDir;

use crate::node::{Ahead, Node, credentials, credentials_at, credentials_under, revoking, talk};
use crate::openssl::{
    Authority, EXECUTOR, Leaf, Register, SCHEDULER, WITHOUT_ROLE, alert, best_group,
};
use crate::tool::Running;

/// A root, a scheduler of ours below it, and a place for more.
struct Cluster {
    place: TempDir,
    root: Authority,
    scheduler: CredentialPaths,
}

impl Cluster {
    fn new() -> Self {
        let place = TempDir::new().unwrap();
        let root = Authority::new(place.path(), "root");
        let scheduler = root.issue(SCHEDULER);
        Self {
            place,
            root,
            scheduler,
        }
    }

    fn credentials(&self) -> Credentials {
        credentials(&self.scheduler)
    }
}

/// Starts a client that trusts `root.pem` and takes a wrong name or chain for an error.
pub(crate) fn s_client(place: &Path, node: &Node, arguments: &str) -> Running {
    let port = node.port();
    let command = format!(
        "openssl s_client -connect 127.0.0.1:{port} -servername localhost \
         -verify_hostname localhost -CAfile root.pem -verify_return_error {arguments}"
    );
    Running::start(place, &command)
}

/// Arguments of a client that is a member and does everything right.
const MEMBER: &str = "-tls1_3 -alpn h2 -cert executor1.pem -key executor1-key.pem";

#[tokio::test]
async fn a_member_that_uses_openssl_is_accepted_and_heard() {
    let cluster = Cluster::new();
    cluster.root.issue(EXECUTOR);
    let node = Node::listen(&cluster.credentials()).await;
    let mut client = s_client(cluster.place.path(), &node, MEMBER);
    let mut stream = node.meet().await.unwrap();
    assert_eq!(stream.peer().role(), Role::Executor);
    let group = best_group(cluster.place.path());
    assert_eq!(stream.key_exchange().as_deref(), Some(group));
    talk(&mut stream, &mut client).await;
    let wanted = ["New, TLSv1.3,", "ALPN protocol: h2", "Verification: OK"];
    client.must_say(&wanted).await;
}

/// What a client says where it should not be let in, the alert that it gets, and our reason.
type Refused = (&'static str, u8, RefusalReason);

/// Refuses each client of a table by alert and reason, and then lets a good one in: a node that
/// refuses everybody would pass otherwise.
async fn refuses(place: &Path, node: &Credentials, clients: &[Refused]) {
    let node = Node::listen(node).await;
    for (arguments, number, reason) in clients {
        let client = s_client(place, &node, arguments);
        let refusal = node.meet().await.unwrap_err();
        assert_eq!(refusal.reason(), *reason, "{arguments}: {refusal}");
        let said = client.until_it_ends().await;
        assert!(said.contains(&alert(*number)), "{number} is not in {said}");
    }
    let _client = s_client(place, &node, MEMBER);
    assert!(node.meet().await.is_ok());
}

#[tokio::test]
async fn strangers_that_use_openssl_are_told_by_the_alert_what_is_wrong() {
    let cluster = Cluster::new();
    cluster.root.issue(EXECUTOR);
    let place = cluster.place.path();
    Authority::new(place, "elsewhere").issue(Leaf {
        name: "stranger",
        ..EXECUTOR
    });
    Authority::named(place, "anew", "root").issue(Leaf {
        name: "outdated",
        ..EXECUTOR
    });
    cluster.root.issue(Leaf {
        name: "server",
        purposes: "serverAuth",
        ..EXECUTOR
    });
    let clients = [
        (
            "-tls1_3 -alpn h2",
            CERTIFICATE_REQUIRED,
            RefusalReason::NoCertificate,
        ),
        (
            "-tls1_3 -alpn h2 -cert stranger.pem -key stranger-key.pem",
            UNKNOWN_CA,
            RefusalReason::UnknownIssuer,
        ),
        (
            "-tls1_3 -alpn h2 -cert outdated.pem -key outdated-key.pem",
            UNKNOWN_CA,
            RefusalReason::BadSignature,
        ),
        (
            "-tls1_3 -alpn h2 -cert server.pem -key server-key.pem",
            UNSUPPORTED_CERTIFICATE,
            RefusalReason::WrongUsage,
        ),
        (
            "-tls1_2 -alpn h2 -cert executor1.pem -key executor1-key.pem",
            PROTOCOL_VERSION,
            RefusalReason::ProtocolVersion,
        ),
        (
            "-tls1_3 -alpn http/1.1 -cert executor1.pem -key executor1-key.pem",
            NO_APPLICATION_PROTOCOL,
            RefusalReason::Alpn,
        ),
        (
            "-tls1_3 -alpn h2 -groups P-384 -cert executor1.pem -key executor1-key.pem",
            HANDSHAKE_FAILURE,
            RefusalReason::Incompatible,
        ),
    ];
    refuses(place, &cluster.credentials(), &clients).await;
}

#[tokio::test]
async fn an_expired_member_that_uses_openssl_is_told_so() {
    let cluster = Cluster::new();
    cluster.root.issue(EXECUTOR);
    cluster.root.issue(Leaf {
        name: "expired",
        days: 1,
        ..EXECUTOR
    });
    let in_two_days = credentials_at(
        &cluster.scheduler,
        Ahead(Duration::from_secs(2 * 24 * 60 * 60)),
    );
    let clients = [(
        "-tls1_3 -alpn h2 -cert expired.pem -key expired-key.pem",
        CERTIFICATE_EXPIRED,
        RefusalReason::Expired,
    )];
    refuses(cluster.place.path(), &in_two_days, &clients).await;
}

#[tokio::test]
async fn a_certificate_without_a_role_is_admitted_or_refused_as_policy_says() {
    let cluster = Cluster::new();
    cluster.root.issue(EXECUTOR);
    cluster.root.issue(WITHOUT_ROLE);
    let arguments = "-tls1_3 -alpn h2 -cert plain.pem -key plain-key.pem";
    let place = cluster.place.path();
    let node = Node::listen(&cluster.credentials()).await;
    let _client = s_client(place, &node, arguments);
    let stream = node.meet().await.unwrap();
    assert_eq!(stream.peer().role(), Role::Unspecified);

    let policy = PeerPolicy {
        unspecified_role: UnspecifiedRole::Refuse,
        ..PeerPolicy::default()
    };
    let strict = credentials_under(&cluster.scheduler, policy);
    let clients = [(arguments, ACCESS_DENIED, RefusalReason::RoleMissing)];
    refuses(place, &strict, &clients).await;
}

/// rustls lets a client pass that offers no protocol at all, and has no way to send an alert after
/// the handshake: such a client is refused by closing the connection.
#[tokio::test]
async fn a_client_that_offers_no_protocol_is_refused_without_an_alert() {
    let cluster = Cluster::new();
    cluster.root.issue(EXECUTOR);
    let place = cluster.place.path();
    let node = Node::listen(&cluster.credentials()).await;
    let arguments = "-tls1_3 -cert executor1.pem -key executor1-key.pem";
    let client = s_client(place, &node, arguments);
    assert_eq!(node.meet().await.unwrap_err().reason(), RefusalReason::Alpn);
    let said = client.until_it_ends().await;
    assert!(said.contains("No ALPN negotiated"), "{said}");
    assert!(!said.contains("SSL alert number"), "{said}");
}

#[tokio::test]
async fn a_client_is_met_in_a_group_that_both_know_even_if_it_guessed_another() {
    let cluster = Cluster::new();
    cluster.root.issue(EXECUTOR);
    let node = Node::listen(&cluster.credentials()).await;
    // The first of the list is what s_client sends a key share of: the last case is a retry.
    for (groups, agreed) in [
        ("X25519", "X25519"),
        ("P-256", "secp256r1"),
        ("P-384:P-256", "secp256r1"),
    ] {
        let arguments = format!("{MEMBER} -groups {groups}");
        let mut client = s_client(cluster.place.path(), &node, &arguments);
        let mut stream = node.meet().await.unwrap();
        assert_eq!(stream.key_exchange().as_deref(), Some(agreed), "{groups}");
        talk(&mut stream, &mut client).await;
    }
}

/// A resumed session skips the verifier. The second half is there because a client that never
/// mentions tickets would pass the first one.
#[tokio::test]
async fn a_client_is_given_nothing_to_resume() {
    let cluster = Cluster::new();
    cluster.root.issue(EXECUTOR);
    let place = cluster.place.path();
    let node = Node::listen(&cluster.credentials()).await;
    let mut client = s_client(place, &node, MEMBER);
    let mut stream = node.meet().await.unwrap();
    talk(&mut stream, &mut client).await;
    drop(stream);
    let said = client.until_it_ends().await;
    assert!(!said.contains("New Session Ticket"), "{said}");

    let mut server = Running::start(
        place,
        "openssl s_server -accept 127.0.0.1:0 -cert scheduler1.pem -key scheduler1-key.pem",
    );
    let accepting = server.line_with("ACCEPT").await;
    let (_, port) = accepting.trim_end().rsplit_once(':').unwrap();
    let command = format!("openssl s_client -connect 127.0.0.1:{port}");
    let mut control = Running::start(place, &command);
    // Tickets come before data, and s_client shows them at its end at the latest.
    server.say("hello");
    control.line_with("hello").await;
    control.say("Q");
    assert!(control.until_it_ends().await.contains("New Session Ticket"));
}

#[tokio::test]
async fn a_revoked_member_that_uses_openssl_is_told_so() {
    let cluster = Cluster::new();
    cluster.root.issue(EXECUTOR);
    let revoked = cluster.root.issue(Leaf {
        name: "revoked",
        ..EXECUTOR
    });
    let register = Register::of(&cluster.root);
    register.revoke(&revoked.certificate);
    let lists = cluster.place.path().join("lists.pem");
    fs::write(&lists, register.list()).unwrap();
    let clients = [(
        "-tls1_3 -alpn h2 -cert revoked.pem -key revoked-key.pem",
        CERTIFICATE_REVOKED,
        RefusalReason::Revoked,
    )];
    let node = revoking(&cluster.scheduler, &lists);
    refuses(cluster.place.path(), &node, &clients).await;
}

// The alerts of RFC 8446, appendix B.2.
const HANDSHAKE_FAILURE: u8 = 40;
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const CERTIFICATE_REVOKED: u8 = 44;
const CERTIFICATE_EXPIRED: u8 = 45;
const UNKNOWN_CA: u8 = 48;
const ACCESS_DENIED: u8 = 49;
const PROTOCOL_VERSION: u8 = 70;
const CERTIFICATE_REQUIRED: u8 = 116;
const NO_APPLICATION_PROTOCOL: u8 = 120;
