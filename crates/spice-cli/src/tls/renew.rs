//! `spice cluster tls renew`.

use std::io::{self, Write};
use std::path::{self, Path};
use std::time::SystemTime;

use cluster_pki::{
    Authority, Due, Existing, IssueError, Issued, IssuedRecord, NodeName, OutputError,
    RenewRequest, Renewals, Timestamp,
};
use serde_json::json;

use crate::args::{RenewArgs, ReportFormat};
use crate::columns;
use crate::failure::{Failure, FailureKind};
use crate::tls::interrupt::Interrupt;
use crate::tls::opened::{Opened, explain_issue};
use crate::tls::report::print_json;
use crate::tls::{PkiDirectory, add, out_directory, progress};
use crate::voice::Voice;

pub(crate) fn run(args: &RenewArgs, voice: Voice) -> Result<(), Failure> {
    let mut opened = Opened::open(&args.pki)?;
    let now = SystemTime::now();
    let names = names(args, &opened.authority, now);
    // A run that finds nothing to do signs nothing: it needs no passphrase.
    if !names.is_empty() {
        opened.unlock(&args.passphrase)?;
    }
    let interrupt = Interrupt::hold()?;
    let request = |name| RenewRequest {
        name,
        days: args.days,
        out: out_directory(&args.out).to_owned(),
        existing: if args.force {
            Existing::Replace
        } else {
            Existing::Require
        },
    };
    let requests: Vec<_> = names.into_iter().map(request).collect();
    let bar = progress::bar(requests.len());
    let outcome = opened.authority.renew_all(&requests, now, &mut |done| {
        bar.set_position(done as u64);
        interrupt.go_on()
    });
    bar.finish_and_clear();
    let outcome =
        outcome.map_err(|error| explain_issue(&error, &opened.pki.with_out(&args.out)))?;
    Outcome(outcome).report(args, &opened, voice)
}

fn names(args: &RenewArgs, authority: &Authority, now: SystemTime) -> Vec<NodeName> {
    let due = match (&args.name, args.within) {
        (Some(name), _) => return vec![name.clone()],
        (None, Some(within)) => Due::Within(within.0),
        (None, None) if args.retiring => Due::OfRetiringRoot,
        (None, None) => Due::All,
    };
    let records = authority.due(due, now).into_iter();
    records.map(|record| record.name.clone()).collect()
}

/// What became of each node.
struct Outcome(Renewals);

impl Outcome {
    fn report(self, args: &RenewArgs, opened: &Opened, voice: Voice) -> Result<(), Failure> {
        for issued in &self.0.renewed {
            add::warn(issued, voice);
        }
        match args.report.output {
            ReportFormat::Table => self.table(args, opened)?,
            ReportFormat::Json => self.json()?,
        }
        self.end(args, opened, voice)
    }

    fn table(&self, args: &RenewArgs, opened: &Opened) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if self.0.renewed.is_empty() && self.0.refused.is_empty() {
            let place = opened.authority.directory().display();
            let nodes = opened.authority.due(Due::All, SystemTime::now()).len();
            writeln!(
                out,
                "nothing is due: {place} has {nodes} certificates in use"
            )?;
            return Ok(());
        }
        if self.0.renewed.is_empty() {
            return Ok(());
        }
        let row = |issued: &Issued| {
            let record = &issued.record;
            let file = issued.files.certificate.display().to_string();
            [
                record.name.to_string(),
                record.serial.clone(),
                Timestamp(record.not_after).to_string(),
                file,
            ]
        };
        let rows: Vec<_> = self.0.renewed.iter().map(row).collect();
        columns::write(
            &mut out,
            ["RENEWED", "SERIAL", "VALID UNTIL", "FILE"],
            &rows,
        )?;
        writeln!(out, "\n{}", rollout(args, &opened.pki))?;
        Ok(())
    }

    fn json(&self) -> Result<(), Failure> {
        let renewed: Vec<_> = self.0.renewed.iter().map(add::document).collect();
        let refused =
            self.0.refused.iter().map(
                |(name, error)| json!({ "name": name.as_str(), "message": error.to_string() }),
            );
        print_json(&json!({
            "renewed": renewed,
            "refused": refused.collect::<Vec<_>>(),
        }))
    }

    /// One node's refusal is told as such, with what to do; of many each is named.
    fn end(self, args: &RenewArgs, opened: &Opened, voice: Voice) -> Result<(), Failure> {
        match self.0.refused.as_slice() {
            [] => Ok(()),
            [(name, error)] => Err(explain(name, error, opened, args)),
            many => {
                for (name, error) in many {
                    voice.warn(format!("{name}: {error}"));
                }
                let message = format!("{} nodes were not renewed", many.len());
                let failure = Failure::new(message).of_kind(FailureKind::Refused);
                Err(failure.with_next(format!(
                    "see what to do about each with `spice cluster tls renew NAME{}`",
                    opened.pki.with_out(&args.out)
                )))
            }
        }
    }
}

/// Why a node was not renewed; where its files are not there, what to do about that.
fn explain(name: &NodeName, error: &IssueError, opened: &Opened, args: &RenewArgs) -> Failure {
    let place = opened.pki.with_out(&args.out);
    let failure = explain_issue(error, &place);
    let mut records = opened.authority.issued().iter();
    let newest = records.rfind(|record| record.name.canonical() == name.canonical());
    match (error, newest) {
        (IssueError::Output(OutputError::Missing { .. }), Some(record)) => {
            let anew = format!("spice cluster tls renew {name} --force{place}");
            failure.with_next(match written_elsewhere(record, &args.out) {
                true => format!(
                    "its files were written elsewhere: `spice cluster tls renew {name}{}`; or \
                     write them here with `{anew}`",
                    place.with_files_of(record)
                ),
                false => format!(
                    "name the directory that has the node's files with --out DIR, or write them \
                     anew with `{anew}`"
                ),
            })
        }
        _ => failure,
    }
}

fn written_elsewhere(record: &IssuedRecord, out: &Path) -> bool {
    let directory = record.directory.as_deref().map(Path::new);
    directory.is_some_and(|written| path::absolute(out).is_ok_and(|out| out != written))
}

fn rollout(args: &RenewArgs, pki: &PkiDirectory) -> String {
    let out = out_directory(&args.out);
    let place = if out.as_os_str().is_empty() {
        String::new()
    } else {
        format!(" from {}", out.display())
    };
    format!(
        "next: give each node its new files{place}; a running node takes them up by itself.\n\
         The replaced certificates are believed until they expire; end that with\n  \
         spice cluster tls revoke NAME --replaced{pki}"
    )
}
