//! `spice sql`.

use std::net::TcpListener;

use serde_json::json;

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};
use crate::server::{BROKEN, FakeNode, NOTHING, PARTS, ROWS};

fn query(statement: &str, format: &str) -> Ended {
    let node = FakeNode::start();
    let url = node.url();
    let args = [
        "sql",
        "--flight-endpoint",
        &url,
        "--query",
        statement,
        "-o",
        format,
    ];
    Home::new().spice(&args)
}

fn input(text: &str) -> Ended {
    let node = FakeNode::start();
    let args = ["sql", "--flight-endpoint", &node.url(), "-o", "csv"];
    Home::new().spice_with_input(&args, text)
}

#[test]
fn rows_are_printed_as_a_table() {
    let expected = "\
+---+-----+
| n | t   |
+---+-----+
| 1 | a,b |
| 2 |     |
+---+-----+
";
    assert_eq!(query(ROWS, "table").expect(DONE).stdout, expected);
}

#[test]
fn rows_are_printed_as_one_json_array_with_every_key() {
    let rows = json!([{"n": 1, "t": "a,b"}, {"n": 2, "t": null}]);
    assert_eq!(query(ROWS, "json").expect(DONE).json(), rows);
}

#[test]
fn rows_are_printed_as_csv_with_one_header() {
    assert_eq!(
        query(ROWS, "csv").expect(DONE).stdout,
        "n,t\n1,\"a,b\"\n2,\n"
    );
}

#[test]
fn no_rows_are_still_a_result() {
    assert_eq!(query(NOTHING, "json").expect(DONE).json(), json!([]));
    assert_eq!(query(NOTHING, "csv").expect(DONE).stdout, "n,t\n");
    assert!(
        query(NOTHING, "table")
            .expect(DONE)
            .stdout
            .contains("| n | t |")
    );
}

#[test]
fn all_parts_are_fetched_into_one_result() {
    let expected = "n,t\n1,\"a,b\"\n2,\n1,\"a,b\"\n2,\n";
    assert_eq!(query(PARTS, "csv").expect(DONE).stdout, expected);
    let rows = query(PARTS, "json").expect(DONE).json();
    assert_eq!(rows.as_array().unwrap().len(), 4);
}

#[test]
fn a_refused_statement_is_told_in_the_servers_words_alone() {
    let ended = query("SELECT x", "table").expect(REFUSED);
    assert_eq!(ended.stderr, "error: no such thing: SELECT x\n");
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_result_that_breaks_off_is_a_failure() {
    for format in ["table", "json", "csv"] {
        let ended = query(BROKEN, format).expect(REFUSED);
        assert_eq!(ended.stderr, "error: a disk is gone\n", "{format}");
    }
}

#[test]
fn statements_are_read_from_standard_input_without_a_prompt() {
    let ended = input(&format!("{NOTHING}\n;\n-- no more;\n;SELECT\n; {NOTHING}"));
    let refused = ended.expect(REFUSED);
    assert_eq!(
        refused.stdout, "n,t\n",
        "the first ran, then the second failed"
    );
    assert_eq!(refused.stderr, "error: no such thing: SELECT\n");
    let ended = input(&format!("{NOTHING}; {NOTHING}")).expect(DONE);
    assert_eq!(ended.stdout, "n,t\nn,t\n", "the last may lack its end");
    assert_eq!(input("").expect(DONE).stdout, "");
}

#[test]
fn timing_is_told_beside_the_rows_when_asked_for() {
    let node = FakeNode::start();
    let url = node.url();
    let args = ["sql", "--flight-endpoint", &url, "-o", "csv", "-q", ROWS];
    let home = Home::new();
    let asked = home.spice(&[&args[..], &["--timing"]].concat());
    assert_eq!(asked.code, DONE);
    assert_eq!(asked.stdout, "n,t\n1,\"a,b\"\n2,\n");
    assert!(asked.stderr.starts_with("2 rows in 0."), "{asked:?}");
    assert_eq!(home.spice(&args).expect(DONE).stderr, "");
    assert!(!home.pki().with_file_name("sql_history").exists());
}

#[test]
fn a_refused_connection_names_the_endpoint_and_the_way_to_another() {
    // Bound once and closed again, so that nothing listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let args = ["sql", "--flight-endpoint", &url, "--query", ROWS];
    let ended = Home::new().spice(&args).expect(REFUSED);
    let message = format!("error: cannot connect to {url}: Connection refused");
    assert!(ended.stderr.starts_with(&message), "{ended:?}");
    assert!(ended.next().contains("--flight-endpoint http://HOST:PORT"));
}

#[test]
fn https_is_refused_before_anything_is_sent() {
    let args = ["sql", "--flight-endpoint", "https://localhost:50051"];
    let ended = Home::new().spice(&args).expect(USAGE);
    assert!(ended.stderr.contains("speaks plaintext only"), "{ended:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let node = FakeNode::start();
    let home = Home::new();
    let url = node.url();
    let mut command = home.command(&["sql", "--flight-endpoint", &url, "-q", ROWS]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(DONE), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
