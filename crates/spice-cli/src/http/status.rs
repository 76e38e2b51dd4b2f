//! `spice status`.

use std::time::SystemTime;

use serde::Deserialize;

use crate::args::{NodeStatusArgs, ReportFormat};
use crate::failure::Failure;
use crate::http::nodes::short;
use crate::http::{fetch, or_dash};
use crate::printable::printable;
use crate::times;
use crate::tls::report::{Card, print_json};

pub(crate) fn run(args: &NodeStatusArgs) -> Result<(), Failure> {
    let endpoint = &args.http.http_endpoint;
    let answer =
        fetch::<Status>(endpoint, "/v1/status").map_err(|error| error.into_failure(endpoint))?;
    let status = &answer.document;
    match args.http.output {
        ReportFormat::Table => card(status, SystemTime::now()).print()?,
        ReportFormat::Json => print_json(&answer.json)?,
    }
    if status.ready {
        return Ok(());
    }
    let reasons = printable(&status.not_ready_reasons.join("; "));
    Err(Failure::new(format!("{endpoint} is not ready: {reasons}")).with_next(WAIT))
}

fn card(status: &Status, now: SystemTime) -> Card {
    let readiness = if status.ready { "ready" } else { "not ready" };
    let role = printable(&status.role);
    let mut card = Card::new(match &status.address {
        Some(address) => format!("{role} {}, {readiness}", printable(address)),
        None => format!("{role}, {readiness}"),
    });
    card.row("version", printable(&status.version));
    card.row("up for", times::span(status.uptime_s));
    for listener in &status.listeners {
        let (name, address) = (printable(&listener.name), printable(&listener.address));
        card.row("listens", format!("{address} ({name})"));
    }
    if let Some(app) = &status.app {
        application(&mut card, app);
    }
    let unavailable = status.app.iter().flat_map(|app| &app.unavailable);
    for missing in unavailable {
        let (table, reason) = (printable(&missing.table), printable(&missing.reason));
        card.row("unavailable", format!("{} {table}: {reason}", times::MARK));
    }
    for scheduler in &status.schedulers {
        card.row("works for", scheduler.told());
        if let Some(fault) = &scheduler.app_fault {
            let (address, fault) = (printable(&scheduler.address), printable(fault));
            card.row(
                "not opened",
                format!("{} the application of {address}: {fault}", times::MARK),
            );
        }
    }
    security(&mut card, &status.security, now);
    card
}

fn application(card: &mut Card, app: &App) {
    card.row("application", printable(&app.digest));
    if let Some(code) = &app.rejected {
        let reason = app.rejected_reason.as_deref().unwrap_or(REJECTED_POD);
        let (code, reason) = (printable(code), printable(reason));
        card.row(
            "new spicepod",
            format!(
                "{} not used ({code}), the one before is: {reason}",
                times::MARK
            ),
        );
    }
    for fault in &app.not_opened_by {
        let (address, digest) = (printable(&fault.address), short(&fault.digest));
        let reason = printable(&fault.reason);
        card.row(
            "not opened",
            format!(
                "{} application {digest} by {address}: {reason}",
                times::MARK
            ),
        );
    }
}

impl Scheduler {
    fn told(&self) -> String {
        let (address, span) = (printable(&self.address), times::span(self.for_s));
        if self.connected {
            return format!("{address}, for {span}");
        }
        let reason = or_dash(self.reason.as_deref());
        format!("{} not {address}, for {span}: {reason}", times::MARK)
    }
}

fn security(card: &mut Card, security: &Security, now: SystemTime) {
    match security.mode.as_str() {
        "mtls" => card.row("security", "mutual TLS"),
        "insecure" => {
            let banner = or_dash(security.banner.as_deref());
            card.row("security", format!("{} {banner}", times::MARK));
        }
        "none" => card.row("security", "none needed: this node has no internal port"),
        other => card.row("security", printable(other)),
    }
    if let Some(own) = &security.certificate {
        card.row("identity", or_dash(own.identity.as_deref()));
        card.row("may act as", printable(&own.role));
        card.row("serial", printable(&own.serial));
        card.row("certificate", times::expires(own.not_after_unix_s, now));
        if own.revoked {
            card.row("revoked", format!("{} {REVOKED}", times::MARK));
        }
        if let Some(code) = &own.rejected {
            let code = printable(code);
            card.row(
                "new files",
                format!("{} not used ({code}): {REJECTED}", times::MARK),
            );
        }
    }
    for root in &security.roots {
        let expires = times::expires(root.not_after_unix_s, now);
        card.row("root", format!("{}, {expires}", printable(&root.subject)));
    }
}

/// What `GET /v1/status` answers.
#[derive(Deserialize)]
struct Status {
    version: String,
    role: String,
    address: Option<String>,
    uptime_s: u64,
    ready: bool,
    not_ready_reasons: Vec<String>,
    security: Security,
    listeners: Vec<Listener>,
    app: Option<App>,
    /// Executors have some, also older ones that do not say so.
    #[serde(default)]
    schedulers: Vec<Scheduler>,
}

#[derive(Deserialize)]
struct App {
    digest: String,
    rejected: Option<String>,
    rejected_reason: Option<String>,
    /// Older nodes do not say.
    #[serde(default)]
    not_opened_by: Vec<ExecutorFault>,
    /// Nor this.
    #[serde(default)]
    unavailable: Vec<Unavailable>,
}

#[derive(Deserialize)]
struct Unavailable {
    table: String,
    reason: String,
}

#[derive(Deserialize)]
struct ExecutorFault {
    address: String,
    digest: String,
    reason: String,
}

#[derive(Deserialize)]
struct Scheduler {
    address: String,
    connected: bool,
    for_s: u64,
    reason: Option<String>,
    app_fault: Option<String>,
}

#[derive(Deserialize)]
struct Security {
    mode: String,
    banner: Option<String>,
    certificate: Option<Certificate>,
    #[serde(default)]
    roots: Vec<Root>,
}

#[derive(Deserialize)]
struct Certificate {
    identity: Option<String>,
    role: String,
    serial: String,
    not_after_unix_s: u64,
    revoked: bool,
    #[serde(default)]
    rejected: Option<String>,
}

#[derive(Deserialize)]
struct Root {
    subject: String,
    not_after_unix_s: u64,
}

#[derive(Deserialize)]
struct Listener {
    name: String,
    address: String,
}

const WAIT: &str = "its log says what it waits for";

const REJECTED: &str = "what is shown is in use; the node's log says what is wrong with the files";

const REJECTED_POD: &str = "the node's log says what is wrong";

const REVOKED: &str = "peers refuse this node until it has a new certificate";
