//! `spice status`, `spice nodes` and `spice datasets`.

mod server;

use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};
use server::FakeHttp;

const COMMANDS: [(&str, &str); 3] = [
    ("status", "/v1/status"),
    ("nodes", "/v1/nodes"),
    ("datasets", "/v1/datasets"),
];

fn ask(node: &FakeHttp, command: &str, format: &str) -> Ended {
    let url = node.url();
    Home::new().spice(&[command, "--http-endpoint", &url, "-o", format])
}

/// A moment so many days from now; half a day more, so that a slow test does not change it.
fn in_days(days: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() + days * 86_400 + 43_200
}

fn status(days: u64, ready: bool) -> Value {
    let reasons: &[&str] = if ready {
        &[]
    } else {
        &["this node is starting"]
    };
    json!({
        "version": "0.1.0",
        "role": "scheduler",
        "address": "s1.cluster.local:50052",
        "uptime_s": 7300,
        "ready": ready,
        "not_ready_reasons": reasons,
        "security": {
            "mode": "mtls",
            "certificate": {
                "identity": "spiffe://cluster.local/scheduler/s1",
                "role": "scheduler",
                "serial": "0a1b",
                "not_after_unix_s": in_days(days),
                "revoked": false,
            },
            "roots": [{"subject": "CN=root", "not_after_unix_s": in_days(3000)}],
        },
        "listeners": [{"name": "http", "address": "127.0.0.1:8090"}],
        "added_later": true,
    })
}

#[test]
fn status_is_a_card_with_role_addresses_and_expiry() {
    let shown = ask(&FakeHttp::json(&status(364, true)), "status", "table");
    let shown = shown.expect(DONE).stdout;
    assert!(
        shown.starts_with("scheduler s1.cluster.local:50052, ready\n"),
        "{shown}"
    );
    for line in [
        "  version      0.1.0\n",
        "  up for       2 hours\n",
        "  listens      127.0.0.1:8090 (http)\n",
        "  security     mutual TLS\n",
        "  identity     spiffe://cluster.local/scheduler/s1\n",
        "  may act as   scheduler\n",
        "  serial       0a1b\n",
        "  certificate  expires in 364 days (2",
        "  root         CN=root, expires in 3000 days (2",
    ] {
        assert!(shown.contains(line), "no {line:?} in {shown}");
    }
    assert!(!shown.contains('!'), "{shown}");
}

#[test]
fn a_certificate_that_expires_soon_is_marked() {
    let soon = ask(&FakeHttp::json(&status(29, true)), "status", "table");
    let soon = soon.expect(DONE).stdout;
    assert!(
        soon.contains("certificate  ! expires in 29 days ("),
        "{soon}"
    );
}

