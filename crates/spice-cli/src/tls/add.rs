//! `spice cluster tls add`.

use std::time::SystemTime;

use cluster_pki::{
    Authority, Existing, IssueError, Issued, LeafRequest, Localhost, OpenError, OutputError,
    RoleReason, Timestamp,
};
use cluster_tls::Name;
use serde_json::json;

use crate::args::{AddArgs, ReportFormat};
use crate::failure::Failure;
use crate::tls::next_step;
use crate::tls::report::{Card, print_json};
use crate::tls::{PkiDirectory, out_directory};
use crate::voice::Voice;

pub(crate) fn run(args: AddArgs, voice: Voice) -> Result<(), Failure> {
    let pki = PkiDirectory::decide(&args.pki)?;
    let format = args.report.output;
    let request = request(args);
    let mut authority = Authority::open(pki.path()).map_err(|error| explain_open(&error, &pki))?;
    let issued = authority
        .issue(&request, SystemTime::now())
        .map_err(|error| explain_issue(&error, &request, &pki))?;
    for warning in &issued.warnings {
        voice.warn(format_args!("{}: {warning}", request.name));
    }
    match format {
        ReportFormat::Table => table(&issued, &request),
        ReportFormat::Json => json(&issued),
    }
}

fn request(args: AddArgs) -> LeafRequest {
    let mut request = LeafRequest::new(args.name, out_directory(&args.out));
    request.hosts = args.hosts;
    request.role = args.role;
    request.days = args.days;
    if args.no_localhost {
        request.localhost = Localhost::Omitted;
    }
    if args.force {
        request.existing = Existing::Replace;
    }
    request
}

fn table(issued: &Issued, request: &LeafRequest) -> Result<(), Failure> {
    let record = &issued.record;
    let mut card = Card::new(format!("issued a certificate for {}", record.name));
    card.row("role", format!("{} ({})", record.role, issued.role_reason));
    card.row("identity", &record.uri);
    let names: Vec<_> = record.names.iter().map(ToString::to_string).collect();
    card.row("names", names.join(", "));
    card.row("serial", &record.serial);
    card.row("sha256", &record.fingerprint);
    card.row("valid until", Timestamp(record.not_after));
    card.row("roots", issued.files.ca.display());
    card.row("certificate", issued.files.certificate.display());
    let key = issued.files.key.display();
    card.row("key", format!("{key} (readable by its owner only)"));
    if let Some(old) = &issued.replaced {
        let until = Timestamp(old.not_after);
        card.row(
            "replaces",
            format!("{}, still valid until {until}", old.serial),
        );
    }
    card.text(next_step::start(issued, request));
    card.print()
}

fn json(issued: &Issued) -> Result<(), Failure> {
    let record = &issued.record;
    let is_dns = |name: &&Name| matches!(name, Name::Dns(_));
    let (dns, ip): (Vec<_>, Vec<_>) = record.names.iter().partition(is_dns);
    let texts = |names: Vec<&Name>| names.into_iter().map(Name::to_string).collect::<Vec<_>>();
    let warnings: Vec<_> = issued.warnings.iter().map(ToString::to_string).collect();
    print_json(&json!({
        "name": record.name.as_str(),
        "role": record.role.as_str(),
        "role_reason": reason_word(issued.role_reason),
        "uri": record.uri,
        "dns_names": texts(dns),
        "ip_addresses": texts(ip),
        "serial": record.serial,
        "fingerprint_sha256": record.fingerprint,
        "not_before": Timestamp(record.not_before).to_string(),
        "not_after": Timestamp(record.not_after).to_string(),
        "files": {
            "ca": issued.files.ca,
            "certificate": issued.files.certificate,
            "key": issued.files.key,
        },
        "replaced_serial": issued.replaced.as_ref().map(|old| &old.serial),
        "warnings": warnings,
    }))
}

fn reason_word(reason: RoleReason) -> &'static str {
    match reason {
        RoleReason::Requested => "requested",
        RoleReason::NamePrefix(_) => "name_prefix",
        _ => "default",
    }
}

fn explain_open(error: &OpenError, pki: &PkiDirectory) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        OpenError::NoAuthority { .. } => {
            failure.with_next(format!("make one with `spice cluster tls init{pki}`"))
        }
        _ => failure,
    }
}

fn explain_issue(error: &IssueError, request: &LeafRequest, pki: &PkiDirectory) -> Failure {
    let failure = Failure::from_error(error);
    let replace = format!("`spice cluster tls add {} --force{pki}`", request.name);
    match error {
        IssueError::AlreadyIssued { .. } => failure.with_next(format!(
            "choose another name, or replace its certificate and key with {replace}"
        )),
        IssueError::Output(OutputError::OtherAuthority { .. }) => failure.with_next(
            "choose another directory with --out DIR, or that authority with --pki-dir DIR",
        ),
        IssueError::Output(OutputError::PkiDirectory { .. }) => {
            failure.with_next("choose another directory with --out DIR")
        }
        IssueError::Output(OutputError::Exists { .. }) => failure.with_next(format!(
            "choose another directory with --out DIR, or replace the files with {replace}"
        )),
        _ => failure,
    }
}
