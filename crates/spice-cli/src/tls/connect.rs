//! `spice cluster tls connect`.

use std::io::{self, Write};

use cluster_tls::{
    Diagnosis, DialLimits, PeerIdentity, RefusalReason, RefusedBy, Step, StepOutcome, diagnose,
};
use serde_json::{Value, json};

use crate::args::{ConnectArgs, ReportFormat};
use crate::failure::{Failure, FailureKind};
use crate::tls::checked::Checked;
use crate::tls::credentials;
use crate::tls::report::print_json;

pub(crate) fn run(args: &ConnectArgs) -> Result<(), Failure> {
    let diagnosis = dial(args)?;
    match args.report.output {
        ReportFormat::Table => table(&diagnosis)?,
        ReportFormat::Json => print_json(&document(&diagnosis))?,
    }
    match diagnosis.failure() {
        None => Ok(()),
        Some(step) => Err(failure(&diagnosis, step)),
    }
}

fn dial(args: &ConnectArgs) -> Result<Diagnosis, Failure> {
    let own = credentials::load(&args.credentials);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(&error))?;
    let dialling = diagnose(own, &args.node, args.role, DialLimits::default());
    Ok(runtime.block_on(dialling))
}

fn table(diagnosis: &Diagnosis) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", diagnosis.to())?;
    for step in diagnosis.steps() {
        let detail = match step.outcome() {
            StepOutcome::Skipped => "not tried".to_owned(),
            _ => {
                let milliseconds = step.duration().as_secs_f64() * 1000.0;
                format!("{}{} ({milliseconds:.1} ms)", by(step), step.detail())
            }
        };
        let line = Checked {
            outcome: step.outcome(),
            what: step.stage().as_str(),
            detail: &detail,
            remedy: step.remedy(),
        };
        line.write(&mut out)?;
    }
    Ok(())
}

fn document(diagnosis: &Diagnosis) -> Value {
    let failed = diagnosis.failure();
    let kind = failed.map(|step| FailureKind::Stage(step.stage()));
    json!({
        "to": diagnosis.to().to_string(),
        "healthy": diagnosis.is_healthy(),
        "failed_stage": failed.map(|step| step.stage().as_str()),
        "refused_by": failed.and_then(Step::refused_by).map(RefusedBy::as_str),
        "exit_code": kind.map_or(0, FailureKind::exit_code),
        "steps": diagnosis.steps().iter().map(step).collect::<Vec<_>>(),
        "peer": diagnosis.peer().map(peer),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "stage": step.stage().as_str(),
        "outcome": step.outcome().as_str(),
        "reason": step.reason().map(RefusalReason::as_str),
        "refused_by": step.refused_by().map(RefusedBy::as_str),
        "detail": step.detail(),
        "remedy": step.remedy(),
        "duration_ms": step.duration().as_secs_f64() * 1000.0,
    })
}

fn peer(peer: &PeerIdentity) -> Value {
    let names: Vec<_> = peer.names().iter().map(ToString::to_string).collect();
    json!({
        "names": names,
        "uri": peer.uri(),
        "role": peer.role().as_str(),
        "serial": peer.serial(),
        "fingerprint_sha256": peer.fingerprint(),
    })
}

fn failure(diagnosis: &Diagnosis, step: &Step) -> Failure {
    let (to, stage, detail) = (diagnosis.to(), step.stage(), step.detail());
    let failure = Failure::new(format!("{to}: {stage}: {}{detail}", by(step)))
        .of_kind(FailureKind::Stage(stage));
    match step.remedy() {
        Some(remedy) => failure.with_next(remedy),
        None => failure,
    }
}

/// Which side refused the other, where the detail does not say it: what a peer did is always
/// said there.
fn by(step: &Step) -> &'static str {
    match step.refused_by() {
        Some(RefusedBy::Us) => "we refuse the peer: ",
        Some(RefusedBy::Peer) | None => "",
    }
}
