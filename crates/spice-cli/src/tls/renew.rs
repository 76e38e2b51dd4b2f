//! `spice cluster tls renew`.

use std::io::{self, Write};
use std::time::SystemTime;

use cluster_pki::{Authority, Due, IssueError, Issued, NodeName, RenewRequest, Timestamp};
use serde_json::json;

use crate::args::{RenewArgs, ReportFormat};
use crate::columns;
use crate::failure::Failure;
use crate::tls::add;
use crate::tls::interrupt::Interrupt;
use crate::tls::opened::{Opened, explain_issue};
use crate::tls::out_directory;
use crate::tls::report::print_json;
use crate::voice::Voice;

pub(crate) fn run(args: &RenewArgs, voice: Voice) -> Result<(), Failure> {
    let mut opened = Opened::open(&args.pki)?;
    opened.unlock(&args.passphrase)?;
    let now = SystemTime::now();
    let names = names(args, &opened.authority, now);
    let interrupt = Interrupt::hold()?;
    let mut outcome = Outcome::default();
    for name in names {
        if interrupt.is_noted() {
            outcome.stopped = true;
            break;
        }
        let request = RenewRequest {
            name,
            days: args.days,
            out: out_directory(&args.out).to_owned(),
        };
        match opened.authority.renew(&request, now) {
            Ok(issued) => outcome.renewed.push(issued),
            Err(error) => outcome.refused.push((request.name, error)),
        }
    }
    outcome.report(args, &opened, voice)
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
#[derive(Default)]
struct Outcome {
    renewed: Vec<Issued>,
    refused: Vec<(NodeName, IssueError)>,
    stopped: bool,
}

impl Outcome {
    fn report(self, args: &RenewArgs, opened: &Opened, voice: Voice) -> Result<(), Failure> {
        for issued in &self.renewed {
            add::warn(issued, voice);
        }
        match args.report.output {
            ReportFormat::Table => self.table(args)?,
            ReportFormat::Json => self.json()?,
        }
        self.end(opened, voice)
    }

    fn table(&self, args: &RenewArgs) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if self.renewed.is_empty() && self.refused.is_empty() {
            return Ok(writeln!(out, "nothing is due")?);
        }
        if self.renewed.is_empty() {
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
        let rows: Vec<_> = self.renewed.iter().map(row).collect();
        columns::write(
            &mut out,
            ["RENEWED", "SERIAL", "VALID UNTIL", "FILE"],
            &rows,
        )?;
        writeln!(out, "\n{}", rollout(args))?;
        Ok(())
    }

    fn json(&self) -> Result<(), Failure> {
        let renewed: Vec<_> = self.renewed.iter().map(add::document).collect();
        let refused = self
            .refused
            .iter()
            .map(|(name, error)| json!({ "name": name.as_str(), "message": error.to_string() }));
        print_json(&json!({
            "renewed": renewed,
            "refused": refused.collect::<Vec<_>>(),
        }))
    }

    /// One node's refusal is told as such, with what to do; of many each is named.
    fn end(self, opened: &Opened, voice: Voice) -> Result<(), Failure> {
        if self.stopped {
            let done = self.renewed.len();
            let message = format!("stopped after {done} nodes, which are renewed");
            return Err(Failure::new(message).with_next("type the same command again"));
        }
        match self.refused.as_slice() {
            [] => Ok(()),
            [(_, error)] => Err(explain_issue(error, &opened.pki)),
            many => {
                for (name, error) in many {
                    voice.warn(format!("{name}: {error}"));
                }
                let message = format!("{} nodes were not renewed", many.len());
                Err(Failure::new(message).with_next(format!(
                    "see to each with `spice cluster tls renew NAME{}`",
                    opened.pki
                )))
            }
        }
    }
}

fn rollout(args: &RenewArgs) -> String {
    let out = out_directory(&args.out);
    let place = if out.as_os_str().is_empty() {
        String::new()
    } else {
        format!(" from {}", out.display())
    };
    format!(
        "next: give each node its new files{place}; a running node takes them up by itself.\n\
         The replaced certificates are believed until they expire; end that with\n  \
         spice cluster tls revoke NAME --replaced"
    )
}
