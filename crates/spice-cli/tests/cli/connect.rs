//! `spice cluster tls connect`, against a node that speaks the transport of every node.

use std::cmp::Ordering;
use std::fs;
use std::io::{Read, Write};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::thread;

use cluster_tls::{
    AcceptLimits, Acceptor, CredentialPaths, Listener, NoEvents, PeerPolicy, SystemClock, load,
    publish,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::fixture::{DONE, Ended, Home, USAGE};

/// A node with certificates of the authority in `home`; it ends with the value.
pub(crate) struct Node {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Node {
    pub(crate) fn start(home: &Home, name: &str) -> Self {
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

    pub(crate) fn localhost(&self) -> String {
        format!("localhost:{}", self.address.port())
    }
}

/// A home with an authority, a scheduler and an executor.
fn home() -> Home {
    Home::with_nodes(&["scheduler1", "executor1"])
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
    let to = node.localhost();
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
    let document = told.json();
    assert_eq!(document["healthy"], true);
    assert_eq!(document["exit_code"], DONE);
    for absent in ["failed_stage", "refused_by"] {
        assert_eq!(document[absent], Value::Null, "{absent}");
    }
    assert_eq!(document["peer"]["role"], "scheduler");
    assert!(
        outcomes(&told)
            .iter()
            .all(|(_, outcome)| outcome == "passed")
    );
}

/// A step that ends the way: its exit code and word, the side that refused, and the code of
/// `--machine`. The steps before it passed, and those after it were not tried.
struct Ends {
    code: i32,
    stage: &'static str,
    refused_by: Option<&'static str>,
}

impl Ends {
    fn check(&self, told: Ended) -> Ended {
        let told = told.expect(self.code);
        let document = told.json();
        assert_eq!(document["exit_code"], self.code, "{told:?}");
        assert_eq!(document["failed_stage"], self.stage, "{told:?}");
        assert_eq!(document["refused_by"], json!(self.refused_by), "{told:?}");
        assert_eq!(document["healthy"], false);
        assert!(
            told.stderr.contains(&format!(": {}: ", self.stage)),
            "{told:?}"
        );
        let outcomes = outcomes(&told);
        let at = outcomes.iter().position(|(stage, _)| stage == self.stage);
        for (index, (_, outcome)) in outcomes.iter().enumerate() {
            let expected = match index.cmp(&at.unwrap()) {
                Ordering::Less => "passed",
                Ordering::Equal => "failed",
                Ordering::Greater => "skipped",
            };
            assert_eq!(outcome, expected, "{told:?}");
        }
        told
    }
}

const JSON: [&str; 2] = ["-o", "json"];

#[test]
fn files_that_are_not_there_end_it_with_10() {
    let told = connect(&Home::new(), "localhost:1", &JSON);
    let ends = Ends {
        code: 10,
        stage: "credentials",
        refused_by: None,
    };
    let told = ends.check(told);
    assert!(
        told.stderr
            .contains("credentials: CA file ca.pem: no such file"),
        "{told:?}"
    );
    assert_eq!(told.next(), "check the path, or issue the file first");
}

#[test]
fn a_name_without_address_ends_it_with_11() {
    let ends = Ends {
        code: 11,
        stage: "resolve",
        refused_by: None,
    };
    let told = ends.check(connect(&home(), "nowhere.invalid", &JSON));
    assert!(told.next().contains("check the name"), "{told:?}");
}

#[test]
fn a_port_where_nobody_listens_ends_it_with_12() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ends = Ends {
        code: 12,
        stage: "connect",
        refused_by: None,
    };
    let told = ends.check(connect(&home(), &to, &JSON));
    assert!(told.next().contains("whether the node runs"), "{told:?}");
}

#[test]
fn a_port_that_speaks_no_tls_ends_it_with_13() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let ends = Ends {
        code: 13,
        stage: "handshake",
        refused_by: None,
    };
    let told = ends.check(connect(&home(), &to, &JSON));
    server.join().unwrap();
    assert!(told.stderr.contains("not TLS"), "{told:?}");
}

#[test]
fn a_node_of_another_authority_is_refused_by_us_with_14() {
    let (home, elsewhere) = (home(), home());
    let node = Node::start(&elsewhere, "scheduler1");
    let ends = Ends {
        code: 14,
        stage: "chain",
        refused_by: Some("us"),
    };
    let told = ends.check(connect(&home, &node.localhost(), &JSON));
    let message = "chain: we refuse the peer: issued by";
    assert!(told.stderr.contains(message), "{told:?}");
    assert!(told.next().contains("CA files"), "{told:?}");
}

#[test]
fn a_node_of_another_name_is_refused_by_us_with_15() {
    let home = home();
    let add = ["cluster", "tls", "add", "scheduler2", "--no-localhost"];
    home.spice(&add).expect(DONE);
    let node = Node::start(&home, "scheduler2");
    let ends = Ends {
        code: 15,
        stage: "name",
        refused_by: Some("us"),
    };
    let told = ends.check(connect(&home, &node.localhost(), &JSON));
    let message = "name: we refuse the peer: dialled localhost";
    assert!(told.stderr.contains(message), "{told:?}");
}

#[test]
fn a_node_of_another_role_is_refused_by_us_with_16() {
    let home = home();
    let node = Node::start(&home, "scheduler1");
    let to = node.localhost();
    let ends = Ends {
        code: 16,
        stage: "role",
        refused_by: Some("us"),
    };
    let told = ends.check(connect(&home, &to, &["-o", "json", "--role", "executor"]));
    assert!(told.next().contains("right node"), "{told:?}");
    let told = connect(&home, &to, &["--role", "executor"]).expect(16);
    for line in [
        "\u{2713} name",
        "\u{2717} role         we refuse the peer: dialled as executor",
        "- admission    not tried",
    ] {
        assert!(told.stdout.contains(line), "{line}: {}", told.stdout);
    }
}

#[test]
fn a_node_that_does_not_trust_us_refuses_us_with_18() {
    let (home, elsewhere) = (home(), home());
    let node = Node::start(&elsewhere, "scheduler1");
    let root = |home: &Home| fs::read_to_string(home.work().join("ca.pem")).unwrap();
    let both = root(&home) + &root(&elsewhere);
    fs::write(home.work().join("both.pem"), both).unwrap();
    let ends = Ends {
        code: 18,
        stage: "admission",
        refused_by: Some("peer"),
    };
    let more = ["-o", "json", "--ca", "both.pem"];
    let told = ends.check(connect(&home, &node.localhost(), &more));
    let message = "admission: the peer refused us with the alert unknown_ca";
    assert!(told.stderr.contains(message), "{told:?}");
    assert!(!told.stderr.contains("we refuse"), "{told:?}");
    assert_eq!(told.json()["peer"]["role"], "scheduler");
}

#[test]
fn the_help_has_the_code_of_every_step_that_can_fail() {
    let help = Home::new().spice(&["cluster", "tls", "connect", "--help"]);
    let help = help.expect(DONE).stdout;
    for line in [
        "  10  credentials:",
        "  11  resolve:",
        "  12  connect:",
        "  13  handshake:",
        "  14  chain:",
        "  15  name:",
        "  16  role:",
        "  18  admission:",
    ] {
        assert!(help.contains(line), "{line}: {help}");
    }
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
