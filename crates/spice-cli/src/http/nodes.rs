//! `spice nodes`.

use std::io::{self, Write};
use std::time::SystemTime;

use serde::Deserialize;

use crate::args::{NodesArgs, ReportFormat};
use crate::columns;
use crate::endpoint::PublicEndpoint;
use crate::failure::Failure;
use crate::http::fetch_error::FetchError;
use crate::http::{fetch, or_dash};
use crate::printable::printable;
use crate::times;
use crate::tls::report::print_json;

pub(crate) fn run(args: &NodesArgs) -> Result<(), Failure> {
    let endpoint = &args.http.http_endpoint;
    let answer = fetch::<Nodes>(endpoint, "/v1/nodes").map_err(|error| explain(error, endpoint))?;
    match args.http.output {
        ReportFormat::Table => table(&answer.document, SystemTime::now()),
        ReportFormat::Json => print_json(&answer.json),
    }
}

fn explain(error: FetchError, endpoint: &PublicEndpoint) -> Failure {
    let elsewhere = matches!(&error, FetchError::Refused { code, .. } if code == "not_a_scheduler");
    let failure = error.into_failure(endpoint);
    if elsewhere {
        failure.with_next("`spice nodes --http-endpoint http://SCHEDULER:8090`")
    } else {
        failure
    }
}

fn table(nodes: &Nodes, now: SystemTime) -> Result<(), Failure> {
    let rows: Vec<_> = nodes.nodes.iter().map(|node| row(node, now)).collect();
    let mut out = io::stdout().lock();
    columns::write(&mut out, HEADER, &rows)?;
    let missing = nodes.total.saturating_sub(rows.len());
    if missing > 0 {
        writeln!(out, "and {missing} more")?;
    }
    Ok(())
}

fn row(node: &Node, now: SystemTime) -> [String; 8] {
    let span = |seconds: Option<u64>| seconds.map(times::span);
    let seen = span(node.last_seen_s).map(|span| format!("{span} ago"));
    let tasks = match (node.tasks_active, node.task_slots) {
        (Some(active), Some(slots)) => Some(format!("{active} of {slots}")),
        _ => None,
    };
    let certificate = node.certificate.as_ref();
    let expires = certificate.map(|own| times::expiry(own.not_after_unix_s, now));
    [
        or_dash(node.address.as_deref()),
        printable(&node.role),
        or_dash(node.version.as_deref()),
        or_dash(tasks.as_deref()),
        or_dash(span(node.member_for_s).as_deref()),
        or_dash(seen.as_deref()),
        or_dash(expires.as_deref()),
        or_dash(certificate.map(|own| own.serial.as_str())),
    ]
}

/// What `GET /v1/nodes` answers.
#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<Node>,
    total: usize,
}

#[derive(Deserialize)]
struct Node {
    address: Option<String>,
    role: String,
    version: Option<String>,
    member_for_s: Option<u64>,
    last_seen_s: Option<u64>,
    task_slots: Option<u32>,
    tasks_active: Option<u32>,
    certificate: Option<Certificate>,
}

#[derive(Deserialize)]
struct Certificate {
    serial: String,
    not_after_unix_s: u64,
}

const HEADER: [&str; 8] = [
    "ADDRESS",
    "ROLE",
    "VERSION",
    "TASKS",
    "MEMBER FOR",
    "LAST SEEN",
    "EXPIRES",
    "SERIAL",
];
