//! `spice cluster tls connect`, against a node that speaks the transport of every node.

use std::net::SocketAddr;
use std::sync::Arc;

use cluster_tls::{
    AcceptLimits, Acceptor, CredentialPaths, Listener, NoEvents, PeerPolicy, SystemClock, load,
    publish,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};

/// A node with certificates of the authority in `home`; it ends with the value.
struct Node {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Node {
    fn start(home: &Home, name: &str) -> Self {
        let paths = CredentialPaths {
            ca: home.work().join("ca.pem"),
            certificate: home.work().join(format!("{name}.pem")),
            key: home.work().join(format!("{name}-key.pem")),
        };
        let own = load(&paths, Arc::new(SystemClock), PeerPolicy::default()).unwrap();
        let credentials = publish(own).1;
        let acceptor = Acceptor::new(credentials, AcceptLimits::default(), Arc::new(NoEvents));
        let runtime = Runtime::new().unwrap();
        let tcp = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = tcp.local_addr().unwrap();
        runtime.spawn(async move {
            let mut listener = Listener::new(tcp, acceptor);
            loop {
                let mut stream = listener.accept().await;
                tokio::spawn(async move {
                    let _ = stream.write_all(HTTP2_SETTINGS).await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                });
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }
}

/// A home with an authority, a scheduler and an executor.
fn home() -> Home {
    let home = Home::with_authority();
    for name in ["scheduler1", "executor1"] {
        home.spice(&["cluster", "tls", "add", name]).expect(DONE);
    }
    home
}

fn connect(home: &Home, to: &str, more: &[&str]) -> Ended {
    let files = ["--cert", "executor1.pem", "--key", "executor1-key.pem"];
    let mut args = vec!["cluster", "tls", "connect", to];
    args.extend(files);
    args.extend(more);
    home.spice(&args)
}

/// The outcome of each stage, in order.
fn outcomes(told: &Ended) -> Vec<(String, String)> {
    let document = told.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = document["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|step| (text(&step["stage"]), text(&step["outcome"])))
        .collect()
}

#[test]
fn a_healthy_node_passes_every_step() {
    let home = home();
    let node = Node::start(&home, "scheduler1");
    let to = format!("localhost:{}", node.address.port());
    let told = connect(&home, &to, &["--role", "scheduler"]).expect(DONE);
    for part in [
        "TLSv1_3",
        "X25519MLKEM768",
        "the peer speaks to us",
        "\u{2713} admission",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    let told = connect(&home, &to, &["-o", "json"]).expect(DONE);
    assert_eq!(told.json()["healthy"], true);
    assert_eq!(told.json()["peer"]["role"], "scheduler");
    assert!(
        outcomes(&told)
            .iter()
            .all(|(_, outcome)| outcome == "passed")
    );
}

#[test]
fn the_failing_step_is_named_with_what_to_do() {
    let home = home();
    let node = Node::start(&home, "scheduler1");
    let to = format!("localhost:{}", node.address.port());
    let told = connect(&home, &to, &["--role", "executor"]).expect(REFUSED);
    assert!(
        told.stderr.contains("role: dialled as executor"),
        "{}",
        told.stderr
    );
    assert!(told.next().contains("right node"), "{}", told.next());
    assert!(told.stdout.contains("\u{2717} role"), "{}", told.stdout);
    assert!(
        told.stdout.contains("- admission    not tried"),
        "{}",
        told.stdout
    );

    let by_address = format!("127.0.0.2:{}", node.address.port());
    let told = connect(&home, &by_address, &["-o", "json"]).expect(REFUSED);
    let failed = |(_, outcome): &&(String, String)| outcome == "failed";
    let failures: Vec<_> = outcomes(&told);
    let failures: Vec<_> = failures.iter().filter(failed).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
}

#[test]
fn a_stranger_learns_which_side_refuses() {
    let (home, elsewhere) = (home(), home());
    let node = Node::start(&elsewhere, "scheduler1");
    let to = format!("localhost:{}", node.address.port());
    let told = connect(&home, &to, &[]).expect(REFUSED);
    assert!(told.stderr.contains("chain: issued by"), "{}", told.stderr);
    assert!(told.next().contains("CA files"), "{}", told.next());
}

#[test]
fn files_that_are_not_there_fail_the_first_step() {
    let home = Home::new();
    let told = connect(&home, "localhost:1", &[]).expect(REFUSED);
    assert!(
        told.stderr
            .contains("credentials: CA file ca.pem: no such file"),
        "{}",
        told.stderr
    );
    assert_eq!(told.next(), "check the path, or issue the file first");
}

#[test]
fn an_address_that_is_none_is_a_usage_error() {
    let home = Home::new();
    for address in ["::1:50052", "a b", "node1:0", "*.example"] {
        let told = connect(&home, address, &[]);
        assert_eq!(told.code, USAGE, "{address}");
    }
}

/// The frame with which a server of HTTP/2 begins (RFC 9113, section 6.5).
const HTTP2_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
