//! A node of ours dials `gnutls-serv`.

use std::fs;
use std::path::Path;

use cluster_tls::{CredentialPaths, RefusalReason, Role};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::certtool::{Authority, EXECUTOR, Leaf, SCHEDULER, best_group};
use crate::node::{credentials, dial, hear};
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

/// Starts a server that echoes, and gives its port.
async fn gnutls_serv(place: &Path, priority: &str, arguments: &str) -> (Running, u16) {
    let command =
        format!("stdbuf -oL gnutls-serv --port 0 --echo --priority {priority} {arguments}");
    let mut server = Running::start(place, &command);
    server.line_with("listening on IPv4").await;
    let port = listening_port(server.process_id());
    (server, port)
}

/// gnutls-serv says the port that it was told, which is 0: the system knows the one that it got.
fn listening_port(process: u32) -> u16 {
    let open: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let mut ports = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let ours = *state == LISTEN && open.contains(&format!("socket:[{inode}]"));
        let (_, port) = local.split_once(':')?;
        ours.then(|| u16::from_str_radix(port, 16).ok()).flatten()
    });
    ports.next().unwrap()
}

const TLS_1_3: &str = "NORMAL:-VERS-ALL:+VERS-TLS1.3";
const TLS_1_2: &str = "NORMAL:-VERS-ALL:+VERS-TLS1.2";

/// Arguments of a server that is a member and asks its clients to be some.
const MEMBER: &str = "--alpn h2 --x509certfile scheduler1.pem --x509keyfile scheduler1-key.pem \
                      --x509cafile root.pem --require-client-cert --verify-client-cert";

#[tokio::test]
async fn a_node_and_a_server_that_uses_gnutls_believe_and_hear_each_other() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    let (groups, agreed) = best_group(place);
    let priority = format!("{TLS_1_3}:-GROUP-ALL:+{groups}");
    let (mut server, port) = gnutls_serv(place, &priority, MEMBER).await;
    let mut stream = dial(&credentials(&cluster.executor), port, Role::Scheduler)
        .await
        .unwrap();
    assert_eq!(stream.peer().role(), Role::Scheduler);
    assert_eq!(stream.key_exchange().as_deref(), Some(agreed));
    stream.write_all(b"hello\n").await.unwrap();
    hear(&mut stream, "hello\n").await;
    let wanted = [
        "Status: The certificate is trusted",
        "Got a certificate list",
        "Application protocol: h2",
        "received cmd: hello",
    ];
    server.must_say(&wanted).await;
}

#[tokio::test]
async fn a_server_that_uses_gnutls_is_met_in_the_group_that_it_insists_on() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    let node = credentials(&cluster.executor);
    for (group, agreed) in [("GROUP-X25519", "X25519"), ("GROUP-SECP256R1", "secp256r1")] {
        let priority = format!("{TLS_1_3}:-GROUP-ALL:+{group}");
        let (_server, port) = gnutls_serv(place, &priority, MEMBER).await;
        let mut stream = dial(&node, port, Role::Scheduler).await.unwrap();
        assert_eq!(stream.key_exchange().as_deref(), Some(agreed));
        stream.write_all(b"hello\n").await.unwrap();
        hear(&mut stream, "hello\n").await;
    }
    let priority = format!("{TLS_1_3}:-GROUP-ALL:+GROUP-SECP384R1");
    let (mut server, port) = gnutls_serv(place, &priority, MEMBER).await;
    let refusal = dial(&node, port, Role::Scheduler).await.unwrap_err();
    assert_eq!(refusal.reason(), RefusalReason::PeerAlert, "{refusal}");
    server.line_with("Error in handshake").await;
}

/// A priority string, further arguments, what the server says about it, and our reason.
type Refused = (&'static str, &'static str, &'static str, RefusalReason);

#[tokio::test]
async fn servers_that_use_gnutls_are_refused_and_learn_it() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    let node = credentials(&cluster.executor);
    Authority::new(place, "elsewhere").issue(Leaf {
        name: "stranger",
        ..SCHEDULER
    });
    cluster.root.issue(Leaf {
        name: "other",
        names: "dns_name = other\nuri = spiffe://cluster.local/scheduler/other",
        ..SCHEDULER
    });
    let servers: [Refused; 5] = [
        (
            TLS_1_3,
            "--alpn h2 --x509certfile other.pem --x509keyfile other-key.pem",
            "Received alert '42'",
            RefusalReason::WrongName,
        ),
        (
            TLS_1_3,
            "--alpn h2 --x509certfile stranger.pem --x509keyfile stranger-key.pem",
            "Received alert '48'",
            RefusalReason::UnknownIssuer,
        ),
        // It knows nothing of the extension in which we ask for 1.3, and misses a cipher suite.
        (
            TLS_1_2,
            MEMBER,
            "Error in handshake",
            RefusalReason::PeerAlert,
        ),
        (
            TLS_1_3,
            "--alpn http/1.1 --alpn-fatal --x509certfile scheduler1.pem \
             --x509keyfile scheduler1-key.pem",
            "Error in handshake",
            RefusalReason::Alpn,
        ),
        (
            TLS_1_3,
            "--x509certfile scheduler1.pem --x509keyfile scheduler1-key.pem",
            "Accepted connection",
            RefusalReason::Alpn,
        ),
    ];
    for (priority, arguments, wanted, reason) in servers {
        let (mut server, port) = gnutls_serv(place, priority, arguments).await;
        let refusal = dial(&node, port, Role::Scheduler).await.unwrap_err();
        assert_eq!(refusal.reason(), reason, "{arguments}: {refusal}");
        server.line_with(wanted).await;
    }
}

#[tokio::test]
async fn a_server_that_uses_gnutls_and_asks_for_no_certificate_is_refused() {
    let cluster = Cluster::new();
    let arguments = "--disable-client-cert --alpn h2 --x509certfile scheduler1.pem \
                     --x509keyfile scheduler1-key.pem";
    let (_server, port) = gnutls_serv(cluster.place.path(), TLS_1_3, arguments).await;
    let refusal = dial(&credentials(&cluster.executor), port, Role::Scheduler)
        .await
        .unwrap_err();
    assert_eq!(refusal.reason(), RefusalReason::NotMutual, "{refusal}");
}

/// gnutls-serv says `access_denied` whatever it has against a certificate.
#[tokio::test]
async fn a_server_that_uses_gnutls_and_does_not_trust_us_says_so_at_the_first_read() {
    let cluster = Cluster::new();
    let place = cluster.place.path();
    Authority::new(place, "elsewhere");
    let arguments = MEMBER.replace("root.pem", "elsewhere.pem");
    let (_server, port) = gnutls_serv(place, TLS_1_3, &arguments).await;
    let mut stream = dial(&credentials(&cluster.executor), port, Role::Scheduler)
        .await
        .unwrap();
    let heard = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
    let error = heard.unwrap_err().to_string();
    assert!(error.contains("AccessDenied"), "{error}");
}

/// TCP_LISTEN of Linux.
const LISTEN: &str = "0A";
