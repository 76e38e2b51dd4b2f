//! `spice cluster tls sign`.

use std::time::SystemTime;

use cluster_pki::{
    Existing, Identity, IssueError, Issued, LeafRequest, Localhost, NodeName, RequestedNames,
    SigningRequest, Timestamp,
};
use serde_json::json;

use crate::args::{ReportFormat, SignArgs};
use crate::failure::{Failure, FailureKind};
use crate::tls::interrupt::Interrupt;
use crate::tls::next_step::quoted;
use crate::tls::opened::{Opened, explain_issue};
use crate::tls::remedy::explain as explain_file;
use crate::tls::report::{Card, print_json};
use crate::tls::{add, consent, out_directory};
use crate::voice::Voice;

pub(crate) fn run(args: &SignArgs, voice: Voice) -> Result<(), Failure> {
    let request = SigningRequest::read(&args.request).map_err(|error| {
        explain_file(&error)
            .with_next("ask the node for a new one, made with `spice cluster tls csr NAME`")
    })?;
    let mut opened = Opened::open(&args.pki)?;
    let leaf = leaf(args, name(args, &request)?);
    let now = SystemTime::now();
    // What is refused anyway need not be looked at.
    let identity = opened.authority.check(&leaf, now);
    let identity = identity.map_err(|error| explain(&error, args, &opened))?;
    let names = names(args);
    if names == RequestedNames::Confirmed {
        if request.names().is_empty() {
            return Err(no_names(args, &leaf.name, &opened));
        }
        show(&request, &leaf.name, voice);
        ask(args, &leaf.name, &identity)?;
    }
    opened.unlock(&args.passphrase)?;
    let _interrupt = Interrupt::hold()?;
    let issued = opened.authority.sign(request, names, &leaf, now);
    let issued = issued.map_err(|error| explain(&error, args, &opened))?;
    add::warn(&issued, voice);
    match args.report.output {
        ReportFormat::Table => table(&issued),
        ReportFormat::Json => print_json(&add::document(&issued)),
    }
}

/// What the node is called here.
fn name(args: &SignArgs, request: &SigningRequest) -> Result<NodeName, Failure> {
    let name = args.name.as_ref().or(request.name());
    name.cloned().ok_or_else(|| {
        Failure::new("the request says no name that a node may have")
            .of_kind(FailureKind::Refused)
            .with_next("give it one with --name NAME")
    })
}

/// Whose names it gets: a request is believed only where somebody looked.
fn names(args: &SignArgs) -> RequestedNames {
    match args.name {
        Some(_) => RequestedNames::Ignored,
        None => RequestedNames::Confirmed,
    }
}

fn no_names(args: &SignArgs, name: &NodeName, opened: &Opened) -> Failure {
    let (file, place) = (quoted(&args.request), opened.pki.with_out(&args.out));
    Failure::from_error(&IssueError::NoNames).with_next(format!(
        "give it the names of its node with `spice cluster tls sign {file} --name {name}{place}`, \
         and more with --host HOST"
    ))
}

/// The role last, where nothing that a request says can scroll it away.
fn ask(args: &SignArgs, name: &NodeName, identity: &Identity) -> Result<(), Failure> {
    let (role, reason, uri) = (identity.role, identity.role_reason, &identity.uri);
    let question = format!(
        "Certify exactly these names for {name}, with the role {role} ({reason}) as {uri}?"
    );
    consent::ask(&question, &args.consent)
}

fn explain(error: &IssueError, args: &SignArgs, opened: &Opened) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        IssueError::NoNames => {
            failure.with_next("give the node a name with --name NAME, and more with --host HOST")
        }
        IssueError::NameTaken { other, .. } => failure.with_next(format!(
            "ask the node for a request without that name, or, if `{other}` is no more, end its \
             certificate with `spice cluster tls revoke {other}{}`",
            opened.pki
        )),
        IssueError::KeyUsed { .. } => failure.with_next(
            "ask the node for a request with a key of its own, made with `spice cluster tls csr NAME`",
        ),
        IssueError::AlreadyIssued { .. } => failure
            .with_next("if this request is to take its place, type the same command with --force"),
        _ => explain_issue(error, &opened.pki.with_out(&args.out)),
    }
}

/// What was asked for, on standard error: standard output is for what was done.
fn show(request: &SigningRequest, name: &NodeName, voice: Voice) {
    let names: Vec<_> = request.names().iter().map(ToString::to_string).collect();
    let refused: Vec<_> = request.refused().iter().map(ToString::to_string).collect();
    let (key, ignored) = (&request.key().sha256, request.ignored());
    let mut lines = vec![format!("the request is for {name}: {}", names.join(", "))];
    lines.push(format!("  public key sha256 {key}"));
    lines.extend(
        refused
            .iter()
            .take(SHOWN)
            .map(|name| format!("  never certified: {name}")),
    );
    lines.extend(
        ignored
            .iter()
            .take(SHOWN)
            .map(|item| format!("  not taken over: {item}")),
    );
    let document = json!({
        "name": name.as_str(),
        "names": names,
        "public_key_sha256": key,
        "refused": refused,
        "ignored": ignored,
    });
    voice.show("request", &lines.join("\n"), &document);
}

fn leaf(args: &SignArgs, name: NodeName) -> LeafRequest {
    let mut leaf = LeafRequest::new(name, out_directory(&args.out));
    leaf.hosts.clone_from(&args.hosts);
    leaf.role = args.role;
    leaf.days = args.days;
    if args.no_localhost {
        leaf.localhost = Localhost::Omitted;
    }
    if args.force {
        leaf.existing = Existing::Replace;
    }
    leaf
}

fn table(issued: &Issued) -> Result<(), Failure> {
    let record = &issued.record;
    let names: Vec<_> = record.names.iter().map(ToString::to_string).collect();
    let (ca, certificate) = (
        issued.files.ca.display(),
        issued.files.certificate.display(),
    );
    let mut card = Card::new(format!("signed the request of {}", record.name));
    card.row("role", format!("{} ({})", record.role, issued.role_reason));
    card.row("identity", &record.uri);
    card.row("names", names.join(", "));
    card.row("serial", &record.serial);
    card.row("sha256", &record.fingerprint);
    card.row("valid until", Timestamp(record.not_after));
    card.row("roots", &ca);
    card.row("certificate", &certificate);
    card.text(format!(
        "next: give {ca} and {certificate} to the node, which has the key; it can look at all \
         three with\n  spice cluster tls verify --cert {certificate} --key {name}-key.pem",
        name = record.name,
    ));
    card.print()
}

/// Enough to see what kind of request it is; all of it is in the document.
const SHOWN: usize = 10;
