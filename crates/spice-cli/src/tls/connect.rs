//! `spice cluster tls connect`.

use std::io::{self, Write};
use std::sync::Arc;

use cluster_tls::{
    CredentialPaths, Diagnosis, DialLimits, FileSource, PeerIdentity, PeerPolicy, RefusalReason,
    Step, StepOutcome, SystemClock, diagnose, load_from,
};
use serde_json::{Value, json};

use crate::args::{ConnectArgs, ReportFormat};
use crate::failure::Failure;
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
    let paths = CredentialPaths {
        ca: args.ca.clone(),
        certificate: args.cert.clone(),
        key: args.key.clone(),
    };
    let mut source = FileSource::new(paths);
    if let Some(crl) = &args.crl {
        source = source.with_crl(crl);
    }
    if let Some(deny_list) = &args.deny_list {
        source = source.with_deny_list(deny_list);
    }
    let policy = PeerPolicy {
        identity_rules: args.identity.clone(),
        ..PeerPolicy::default()
    };
    let own = load_from(&mut source, Arc::new(SystemClock), policy);
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
        let (mark, stage) = (mark(step.outcome()), step.stage().as_str());
        match step.outcome() {
            StepOutcome::Skipped => writeln!(out, "  {mark} {stage:<11}  not tried")?,
            _ => {
                let milliseconds = step.duration().as_secs_f64() * 1000.0;
                let detail = step.detail();
                writeln!(out, "  {mark} {stage:<11}  {detail} ({milliseconds:.1} ms)")?;
            }
        }
        if let (StepOutcome::Warned, Some(remedy)) = (step.outcome(), step.remedy()) {
            writeln!(out, "                 {remedy}")?;
        }
    }
    Ok(())
}

fn mark(outcome: StepOutcome) -> char {
    match outcome {
        StepOutcome::Passed => '\u{2713}',
        StepOutcome::Warned => '!',
        StepOutcome::Failed => '\u{2717}',
        StepOutcome::Skipped => '-',
    }
}

fn document(diagnosis: &Diagnosis) -> Value {
    json!({
        "to": diagnosis.to().to_string(),
        "healthy": diagnosis.is_healthy(),
        "steps": diagnosis.steps().iter().map(step).collect::<Vec<_>>(),
        "peer": diagnosis.peer().map(peer),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "stage": step.stage().as_str(),
        "outcome": step.outcome().as_str(),
        "reason": step.reason().map(RefusalReason::as_str),
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
    let failure = Failure::new(format!("{to}: {stage}: {detail}"));
    match step.remedy() {
        Some(remedy) => failure.with_next(remedy),
        None => failure,
    }
}
