//! `spice cluster tls verify`.

mod checks;

use std::io::{self, Write};
use std::time::SystemTime;

use cluster_pki::Timestamp;
use cluster_tls::{RevocationListSummary, RootSummary, Snapshot, StepOutcome};
use serde_json::{Value, json};

use self::checks::{Check, Demands, whole_days};
use crate::args::{ReportFormat, VerifyArgs};
use crate::failure::{Failure, FailureKind};
use crate::tls::checked::Checked;
use crate::tls::credentials;
use crate::tls::report::print_json;

pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let now = SystemTime::now();
    let demands = Demands {
        hosts: &args.hosts,
        role: args.role,
        now,
    };
    let loaded = credentials::load(&args.credentials);
    let checks = match &loaded {
        Ok(snapshot) => checks::of_loaded(snapshot, &demands),
        Err(error) => checks::of_refused(error),
    };
    let failed = checks
        .iter()
        .find(|check| check.outcome == StepOutcome::Failed);
    match args.report.output {
        ReportFormat::Table => table(args, &checks)?,
        ReportFormat::Json => {
            let snapshot = loaded.as_ref().ok();
            print_json(&document(&checks, failed, snapshot, now))?;
        }
    }
    failed.map_or(Ok(()), |check| Err(failure(args, check)))
}

fn table(args: &VerifyArgs, checks: &[Check]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", args.credentials.cert.display())?;
    for check in checks {
        let line = Checked {
            outcome: check.outcome,
            what: check.subject.as_str(),
            detail: &check.detail,
            remedy: check.remedy.as_deref(),
        };
        line.write(&mut out)?;
    }
    Ok(())
}

fn document(
    checks: &[Check],
    failed: Option<&Check>,
    snapshot: Option<&Snapshot>,
    now: SystemTime,
) -> Value {
    let kind = failed.map(|check| FailureKind::Stage(check.subject.stage()));
    json!({
        "healthy": failed.is_none(),
        "failed_check": failed.map(|check| check.subject.as_str()),
        "exit_code": kind.map_or(0, FailureKind::exit_code),
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
        "identity": snapshot.map(|snapshot| identity(snapshot, now)),
        "roots": snapshot.map(|snapshot| snapshot.roots().iter().map(root).collect::<Vec<_>>()),
        "revocation_lists": snapshot
            .map(|snapshot| snapshot.revocation_lists().map(list).collect::<Vec<_>>()),
        "denied_count": snapshot.and_then(Snapshot::denied_count),
    })
}

fn check(check: &Check) -> Value {
    json!({
        "check": check.subject.as_str(),
        "outcome": check.outcome.as_str(),
        "reason": check.reason,
        "detail": check.detail,
        "remedy": check.remedy,
    })
}

fn identity(snapshot: &Snapshot, now: SystemTime) -> Value {
    let own = snapshot.own();
    let names: Vec<_> = own.names().iter().map(ToString::to_string).collect();
    json!({
        "uri": own.uri(),
        "role": own.role().as_str(),
        "names": names,
        "serial": own.serial(),
        "fingerprint_sha256": own.fingerprint(),
        "not_before": Timestamp(own.not_before()).to_string(),
        "not_after": Timestamp(own.not_after()).to_string(),
        "expires_in_days": whole_days(now, own.not_after()),
    })
}

fn root(root: &RootSummary) -> Value {
    json!({ "subject": root.subject, "not_after": Timestamp(root.not_after).to_string() })
}

fn list(list: &RevocationListSummary) -> Value {
    json!({ "issuer": list.issuer, "not_after": Timestamp(list.not_after).to_string() })
}

fn failure(args: &VerifyArgs, check: &Check) -> Failure {
    let (cert, subject) = (args.credentials.cert.display(), check.subject);
    let failure = Failure::new(format!("{cert}: {}: {}", subject.as_str(), check.detail))
        .of_kind(FailureKind::Stage(subject.stage()));
    match &check.remedy {
        Some(remedy) => failure.with_next(remedy),
        None => failure,
    }
}
