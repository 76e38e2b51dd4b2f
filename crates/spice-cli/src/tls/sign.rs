//! `spice cluster tls sign`.

use std::time::SystemTime;

use cluster_pki::{
    Existing, IssueError, Issued, LeafRequest, Localhost, NodeName, RequestedNames, SigningRequest,
    Timestamp,
};
use serde_json::json;

use crate::args::{ReportFormat, SignArgs};
use crate::failure::Failure;
use crate::tls::interrupt::Interrupt;
use crate::tls::next_step::quoted;
use crate::tls::opened::{Opened, explain_issue};
use crate::tls::remedy::explain;
use crate::tls::report::{Card, print_json};
use crate::tls::{add, consent, out_directory};
use crate::voice::Voice;

pub(crate) fn run(args: &SignArgs, voice: Voice) -> Result<(), Failure> {
    let request = SigningRequest::read(&args.request).map_err(|error| {
        explain(&error)
            .with_next("ask the node for a new one, made with `spice cluster tls csr NAME`")
    })?;
    let mut opened = Opened::open(&args.pki)?;
    let (name, names) = names(args, &request, voice)?;
    opened.unlock(&args.passphrase)?;
    let _interrupt = Interrupt::hold()?;
    let leaf = leaf(args, name);
    let place = opened.pki.with_out(&args.out);
    let issued = opened
        .authority
        .sign(request, names, &leaf, SystemTime::now())
        .map_err(|error| match error {
            IssueError::NoNames => Failure::from_error(&error)
                .with_next("give the node a name with --name NAME, and more with --host HOST"),
            IssueError::AlreadyIssued { .. } => Failure::from_error(&error).with_next(format!(
                "if this request is to take its place, `spice cluster tls sign {} --force{place}`",
                quoted(&args.request),
            )),
            _ => explain_issue(&error, &place),
        })?;
    add::warn(&issued, voice);
    match args.report.output {
        ReportFormat::Table => table(&issued),
        ReportFormat::Json => print_json(&add::document(&issued)),
    }
}

/// The node's name, and whose names it gets: a request is believed only where somebody looked.
fn names(
    args: &SignArgs,
    request: &SigningRequest,
    voice: Voice,
) -> Result<(NodeName, RequestedNames), Failure> {
    if let Some(name) = &args.name {
        return Ok((name.clone(), RequestedNames::Ignored));
    }
    let name = request.name().ok_or_else(|| {
        Failure::new("the request says no name that a node may have")
            .with_next("give it one with --name NAME")
    })?;
    show(request, name, voice);
    consent::ask(
        &format!("Certify exactly these names for {name}?"),
        &args.consent,
    )?;
    Ok((name.clone(), RequestedNames::Confirmed))
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
            .map(|name| format!("  never certified: {name}")),
    );
    lines.extend(
        ignored
            .iter()
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
