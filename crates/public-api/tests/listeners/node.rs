//! What a node tells about itself: `/v1/status`, `/v1/nodes`, `/v1/datasets`.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use public_api::{
    AppDescription, AppFault, BoundListener, ExecutorFault, HttpState, Member, MemberCertificate,
    MemberList, NodeDescription, NodeInfo, NodeRole, OwnCertificate, Readiness, ReadyState,
    RootCertificate, Security, Unavailable, serve_http,
};
use serde_json::json;
use spice_runtime::Runtime;

use crate::support::{Served, get, request, runtime};

#[tokio::test]
async fn describes_a_node_and_whether_it_is_ready() {
    let served = serve(Described::scheduler(), ReadyState::Ready).await;
    let answer = get(served.address, "/v1/status").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let expected = json!({
        "version": "1.2.3",
        "role": "scheduler",
        "address": "s1:50052",
        "uptime_s": 61,
        "ready": true,
        "not_ready_reasons": [],
        "security": {
            "mode": "mtls",
            "certificate": {
                "identity": "spiffe://cluster.local/scheduler/s1",
                "role": "scheduler",
                "serial": "0a1b",
                "not_after_unix_s": 1_800_000_000,
                "revoked": false,
                "rejected": "key_mismatch",
            },
            "roots": [{"subject": "CN=root", "not_after_unix_s": 1_900_000_000}],
        },
        "listeners": [{"name": "http", "address": "127.0.0.1:8090"}],
        "app": {
            "digest": "abc",
            "rejected": "invalid",
            "rejected_reason": "line 3",
            "not_opened_by": [{"address": "e1:50052", "digest": "def", "reason": "no such file"}],
            "unavailable": [{"table": "orders", "reason": "no connection"}],
        },
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn says_what_a_node_waits_for_in_the_same_document() {
    let waiting = ReadyState::NotReady {
        reasons: vec!["tables are not open".to_owned()],
    };
    let served = serve(Described::executor(), waiting).await;
    let answer = get(served.address, "/v1/status").await;
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["ready"], false);
    assert_eq!(
        document["not_ready_reasons"],
        json!(["tables are not open"])
    );
    let insecure = json!({"mode": "insecure", "banner": "WITHOUT protection"});
    assert_eq!(document["security"], insecure);
}

#[tokio::test]
async fn lists_members_on_a_scheduler_and_points_to_one_elsewhere() {
    let served = serve(Described::scheduler(), ReadyState::Ready).await;
    let answer = get(served.address, "/v1/nodes").await;
    let expected = json!({
        "nodes": [{
            "address": "e1:50052",
            "role": "executor",
            "version": null,
            "member_for_s": 90,
            "last_seen_s": 2,
            "task_slots": 4,
            "tasks_active": 1,
            "tasks_total": null,
            "app_digest": "abc",
            "app_differs": true,
            "app_fault": {"digest": "def", "reason": "no such file"},
            "draining": true,
            "certificate": {
                "identity": null,
                "role": "unspecified",
                "serial": "0c",
                "not_after_unix_s": 0,
            },
        }],
        "total": 7,
    });
    assert_eq!((answer.status, answer.json()), (200, expected));

    let served = serve(Described::executor(), ReadyState::Ready).await;
    let answer = get(served.address, "/v1/nodes").await;
    assert_eq!(
        (answer.status, answer.error_code().as_str()),
        (404, "not_a_scheduler")
    );
    assert!(answer.body.contains("ask a scheduler"), "{}", answer.body);
}

#[tokio::test]
async fn lists_tables_and_what_is_wrong_with_their_data() {
    let (tables, data) = runtime().await;
    let node = Described {
        tables: Some(tables),
        ..Described::executor()
    };
    let served = serve(node, ReadyState::Ready).await;
    let file = data.path().join("t.csv");
    let source = format!("file:{}", file.display());
    let entries = |status: &str, error: Option<&str>| {
        json!({"datasets": [
            {"name": "t", "kind": "dataset", "source": source, "status": status, "error": error},
            {"name": "mart.v", "kind": "view", "source": null, "status": status, "error": error},
        ]})
    };
    let answer = get(served.address, "/v1/datasets").await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, entries("ready", None))
    );

    fs::remove_file(&file).unwrap();
    let answer = get(served.address, "/v1/datasets").await.json();
    let error = answer["datasets"][0]["error"].as_str().unwrap();
    assert!(error.contains("does not exist"), "{error}");
    assert_eq!(answer, entries("error", Some(error)));
}

