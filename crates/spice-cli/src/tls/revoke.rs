//! `spice cluster tls revoke` and `crl`.

use std::io::{self, Write};
use std::time::SystemTime;

use cluster_pki::{
    IssuedRecord, Lists, ListsRequest, RevokeTarget, Revoked, RevokedRecord, Timestamp,
};
use serde_json::{Value, json};

use crate::args::{CrlArgs, ListsArgs, ReportFormat, RevokeArgs};
use crate::failure::Failure;
use crate::tls::consent;
use crate::tls::interrupt::Interrupt;
use crate::tls::next_step::quoted;
use crate::tls::opened::{Opened, explain_revoke};
use crate::tls::out_directory;
use crate::tls::report::{Card, print_json};

pub(crate) fn run(args: &RevokeArgs) -> Result<(), Failure> {
    let Some(target) = target(args) else {
        return Err(Failure::new("name a node or a serial number"));
    };
    let mut opened = Opened::open(&args.lists.pki)?;
    let now = SystemTime::now();
    let found = opened.authority.to_revoke(&target, now);
    let found = found.map_err(|error| explain_revoke(&error, &opened.pki))?;
    consent::ask(&question(&found), &args.consent)?;
    opened.unlock_lists(&args.lists.passphrase)?;
    let _interrupt = Interrupt::hold()?;
    let request = request(&args.lists);
    let revoked = opened.authority.revoke(&target, args.reason, &request, now);
    let revoked = revoked.map_err(|error| explain_revoke(&error, &opened.pki))?;
    match args.lists.report.output {
        ReportFormat::Table => table(&revoked),
        ReportFormat::Json => {
            let records = revoked.records.iter().map(record).collect::<Vec<_>>();
            print_json(&json!({ "revoked": records, "lists": lists(&revoked.lists) }))
        }
    }
}

pub(crate) fn run_crl(args: &CrlArgs) -> Result<(), Failure> {
    let mut opened = Opened::open(&args.lists.pki)?;
    opened.unlock_lists(&args.lists.passphrase)?;
    let _interrupt = Interrupt::hold()?;
    let published = opened
        .authority
        .publish_lists(&request(&args.lists), SystemTime::now())
        .map_err(|error| explain_revoke(&error, &opened.pki))?;
    match args.lists.report.output {
        ReportFormat::Table => {
            let mut card = Card::new(format!("wrote revocation list {}", published.number));
            rows(&mut card, &published);
            card.text(pick_up(&published));
            card.print()
        }
        ReportFormat::Json => print_json(&json!({ "lists": lists(&published) })),
    }
}

fn target(args: &RevokeArgs) -> Option<RevokeTarget> {
    match (&args.name, &args.serial) {
        (Some(name), _) if args.replaced => Some(RevokeTarget::Replaced(name.clone())),
        (Some(name), _) => Some(RevokeTarget::Node(name.clone())),
        (None, Some(serial)) => Some(RevokeTarget::Serial(serial.clone())),
        (None, None) => None,
    }
}

fn request(args: &ListsArgs) -> ListsRequest {
    ListsRequest {
        out: out_directory(&args.out).to_owned(),
        days: args.crl_days,
    }
}

fn question(found: &[&IssuedRecord]) -> String {
    let each: Vec<_> = found
        .iter()
        .map(|record| format!("{} ({})", record.serial, record.name))
        .collect();
    match each.as_slice() {
        [one] => format!("Revoke the certificate {one} for good?"),
        many => format!(
            "Revoke the {} certificates {} for good?",
            many.len(),
            many.join(", ")
        ),
    }
}

fn table(revoked: &Revoked) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for record in &revoked.records {
        let (name, serial, reason) = (&record.name, &record.serial, record.reason);
        writeln!(out, "revoked {serial} of {name} ({reason})")?;
    }
    drop(out);
    let mut card = Card::new(format!("wrote revocation list {}", revoked.lists.number));
    rows(&mut card, &revoked.lists);
    card.text(pick_up(&revoked.lists));
    card.print()
}

fn rows(card: &mut Card, lists: &Lists) {
    card.row("crl", lists.crl.display());
    card.row("due again", Timestamp(lists.next_update));
    card.row("deny-list", lists.deny_list.display());
}

/// How nodes come to know.
fn pick_up(lists: &Lists) -> String {
    let (deny_list, crl) = (quoted(&lists.deny_list), quoted(&lists.crl));
    format!(
        "next: copy it to every node. One that was started with\n  \
         --node-mtls-deny-list-file {deny_list}\n\
         or with --node-mtls-crl-file {crl}, which is signed and must be written anew before it is due\n\
         follows within seconds and cuts the connections of revoked peers; others must be \
         restarted with it."
    )
}

fn record(record: &RevokedRecord) -> Value {
    json!({
        "name": record.name.as_str(),
        "serial": record.serial,
        "generation": record.generation,
        "reason": record.reason.as_str(),
        "revoked_at": Timestamp(record.revoked_at).to_string(),
    })
}

fn lists(lists: &Lists) -> Value {
    json!({
        "crl": lists.crl,
        "deny_list": lists.deny_list,
        "number": lists.number,
        "next_update": Timestamp(lists.next_update).to_string(),
    })
}
