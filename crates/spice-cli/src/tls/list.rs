//! `spice cluster tls list`.

use std::io::{self, IsTerminal};
use std::time::SystemTime;

use cluster_pki::{Certificate, RevokedRecord, Standing, Timestamp};
use serde_json::{Value, json};

use crate::args::{ListArgs, ReportFormat};
use crate::columns;
use crate::failure::Failure;
use crate::times;
use crate::tls::opened::Opened;
use crate::tls::report::{Card, print_json, unix_seconds};

pub(crate) fn run(args: &ListArgs) -> Result<(), Failure> {
    let opened = Opened::open(&args.pki)?;
    let now = SystemTime::now();
    let mut certificates = opened.authority.certificates(now);
    certificates.retain(|certificate| args.all || certificate.is_newest);
    match args.report.output {
        ReportFormat::Table if certificates.is_empty() => {
            let mut card = Card::new("no certificate was issued yet".to_owned());
            card.text(format!("next: spice cluster tls add NAME{}", opened.pki));
            card.print()
        }
        ReportFormat::Table => table(&certificates, now),
        ReportFormat::Json => {
            let documents = certificates.iter().map(document).collect::<Vec<_>>();
            print_json(&json!({ "certificates": documents }))
        }
    }
}

fn table(certificates: &[Certificate<'_>], now: SystemTime) -> Result<(), Failure> {
    let paint = Paint::decide();
    let header = ["NAME", "ROLE", "NAMES", "SERIAL", "EXPIRES", "STATUS"];
    let row = |certificate: &Certificate<'_>| {
        let record = certificate.record;
        let names: Vec<_> = record.names.iter().map(ToString::to_string).collect();
        [
            record.name.to_string(),
            record.role.to_string(),
            names.join(","),
            record.serial.clone(),
            times::expiry(unix_seconds(record.not_after), now),
            paint.standing(certificate.standing),
        ]
    };
    let rows: Vec<_> = certificates.iter().map(row).collect();
    columns::write(&mut io::stdout().lock(), header, &rows)
}

fn document(certificate: &Certificate<'_>) -> Value {
    let record = certificate.record;
    let names: Vec<_> = record.names.iter().map(ToString::to_string).collect();
    json!({
        "name": record.name.as_str(),
        "role": record.role.as_str(),
        "uri": record.uri,
        "names": names,
        "serial": record.serial,
        "fingerprint_sha256": record.fingerprint,
        "not_before": Timestamp(record.not_before).to_string(),
        "not_after": Timestamp(record.not_after).to_string(),
        "issued_at": Timestamp(record.issued_at).to_string(),
        "generation": record.generation,
        "key_origin": record.key.as_str(),
        "status": certificate.standing.as_str(),
        "newest": certificate.is_newest,
        "revoked": certificate.revoked.map(revoked),
    })
}

fn revoked(record: &RevokedRecord) -> Value {
    json!({
        "at": Timestamp(record.revoked_at).to_string(),
        "reason": record.reason.as_str(),
    })
}

/// Colours, where somebody looks who wants any (<https://no-color.org>).
#[derive(Clone, Copy)]
enum Paint {
    Colour,
    Plain,
}

impl Paint {
    fn decide() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdout().is_terminal() && !unwanted {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    /// It is the last column: what colours it does not count as width.
    fn standing(self, standing: Standing) -> String {
        let word = standing.as_str();
        let code = match standing {
            Standing::Valid => "32",
            Standing::Expiring => "33",
            Standing::Expired | Standing::Revoked | Standing::Untrusted => "31",
            _ => "2",
        };
        match self {
            Self::Colour => format!("\u{1b}[{code}m{word}\u{1b}[0m"),
            Self::Plain => word.to_owned(),
        }
    }
}
