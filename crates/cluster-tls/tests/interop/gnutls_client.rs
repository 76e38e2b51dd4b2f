//! `gnutls-cli` dials a node of ours.

use std::path::Path;

use cluster_tls::{CredentialPaths, Credentials, RefusalReason, Role};
use tempfile::TempDir;

use crate::certtool::{Authority, EXECUTOR, Leaf, SCHEDULER, best_group};
use crate::node::{Node, credentials, talk};
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
        root.issue(EXECUTOR);
        Self {
            place,
            root,
            scheduler,
        }
    }
}

/// Starts a client that trusts `root.pem` alone and checks the name.
///
/// The hybrid group is not among GnuTLS's defaults in all versions that have it.
fn gnutls_cli(place: &Path, node: &Node, priority: &str, arguments: &str) -> Running {
    let port = node.port();
    let command = format!(
        "stdbuf -oL gnutls-cli --port {port} --x509cafile root.pem --priority {priority} \
         {arguments} localhost"
    );
    Running::start(place, &command)
}

const TLS_1_3: &str = "NORMAL:-VERS-ALL:+VERS-TLS1.3";
const TLS_1_2: &str = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
const MEMBER: &str = "--alpn h2 --x509certfile executor1.pem --x509keyfile executor1-key.pem";

#[tokio::test]
async fn a_member_that_uses_gnutls_is_accepted_and_heard() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    let node = Node::listen(&credentials(&cluster.scheduler)).await;
    let (groups, agreed) = best_group(place);
    let priority = format!("{TLS_1_3}:-GROUP-ALL:+{groups}");
    let mut client = gnutls_cli(place, &node, &priority, MEMBER);
    let mut stream = node.meet().await.unwrap();
    assert_eq!(stream.peer().role(), Role::Executor);
    assert_eq!(stream.key_exchange().as_deref(), Some(agreed));
    talk(&mut stream, &mut client).await;
    let wanted = [
        "The certificate is trusted",
        "(TLS1.3-X.509)",
        "Application protocol: h2",
    ];
    client.must_say(&wanted).await;
}

/// A priority string, further arguments, the alert that the client gets, and our reason.
type Refused = (&'static str, &'static str, u8, RefusalReason);

async fn refuses(place: &Path, node: &Credentials, clients: &[Refused]) {
    let node = Node::listen(node).await;
    for (priority, arguments, number, reason) in clients {
        let client = gnutls_cli(place, &node, priority, arguments);
        let refusal = node.meet().await.unwrap_err();
        assert_eq!(refusal.reason(), *reason, "{arguments}: {refusal}");
        let said = client.until_it_ends().await;
        let alert = format!("Received alert [{number}]");
        assert!(said.contains(&alert), "{alert} is not in {said}");
    }
    let _client = gnutls_cli(place, &node, TLS_1_3, MEMBER);
    assert!(node.meet().await.is_ok());
}

#[tokio::test]
async fn strangers_that_use_gnutls_are_told_by_the_alert_what_is_wrong() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    Authority::new(place, "elsewhere").issue(Leaf {
        name: "stranger",
        ..EXECUTOR
    });
    cluster.root.issue(Leaf {
        name: "server",
        purposes: "tls_www_server",
        ..EXECUTOR
    });
    let clients = [
        (
            TLS_1_3,
            "--alpn h2",
            CERTIFICATE_REQUIRED,
            RefusalReason::NoCertificate,
        ),
        (
            TLS_1_3,
            "--alpn h2 --x509certfile server.pem --x509keyfile server-key.pem",
            UNSUPPORTED_CERTIFICATE,
            RefusalReason::WrongUsage,
        ),
        (
            TLS_1_2,
            MEMBER,
            PROTOCOL_VERSION,
            RefusalReason::ProtocolVersion,
        ),
        (
            TLS_1_3,
            "--alpn http/1.1 --x509certfile executor1.pem --x509keyfile executor1-key.pem",
            NO_APPLICATION_PROTOCOL,
            RefusalReason::Alpn,
        ),
        (
            TLS_1_3,
            "--alpn h2 --x509certfile stranger.pem --x509keyfile stranger-key.pem",
            UNKNOWN_CA,
            RefusalReason::UnknownIssuer,
        ),
    ];
    refuses(place, &credentials(&cluster.scheduler), &clients).await;
}

/// The same as with OpenSSL: there is no alert for what is not offered.
#[tokio::test]
async fn a_client_that_uses_gnutls_and_offers_no_protocol_is_refused_without_an_alert() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    let node = Node::listen(&credentials(&cluster.scheduler)).await;
    let arguments = "--x509certfile executor1.pem --x509keyfile executor1-key.pem";
    let client = gnutls_cli(place, &node, TLS_1_3, arguments);
    let refusal = node.meet().await.unwrap_err();
    assert_eq!(refusal.reason(), RefusalReason::Alpn, "{refusal}");
    let said = client.until_it_ends().await;
    assert!(!said.contains("Received alert"), "{said}");
}

// The alerts of RFC 8446, appendix B.2.
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const UNKNOWN_CA: u8 = 48;
const PROTOCOL_VERSION: u8 = 70;
const CERTIFICATE_REQUIRED: u8 = 116;
const NO_APPLICATION_PROTOCOL: u8 = 120;
