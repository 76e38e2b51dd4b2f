//! `spice cluster tls add`.

mod batch;
mod inventory;

use std::time::SystemTime;

use cluster_pki::{
    Existing, Issued, KeyOrigin, LeafRequest, Localhost, NodeName, RoleReason, Timestamp,
};
use cluster_tls::Name;
use serde_json::{Value, json};

use crate::args::{AddArgs, ReportFormat};
use crate::failure::Failure;
use crate::tls::interrupt::Interrupt;
use crate::tls::opened::{Opened, explain_issue};
use crate::tls::report::{Card, print_json};
use crate::tls::{PkiDirectory, next_step, out_directory};
use crate::voice::Voice;

pub(crate) fn run(args: &AddArgs, voice: Voice) -> Result<(), Failure> {
    match (&args.name, &args.from) {
        (_, Some(file)) => batch::run(args, file, voice),
        (Some(name), None) => add_one(args, name, voice),
        (None, None) => Err(Failure::new("name a node")),
    }
}

fn add_one(args: &AddArgs, name: &NodeName, voice: Voice) -> Result<(), Failure> {
    let mut opened = Opened::open(&args.pki)?;
    opened.unlock(&args.passphrase)?;
    let _interrupt = Interrupt::hold()?;
    let request = request(args, name);
    let issued = opened.authority.issue(&request, SystemTime::now());
    let issued = issued.map_err(|error| explain_issue(&error, &opened.pki.with_out(&args.out)))?;
    warn(&issued, voice);
    if issued.role_reason == RoleReason::Default {
        voice.warn(format!(
            "{name} may act as scheduler and as executor; {NAME_THE_ROLE}"
        ));
    }
    match args.report.output {
        ReportFormat::Table => table(&issued, &request, &opened.pki),
        ReportFormat::Json => print_json(&document(&issued)),
    }
}

fn request(args: &AddArgs, name: &NodeName) -> LeafRequest {
    let mut request = LeafRequest::new(name.clone(), out_directory(&args.out));
    request.hosts.clone_from(&args.hosts);
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

pub(super) fn warn(issued: &Issued, voice: Voice) {
    for warning in &issued.warnings {
        voice.warn(format!("{}: {warning}", issued.record.name));
    }
}

fn table(issued: &Issued, request: &LeafRequest, pki: &PkiDirectory) -> Result<(), Failure> {
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
            format!("{}, still believed until {until}", old.serial),
        );
    }
    let mut text = next_step::start(issued, request);
    if issued.replaced.is_some() {
        text += &next_step::revoke_replaced(&record.name, pki);
    }
    card.text(text);
    card.print()
}

/// A certificate that was issued, with stable keys.
pub(super) fn document(issued: &Issued) -> Value {
    let record = &issued.record;
    let is_dns = |name: &&Name| matches!(name, Name::Dns(_));
    let (dns, ip): (Vec<_>, Vec<_>) = record.names.iter().partition(is_dns);
    let texts = |names: Vec<&Name>| names.into_iter().map(Name::to_string).collect::<Vec<_>>();
    let warnings: Vec<_> = issued.warnings.iter().map(ToString::to_string).collect();
    json!({
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
            "key": (record.key == KeyOrigin::Authority).then_some(&issued.files.key),
        },
        "replaced_serial": issued.replaced.as_ref().map(|old| &old.serial),
        "warnings": warnings,
    })
}

fn reason_word(reason: RoleReason) -> &'static str {
    match reason {
        RoleReason::Requested => "requested",
        RoleReason::NamePrefix(_) => "name_prefix",
        RoleReason::Renewed => "renewed",
        _ => "default",
    }
}

/// What to do where a name says nothing of a role.
const NAME_THE_ROLE: &str =
    "name less with --role executor, scheduler or client, and replace it with --force";