#[tokio::test]
async fn has_no_tables_to_tell_of_before_they_are_open() {
    let served = serve(Described::executor(), ReadyState::Ready).await;
    let answer = get(served.address, "/v1/datasets").await;
    assert_eq!(
        (answer.status, answer.error_code().as_str()),
        (503, "unavailable")
    );
}

#[tokio::test]
async fn is_only_asked_and_never_told() {
    let served = serve(Described::scheduler(), ReadyState::Ready).await;
    for path in ["/v1/status", "/v1/nodes", "/v1/datasets"] {
        let post = format!("POST {path} HTTP/1.1\r\n");
        let answer = request(served.address, &post, b"").await;
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (405, "method_not_allowed")
        );
    }
}

/// A node that says what the test wants.
pub(crate) struct Described {
    node: NodeDescription,
    members: Option<MemberList>,
    tables: Option<Arc<Runtime>>,
}

impl Described {
    pub(crate) fn executor() -> Self {
        let security = Security::Insecure {
            banner: "WITHOUT protection",
        };
        Self {
            node: described(NodeRole::Executor, security),
            members: None,
            tables: None,
        }
    }

    fn scheduler() -> Self {
        let security = Security::Mtls {
            certificate: OwnCertificate {
                certificate: MemberCertificate {
                    identity: Some("spiffe://cluster.local/scheduler/s1".to_owned()),
                    role: "scheduler",
                    serial: "0a1b".to_owned(),
                    not_after: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
                },
                revoked: false,
                rejected: Some("key_mismatch"),
            },
            roots: vec![RootCertificate {
                subject: "CN=root".to_owned(),
                not_after: UNIX_EPOCH + Duration::from_secs(1_900_000_000),
            }],
        };
        let members = MemberList {
            nodes: vec![executor()],
            total: 7,
        };
        Self {
            node: described(NodeRole::Scheduler, security),
            members: Some(members),
            tables: None,
        }
    }
}

fn described(role: NodeRole, security: Security) -> NodeDescription {
    NodeDescription {
        version: "1.2.3",
        role,
        address: Some("s1:50052".to_owned()),
        uptime: Duration::from_millis(61_900),
        security,
        listeners: vec![BoundListener {
            name: "http",
            address: "127.0.0.1:8090".parse().unwrap(),
        }],
        app: Some(AppDescription {
            digest: "abc".to_owned(),
            rejected: Some("invalid"),
            rejected_reason: Some("line 3".to_owned()),
            unavailable: vec![Unavailable {
                table: "orders".to_owned(),
                reason: "no connection".to_owned(),
            }],
            not_opened_by: vec![ExecutorFault {
                address: "e1:50052".to_owned(),
                fault: fault(),
            }],
        }),
        schedulers: None,
    }
}

fn fault() -> AppFault {
    AppFault {
        digest: "def".to_owned(),
        reason: "no such file".to_owned(),
    }
}

/// Its certificate ended before there were certificates.
fn executor() -> Member {
    Member {
        address: Some("e1:50052".to_owned()),
        role: NodeRole::Executor,
        version: None,
        member_for: Some(Duration::from_secs(90)),
        last_seen: Some(Duration::from_millis(2_500)),
        task_slots: Some(4),
        tasks_active: Some(1),
        tasks_total: None,
        app_digest: Some("abc".to_owned()),
        app_differs: true,
        app_fault: Some(fault()),
        draining: true,
        certificate: Some(MemberCertificate {
            identity: None,
            role: "unspecified",
            serial: "0c".to_owned(),
            not_after: UNIX_EPOCH - Duration::from_secs(1),
        }),
    }
}

impl NodeInfo for Described {
    fn describe(&self) -> NodeDescription {
        self.node.clone()
    }

    fn members(&self) -> Option<MemberList> {
        self.members.clone()
    }

    fn tables(&self) -> Option<Arc<Runtime>> {
        self.tables.clone()
    }
}

struct Fixed(ReadyState);

impl Readiness for Fixed {
    fn check(&self) -> ReadyState {
        self.0.clone()
    }

    fn executors(&self) -> Option<usize> {
        None
    }
}

async fn serve(node: Described, ready: ReadyState) -> Served {
    let state = HttpState {
        sql: None,
        readiness: Arc::new(Fixed(ready)),
        info: Arc::new(node),
    };
    Served::start(|listener, shutdown| serve_http(listener, state, shutdown)).await
}