#[test]
fn a_revoked_certificate_and_an_insecure_node_are_marked() {
    let mut revoked = status(364, true);
    revoked["security"]["certificate"]["revoked"] = true.into();
    revoked["security"]["certificate"]["rejected"] = "key_mismatch".into();
    let shown = ask(&FakeHttp::json(&revoked), "status", "table").expect(DONE);
    assert!(
        shown
            .stdout
            .contains("new files    ! not used (key_mismatch)"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("revoked      ! peers refuse"),
        "{shown:?}"
    );
    let mut insecure = status(364, true);
    insecure["security"] = json!({"mode": "insecure", "banner": "WITHOUT protection"});
    let shown = ask(&FakeHttp::json(&insecure), "status", "table").expect(DONE);
    assert!(
        shown.stdout.contains("security  ! WITHOUT protection\n"),
        "{shown:?}"
    );
}

#[test]
fn a_node_that_is_not_ready_is_shown_and_is_a_failure() {
    for format in ["table", "json"] {
        let node = FakeHttp::json(&status(364, false));
        let ended = ask(&node, "status", format).expect(REFUSED);
        let told = format!(
            "error: {} is not ready: this node is starting\n",
            node.url()
        );
        assert!(ended.stderr.starts_with(&told), "{ended:?}");
        assert!(ended.stdout.contains("s1.cluster.local"), "{ended:?}");
    }
}

#[test]
fn json_is_all_that_the_node_said() {
    let document = status(364, true);
    let ended = ask(&FakeHttp::json(&document), "status", "json").expect(DONE);
    assert_eq!(ended.json(), document);
}

#[test]
fn nodes_are_a_table_in_which_what_is_not_known_is_a_dash() {
    let certificate = |days| json!({"serial": "0a1b", "not_after_unix_s": in_days(days)});
    let document = json!({
        "nodes": [
            {"address": "s1:50052", "role": "scheduler", "version": "0.1.0",
             "member_for_s": null, "last_seen_s": null, "task_slots": null,
             "tasks_active": null, "tasks_total": null, "app_digest": DIGEST,
             "app_differs": false, "app_fault": null, "certificate": certificate(364)},
            {"address": "e1:50052", "role": "executor", "version": "0.1.0",
             "member_for_s": 61, "last_seen_s": 3, "task_slots": 4,
             "tasks_active": 1, "tasks_total": 9, "app_digest": DIGEST,
             "app_differs": false, "app_fault": null, "certificate": certificate(12)},
            {"address": "e2:50052", "role": "executor", "version": null,
             "member_for_s": 0, "last_seen_s": 0, "task_slots": null,
             "tasks_active": null, "tasks_total": null, "certificate": null},
        ],
        "total": 5,
    });
    let expected = "\
ADDRESS   ROLE       VERSION  APPLICATION   TASKS   MEMBER FOR  LAST SEEN      EXPIRES       SERIAL
s1:50052  scheduler  0.1.0    0123456789ab  -       -           -              in 364 days   0a1b
e1:50052  executor   0.1.0    0123456789ab  1 of 4  1 minute    3 seconds ago  ! in 12 days  0a1b
e2:50052  executor   -        -             -       0 seconds   0 seconds ago  -             -
and 2 more
";
    let node = FakeHttp::json(&document);
    assert_eq!(ask(&node, "nodes", "table").expect(DONE).stdout, expected);
    assert_eq!(ask(&node, "nodes", "json").expect(DONE).json(), document);
}

#[test]
fn members_with_another_application_are_marked_and_told_what_to_do_about() {
    let member = |address: &str, role: &str, differs: bool, fault: Value| {
        json!({"address": address, "role": role, "version": "0.1.0", "member_for_s": null,
               "last_seen_s": null, "task_slots": null, "tasks_active": null,
               "app_digest": if differs { OTHER } else { DIGEST }, "app_differs": differs,
               "app_fault": fault, "certificate": null})
    };
    let fault = json!({"digest": OTHER, "reason": "no \u{1b}[2Jsuch file"});
    let document = json!({
        "nodes": [
            member("s1:50052", "scheduler", false, Value::Null),
            member("s2:50052", "scheduler", true, Value::Null),
            member("e1:50052", "executor", true, Value::Null),
            member("e2:50052", "executor", false, fault),
        ],
        "total": 4,
    });
    let expected = "\
ADDRESS   ROLE       VERSION  APPLICATION     TASKS  MEMBER FOR  LAST SEEN  EXPIRES  SERIAL
s1:50052  scheduler  0.1.0    0123456789ab    -      -           -          -        -
s2:50052  scheduler  0.1.0    ! fedcba987654  -      -           -          -        -
e1:50052  executor   0.1.0    ! fedcba987654  -      -           -          -        -
e2:50052  executor   0.1.0    0123456789ab    -      -           -          -        -
! s2:50052 serves another application than this scheduler: give both the same spicepod
! e1:50052 has not opened the application of this scheduler yet; its log says why
! e2:50052 cannot open application fedcba987654: no \\u{1b}[2Jsuch file
";
    let node = FakeHttp::json(&document);
    assert_eq!(ask(&node, "nodes", "table").expect(DONE).stdout, expected);
}

#[test]
fn what_is_not_opened_is_told_with_its_reason_or_with_where_to_look() {
    let mut scheduler = status(364, true);
    scheduler["app"] = json!({"digest": DIGEST, "rejected": "invalid"});
    let shown = ask(&FakeHttp::json(&scheduler), "status", "table").expect(DONE);
    let older = "new spicepod  ! not used (invalid), the one before is: the node's log says";
    assert!(shown.stdout.contains(older), "{shown:?}");

    scheduler["app"]["rejected_reason"] = "line 3, column 5: unknown key".into();
    scheduler["app"]["not_opened_by"] =
        json!([{"address": "e1:50052", "digest": OTHER, "reason": "no such file"}]);
    let shown = ask(&FakeHttp::json(&scheduler), "status", "table").expect(DONE);
    for line in [
        "  new spicepod  ! not used (invalid), the one before is: line 3, column 5: unknown key\n",
        "  not opened    ! application fedcba987654 by e1:50052: no such file\n",
    ] {
        assert!(shown.stdout.contains(line), "no {line:?} in {shown:?}");
    }

    let mut executor = status(364, true);
    executor["schedulers"] = json!([
        {"address": "s1:50052", "connected": true, "for_s": 61, "reason": null,
         "app_fault": "no such file"},
        {"address": "s2:50052", "connected": false, "for_s": 3, "reason": "not reached yet"},
    ]);
    let shown = ask(&FakeHttp::json(&executor), "status", "table").expect(DONE);
    for line in [
        "  works for    s1:50052, for 1 minute\n",
        "  not opened   ! the application of s1:50052: no such file\n",
        "  works for    ! not s2:50052, for 3 seconds: not reached yet\n",
    ] {
        assert!(shown.stdout.contains(line), "no {line:?} in {shown:?}");
    }
}

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

#[test]
fn a_node_that_keeps_no_list_is_told_with_the_command_that_asks_a_scheduler() {
    let node = FakeHttp::error("404 Not Found", "not_a_scheduler", "ask a scheduler");
    let ended = ask(&node, "nodes", "table").expect(REFUSED);
    assert!(
        ended.stderr.starts_with("error: ask a scheduler\n"),
        "{ended:?}"
    );
    assert!(ended.next().contains("spice nodes --http-endpoint http://"));
    assert_eq!(ended.stdout, "");
}

#[test]
fn programs_get_json_without_asking_and_errors_with_a_code() {
    let node = FakeHttp::json(&status(364, true));
    let url = node.url();
    let args = ["--machine", "status", "--http-endpoint", &url];
    let ended = Home::new().spice(&args);
    assert_eq!((ended.code, ended.stderr.as_str()), (DONE, ""));
    assert_eq!(ended.json()["role"], "scheduler");
    for (status, code, told) in [
        ("404 Not Found", "not_a_scheduler", "refused"),
        ("503 Service Unavailable", "unavailable", "io"),
        ("500 Internal Server Error", "query_failed", "failed"),
    ] {
        let node = FakeHttp::error(status, code, "no");
        let args = ["--machine", "nodes", "--http-endpoint", &node.url()];
        let ended = Home::new().spice(&args);
        let error: Value = serde_json::from_str(&ended.stderr).unwrap();
        assert_eq!(
            (ended.code, &error["error"]["code"]),
            (REFUSED, &told.into())
        );
    }
}

#[test]
fn datasets_are_a_table_with_their_errors_below() {
    let document = json!({"datasets": [
        {"name": "orders", "kind": "dataset", "source": "file:/data/orders.csv",
         "status": "ready", "error": null},
        {"name": "gone", "kind": "dataset", "source": "file:/data/gone.csv",
         "status": "error", "error": "dataset `gone`: it is not there"},
        {"name": "top", "kind": "view", "source": null, "status": "ready", "error": null},
    ]});
    let expected = "\
NAME    KIND     STATUS  SOURCE
orders  dataset  ready   file:/data/orders.csv
gone    dataset  error   file:/data/gone.csv
top     view     ready   -
! dataset `gone`: it is not there
";
    let node = FakeHttp::json(&document);
    let ended = ask(&node, "datasets", "table").expect(DONE);
    assert_eq!(ended.stdout, expected);
    let none = FakeHttp::json(&json!({"datasets": []}));
    let ended = ask(&none, "datasets", "table").expect(DONE);
    assert_eq!(ended.stdout, "this node has no datasets\n");
}

#[test]
fn each_command_asks_for_its_own_document_and_names_the_host() {
    for (command, path) in COMMANDS {
        let node = FakeHttp::error("503 Service Unavailable", "unavailable", "not yet");
        let ended = ask(&node, command, "table").expect(REFUSED);
        assert_eq!(ended.stderr, "error: not yet\n", "{command}");
        let [head] = &node.heads()[..] else {
            panic!("{command} asks once");
        };
        assert!(
            head.starts_with(&format!("GET {path} HTTP/1.1\r\n")),
            "{head}"
        );
        let host = node.url().replace("http://", "host: ");
        assert!(head.to_lowercase().contains(&host), "{head}");
    }
}

#[test]
fn the_endpoint_comes_from_the_environment_where_no_flag_names_it() {
    let node = FakeHttp::json(&status(364, true));
    let home = Home::new();
    let mut command = home.command(&["status", "-o", "json"]);
    let output = command.env("SPICE_HTTP_ENDPOINT", node.url()).output();
    assert_eq!(output.unwrap().status.code(), Some(DONE));
    let other = FakeHttp::json(&status(364, true));
    let url = other.url();
    let mut command = home.command(&["status", "--http-endpoint", &url]);
    let output = command.env("SPICE_HTTP_ENDPOINT", node.url()).output();
    assert_eq!(output.unwrap().status.code(), Some(DONE));
    assert_eq!((node.heads().len(), other.heads().len()), (1, 1));
}

#[test]
fn a_refused_connection_names_the_endpoint_and_the_way_to_another() {
    // Bound once and closed again, so that nothing listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for (command, _) in COMMANDS {
        let ended = Home::new().spice(&[command, "--http-endpoint", &url]);
        let ended = ended.expect(REFUSED);
        let message = format!("error: cannot connect to {url}: Connection refused");
        assert!(ended.stderr.starts_with(&message), "{ended:?}");
        assert!(ended.next().contains("--http-endpoint http://HOST:PORT"));
    }
}

#[test]
fn https_is_refused_before_anything_is_sent() {
    for (command, _) in COMMANDS {
        let args = [command, "--http-endpoint", "https://localhost:8090"];
        let ended = Home::new().spice(&args).expect(USAGE);
        assert!(ended.stderr.contains("speaks plaintext only"), "{ended:?}");
    }
}

#[test]
fn an_answer_that_is_no_nodes_is_told_as_that() {
    for (node, words) in [
        (
            FakeHttp::answer("200 OK", "text/html", "<html>hello</html>"),
            "is no Spice node: its answer (status 200) is not JSON",
        ),
        (
            FakeHttp::json(&json!({"status": "green"})),
            "is no Spice node: its answer (status 200) is not what a node says (missing field",
        ),
        (
            FakeHttp::answer("302 Found", "application/json", "{}"),
            "is no Spice node: its answer (status 302) is no error of a node",
        ),
        (
            FakeHttp::answer("404 Not Found", "text/plain", "not here"),
            "is no Spice node: its answer (status 404) is not JSON",
        ),
        (
            FakeHttp::raw("\u{16}\u{3}\u{3}\u{0}\u{2}(not HTTP)\r\n\r\n"),
            "does not answer in HTTP/1.1: ",
        ),
        (FakeHttp::raw(""), "does not answer in HTTP/1.1: "),
    ] {
        for (command, _) in COMMANDS {
            let ended = ask(&node, command, "table").expect(REFUSED);
            let told = format!("error: {} {words}", node.url());
            assert!(ended.stderr.starts_with(&told), "{told}: {ended:?}");
            assert!(ended.next().contains("8090"), "{ended:?}");
            assert_eq!(ended.stdout, "");
        }
    }
}

#[test]
fn an_older_node_is_told_as_that() {
    let node = FakeHttp::error(
        "404 Not Found",
        "not_found",
        "there is nothing at /v1/status",
    );
    let ended = ask(&node, "status", "table").expect(REFUSED);
    assert!(ended.next().contains("older"), "{ended:?}");
}

#[test]
fn an_answer_is_taken_up_to_its_limit_and_not_beyond() {
    let limit = 4 * 1024 * 1024;
    let mut fits = json!({"datasets": [], "padding": ""}).to_string();
    let padding = " ".repeat(limit - fits.len());
    fits.insert_str(1, &padding);
    let ended = ask(
        &FakeHttp::answer("200 OK", "application/json", &fits),
        "datasets",
        "table",
    );
    ended.expect(DONE);
    fits.insert(1, ' ');
    let ended = ask(
        &FakeHttp::answer("200 OK", "application/json", &fits),
        "datasets",
        "table",
    );
    let ended = ended.expect(REFUSED);
    assert!(
        ended.stderr.contains("more than 4194304 bytes"),
        "{ended:?}"
    );
}

#[test]
fn an_answer_that_breaks_off_is_a_failure() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    let node = FakeHttp::raw(&format!("{head}{{\"datasets\": []}}"));
    let ended = ask(&node, "datasets", "table").expect(REFUSED);
    assert!(ended.stderr.contains("broke off its answer"), "{ended:?}");
}

#[test]
fn a_servers_text_cannot_steer_the_terminal() {
    let steering = "\u{1b}[2J\u{9b}31mready\r";
    let mut document = status(364, false);
    for key in ["version", "role", "address"] {
        document[key] = steering.into();
    }
    document["not_ready_reasons"] = json!([steering]);
    document["security"]["mode"] = steering.into();
    document["listeners"][0]["name"] = steering.into();
    let ended = ask(&FakeHttp::json(&document), "status", "table").expect(REFUSED);
    let error = FakeHttp::error("500 Internal Server Error", "failed", steering);
    let refused = ask(&error, "nodes", "table").expect(REFUSED);
    for text in [&ended.stdout, &ended.stderr, &refused.stderr] {
        let steers = |it: char| it.is_control() && it != '\n';
        assert!(!text.contains(steers), "{text:?}");
    }
}
