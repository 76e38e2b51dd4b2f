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
    for remark in nodes.nodes.iter().filter_map(remark) {
        writeln!(out, "{} {remark}", times::MARK)?;
    }
    Ok(())
}

/// What to do about a member that does not have the application of the node that lists it.
fn remark(node: &Node) -> Option<String> {
    let address = or_dash(node.address.as_deref());
    if let Some(fault) = &node.app_fault {
        let (digest, reason) = (short(&fault.digest), printable(&fault.reason));
        return Some(format!(
            "{address} cannot open application {digest}: {reason}"
        ));
    }
    if !node.app_differs {
        return None;
    }
    Some(match node.role.as_str() {
        "executor" => format!(
            "{address} has not opened the application of this scheduler yet; its log says why"
        ),
        _ => format!(
            "{address} serves another application than this scheduler: give both the same spicepod"
        ),
    })
}

/// As many digits of a digest as tell applications apart.
pub(super) fn short(digest: &str) -> String {
    printable(&digest.chars().take(SHORT_DIGITS).collect::<String>())
}

fn row(node: &Node, now: SystemTime) -> [String; 9] {
    let span = |seconds: Option<u64>| seconds.map(times::span);
    let seen = span(node.last_seen_s).map(|span| format!("{span} ago"));
    let tasks = match (node.tasks_active, node.task_slots) {
        (Some(active), Some(slots)) => Some(format!("{active} of {slots}")),
        _ => None,
    };
    let app = node.app_digest.as_deref().map(short);
    let app = app.map(|digest| {
        if node.app_differs {
            format!("{} {digest}", times::MARK)
        } else {
            digest
        }
    });
    let certificate = node.certificate.as_ref();
    let expires = certificate.map(|own| times::expiry(own.not_after_unix_s, now));
    [
        or_dash(node.address.as_deref()),
        printable(&node.role),
        or_dash(node.version.as_deref()),
        or_dash(app.as_deref()),
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
    app_digest: Option<String>,
    /// Older nodes do not say.
    #[serde(default)]
    app_differs: bool,
    app_fault: Option<AppFault>,
    certificate: Option<Certificate>,
}

#[derive(Deserialize)]
struct AppFault {
    digest: String,
    reason: String,
}

#[derive(Deserialize)]
struct Certificate {
    serial: String,
    not_after_unix_s: u64,
}

/// As git shortens what it names.
const SHORT_DIGITS: usize = 12;

const HEADER: [&str; 9] = [
    "ADDRESS",
    "ROLE",
    "VERSION",
    "APPLICATION",
    "TASKS",
    "MEMBER FOR",
    "LAST SEEN",
    "EXPIRES",
    "SERIAL",
];
