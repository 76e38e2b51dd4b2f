//! `--machine`: what programs read.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};
use crate::server::{FakeNode, NOTHING, ROWS};

/// The objects on standard error, one a line, and nothing else there.
fn said(ended: &Ended) -> Vec<Value> {
    let lines = ended.stderr.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The only object.
fn only(ended: &Ended) -> Value {
    let mut objects = said(ended);
    assert_eq!(objects.len(), 1, "{ended:?}");
    objects.remove(0)
}

/// The one error; its keys are these and no others.
fn error(ended: &Ended) -> (String, String, Value) {
    let object = only(ended);
    let (code, message) = (&object["error"]["code"], &object["error"]["message"]);
    let next = &object["error"]["next"];
    let expected = json!({
        "status": "error",
        "error": { "code": code, "message": message, "next": next },
    });
    assert_eq!(object, expected);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(code), text(message), next.clone())
}

#[test]
fn an_error_is_one_object_with_code_message_and_next() {
    let home = Home::new();
    let plain = home.spice(&["cluster", "tls", "add", "n1"]).expect(REFUSED);
    for args in [
        ["--machine", "cluster", "tls", "add", "n1"],
        ["cluster", "tls", "add", "n1", "--machine"],
    ] {
        let ended = home.spice(&args);
        assert_eq!((ended.code, ended.stdout.as_str()), (REFUSED, ""));
        let (code, message, next) = error(&ended);
        assert_eq!(code, "refused");
        assert_eq!(
            plain.stderr,
            format!("error: {message}\nnext: {}\n", next.as_str().unwrap())
        );
    }
}

#[test]
fn what_is_not_understood_is_an_object_too() {
    let table = [
        (
            &["cluster", "tls", "add"][..],
            "<NAME>",
            "spice cluster tls add",
        ),
        (&["launch"], "unrecognized subcommand 'launch'", "spice"),
        (&["sql", "-o", "xml"], "invalid value 'xml'", "--help"),
        (
            &["sql", "--time"],
            "unexpected argument '--time'",
            "--timing",
        ),
        (
            &["cluster", "tls"],
            "a command is missing",
            "spice cluster tls",
        ),
        (&[], "requires a subcommand", "spice"),
    ];
    for (args, wrong, to_do) in table {
        let ended = Home::new().spice(&[&["--machine"], args].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (USAGE, ""), "{args:?}");
        let (code, message, next) = error(&ended);
        assert_eq!(code, "usage");
        assert!(message.contains(wrong), "{args:?}: {message}");
        assert!(next.as_str().unwrap().contains(to_do), "{args:?}: {next}");
        assert!(!message.contains("error:"), "{message}");
    }
}

#[test]
fn help_and_version_are_what_they_are() {
    for args in [&["--help"][..], &["version"], &["sql", "--help"]] {
        let machine = Home::new()
            .spice(&[&["--machine"], args].concat())
            .expect(DONE);
        assert!(!machine.stdout.starts_with('{'), "{machine:?}");
        assert_eq!(machine.stderr, "");
    }
}

#[test]
fn output_is_json_unless_something_else_is_asked_for() {
    let home = Home::new();
    let ended = home
        .spice(&["--machine", "cluster", "tls", "init"])
        .expect(DONE);
    assert_eq!(ended.json()["domain"], "cluster.local");
    let add = ["cluster", "tls", "add", "n1", "--machine"];
    assert_eq!(home.spice(&add).expect(DONE).json()["name"], "n1");
    let add = ["cluster", "tls", "add", "n2", "--machine", "-o", "table"];
    assert!(
        home.spice(&add)
            .expect(DONE)
            .stdout
            .starts_with("issued a certificate for n2")
    );
}

#[test]
fn a_warning_is_an_object_beside_the_result() {
    let home = Home::new();
    home.spice(&["cluster", "tls", "init", "--days", "30"])
        .expect(DONE);
    let ended = home.spice(&["--machine", "cluster", "tls", "add", "executor1"]);
    assert_eq!(ended.code, DONE);
    let object = only(&ended);
    let message = object["warning"]["message"].as_str().unwrap();
    assert!(message.starts_with("executor1: shortened to"), "{message}");
    let expected = json!({ "status": "warning", "warning": { "message": message } });
    assert_eq!(object, expected);
    assert_eq!(ended.json()["name"], "executor1");
}

#[test]
fn the_code_tells_kinds_of_failure_apart() {
    let node = FakeNode::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let url = node.url();
    let home = Home::with_authority();
    fs::write(home.work().join("file"), "").unwrap();
    let connect = ["--cert", "a.pem", "--key", "a-key.pem"];
    let table = [
        (
            &["sql", "--flight-endpoint", &nobody, "-q", ROWS][..],
            "io",
            REFUSED,
        ),
        (
            &["sql", "--flight-endpoint", &url, "-q", "SELECT x"],
            "refused",
            REFUSED,
        ),
        (&["cluster", "tls", "init"], "refused", REFUSED),
        (&["man", "file/pages"], "io", REFUSED),
        (
            &[&["cluster", "tls", "verify"], &connect[..]].concat(),
            "stage_credentials",
            10,
        ),
        (
            &[&["cluster", "tls", "connect", "localhost:1"], &connect[..]].concat(),
            "stage_credentials",
            10,
        ),
    ];
    for (args, code, exit_code) in table {
        let ended = home.spice(&[&["--machine"], args].concat());
        assert_eq!(ended.code, exit_code, "{ended:?}");
        assert_eq!(error(&ended).0, code, "{args:?}");
    }
}

#[test]
fn a_diagnosis_is_told_beside_the_error() {
    let home = Home::with_authority();
    home.spice(&["cluster", "tls", "add", "n1"]).expect(DONE);
    let args = [
        "cluster",
        "tls",
        "verify",
        "--cert",
        "n1.pem",
        "--key",
        "n1-key.pem",
    ];
    let ended = home.spice(&[&["--machine"][..], &args, &["--role", "client"]].concat());
    assert_eq!(ended.code, 16);
    assert_eq!(error(&ended).0, "stage_role");
    assert_eq!(ended.json()["exit_code"], 16);
}

#[test]
fn timing_is_an_object_for_each_statement() {
    let node = FakeNode::start();
    let url = node.url();
    let args = ["--machine", "sql", "--flight-endpoint", &url, "--timing"];
    let ended = Home::new().spice_with_input(&args, &format!("{ROWS}; {NOTHING};"));
    assert_eq!(ended.code, DONE);
    let rows: Vec<_> = said(&ended)
        .iter()
        .map(|it| it["timing"]["rows"].clone())
        .collect();
    assert_eq!(rows, [2, 0]);
    assert!(said(&ended)[0]["timing"]["seconds"].is_f64());
    assert!(ended.stdout.starts_with("[{\"n\":1"), "{ended:?}");
}

#[test]
fn what_would_steer_a_terminal_is_escaped_as_json_does_it() {
    let home = Home::with_authority();
    let name = "a\u{1b}[2J\u{9b}\u{7f}\r.csv";
    let ended = home.spice(&["--machine", "cluster", "tls", "add", "--from", name]);
    assert_eq!(ended.code, REFUSED);
    let line = ended.stderr.trim_end_matches('\n');
    assert!(!line.contains(char::is_control), "{line:?}");
    let (_, message, _) = error(&ended);
    assert!(message.contains(name), "{message:?}");
}
