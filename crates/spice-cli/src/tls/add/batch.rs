//! `spice cluster tls add --from FILE`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use cluster_pki::{
    Authority, BatchError, Existing, IssueError, Issued, LeafRequest, Localhost, OutputError,
};
use serde_json::json;

use super::inventory::{self, Entry};
use super::{document, warn};
use crate::args::{AddArgs, ReportFormat};
use crate::failure::Failure;
use crate::tls::interrupt::Interrupt;
use crate::tls::opened::{Opened, explain_issue};
use crate::tls::report::{Card, print_json};
use crate::tls::{PkiDirectory, out_directory, progress};
use crate::voice::Voice;

pub(super) fn run(args: &AddArgs, file: &Path, voice: Voice) -> Result<(), Failure> {
    let mut entries = inventory::read(file)?;
    let mut opened = Opened::open(&args.pki)?;
    let skipped = skip_existing(args, &mut entries, &opened.authority);
    if entries.is_empty() {
        // Nothing is signed: no passphrase is needed.
        return report(args, &[], &skipped);
    }
    opened.unlock(&args.passphrase)?;
    let interrupt = Interrupt::hold()?;
    let requests: Vec<_> = entries.iter().map(|entry| request(args, entry)).collect();
    let bar = progress::bar(requests.len());
    let issued = opened
        .authority
        .issue_all(&requests, SystemTime::now(), &mut |done| {
            bar.set_position(done as u64);
            interrupt.go_on()
        });
    bar.finish_and_clear();
    let place = opened.pki.with_out(&args.out);
    let issued = issued.map_err(|error| match error {
        BatchError::Issue(error) => explain_issue(&error, &place),
        BatchError::Requests(faults) => explain_faults(file, &entries, &faults, &place),
        other => Failure::from_error(&other),
    })?;
    for issued in &issued {
        warn(issued, voice);
    }
    report(args, &issued, &skipped)
}

/// All faults, and what to do about what the file cannot be blamed for.
fn explain_faults(
    file: &Path,
    entries: &[Entry],
    faults: &[(usize, IssueError)],
    pki: &PkiDirectory,
) -> Failure {
    if let Some((_, error @ IssueError::Validity(_))) = faults.first() {
        return explain_issue(error, pki);
    }
    let told = |(at, error): &(usize, IssueError)| {
        let place = entries.get(*at).map_or("", |entry| entry.place.as_str());
        format!("{place}: {error}")
    };
    let lines: Vec<_> = faults.iter().map(told).collect();
    let failure = inventory::all_faults(file, &lines);
    let exists = |(_, error): &(usize, IssueError)| {
        matches!(
            error,
            IssueError::AlreadyIssued { .. } | IssueError::Output(OutputError::Exists { .. })
        )
    };
    if faults.iter().any(exists) {
        return failure.with_next(EXISTS);
    }
    match faults {
        [(_, error @ IssueError::Output(_)), ..] => failure.with_next_of(explain_issue(error, pki)),
        _ => failure,
    }
}

/// Takes out the nodes that have a certificate, and returns their names.
fn skip_existing(args: &AddArgs, entries: &mut Vec<Entry>, authority: &Authority) -> Vec<String> {
    if !args.skip_existing {
        return Vec::new();
    }
    let certificates = authority.certificates(SystemTime::now());
    let existing: std::collections::HashSet<_> = certificates
        .iter()
        .filter(|certificate| certificate.standing.is_in_use())
        .map(|certificate| certificate.record.name.canonical())
        .collect();
    let (skipped, left): (Vec<_>, Vec<_>) = entries
        .drain(..)
        .partition(|entry| existing.contains(&entry.name.canonical()));
    *entries = left;
    skipped
        .into_iter()
        .map(|entry| entry.name.to_string())
        .collect()
}

fn request(args: &AddArgs, entry: &Entry) -> LeafRequest {
    let mut request = LeafRequest::new(entry.name.clone(), out_directory(&args.out));
    request.hosts.clone_from(&entry.hosts);
    request.role = entry.role;
    request.days = entry.days.unwrap_or(args.days);
    if args.no_localhost {
        request.localhost = Localhost::Omitted;
    }
    if args.force {
        request.existing = Existing::Replace;
    }
    request
}

fn report(args: &AddArgs, issued: &[Issued], skipped: &[String]) -> Result<(), Failure> {
    match args.report.output {
        ReportFormat::Json => {
            let issued: Vec<_> = issued.iter().map(document).collect();
            print_json(&json!({ "issued": issued, "skipped": skipped }))
        }
        ReportFormat::Table => table(issued, skipped),
    }
}

fn table(issued: &[Issued], skipped: &[String]) -> Result<(), Failure> {
    let Some(first) = issued.first() else {
        writeln!(io::stdout(), "every node of the list has a certificate")?;
        return Ok(());
    };
    let mut roles = BTreeMap::new();
    for issued in issued {
        *roles.entry(issued.record.role.as_str()).or_insert(0_usize) += 1;
    }
    let roles = roles.iter().map(|(role, count)| format!("{count} {role}"));
    let plural = if issued.len() == 1 { "" } else { "s" };
    let mut card = Card::new(format!("issued {} certificate{plural}", issued.len()));
    card.row("roles", roles.collect::<Vec<_>>().join(", "));
    card.row("skipped", skipped.len());
    card.row("roots", first.files.ca.display());
    let directory = first
        .files
        .certificate
        .parent()
        .filter(|path| *path != Path::new(""));
    card.row(
        "files",
        format!(
            "NAME.pem and NAME-key.pem in {}",
            directory.unwrap_or(Path::new(".")).display()
        ),
    );
    card.text(ROLL_OUT.to_owned());
    card.print()
}

const EXISTS: &str = "leave out the nodes that have a certificate with --skip-existing, or make all \
                      of them anew with --force; others need a name or an --out directory that is \
                      free";

const ROLL_OUT: &str =
    "next: give each node ca.pem and its own two files, and nothing of the others";
