//! Everything a change must pass, in one run and with one table at the end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::codegen::Mode;
use crate::workspace::{Workspace, succeed};
use crate::{arch, codegen, deny, fuzz, interop, minimal_versions, packages, public_api, suite};

/// One check of the list.
struct Step {
    name: &'static str,
    check: fn(&Workspace) -> Result<()>,
}

/// Cheap ones first: who waits learns of a forgotten `cargo fmt` in seconds.
const STEPS: [Step; 13] = [
    Step {
        name: "fmt",
        check: fmt,
    },
    Step {
        name: "codegen",
        check: |workspace| codegen::run(workspace, Mode::Check),
    },
    Step {
        name: "arch",
        check: arch::run,
    },
    Step {
        name: "test",
        check: |workspace| suite::run(workspace, &[]),
    },
    Step {
        name: "clippy",
        check: clippy,
    },
    Step {
        name: "clippy cluster-tls",
        check: clippy_of_cluster_tls,
    },
    Step {
        name: "public-api",
        check: public_api::run,
    },
    Step {
        name: "minimal-versions",
        check: minimal_versions::run,
    },
    Step {
        name: "packages",
        check: packages::run,
    },
    Step {
        name: "fuzz",
        check: |workspace| fuzz::run(workspace, None, FUZZ_SECONDS),
    },
    Step {
        name: "docs",
        check: docs,
    },
    Step {
        name: "deny",
        check: deny::run,
    },
    Step {
        name: "interop",
        check: interop::run,
    },
];

/// Each target for a moment: whether it still runs, and what breaks at the surface.
const FUZZ_SECONDS: u64 = 3;

/// What became of a step.
struct Report {
    name: &'static str,
    time: Duration,
    fault: Option<String>,
}

/// Runs all steps, also after one that failed, and prints the table.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let reports: Vec<Report> = STEPS.iter().map(|step| report(step, workspace)).collect();
    println!("\n{}", table(&reports));
    let failed = reports
        .iter()
        .filter(|report| report.fault.is_some())
        .count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", reports.len());
    }
    Ok(())
}

fn report(step: &Step, workspace: &Workspace) -> Report {
    println!("\n==> {}", step.name);
    let started = Instant::now();
    let fault = (step.check)(workspace)
        .err()
        .map(|error| format!("{error:#}"));
    if let Some(text) = &fault {
        eprintln!("error: {text}");
    }
    Report {
        name: step.name,
        time: started.elapsed(),
        fault,
    }
}

/// One line for each step; of a fault the first line, for the rest is above.
fn table(reports: &[Report]) -> String {
    let mut text = String::from("step                   seconds  outcome\n");
    for report in reports {
        let outcome = match &report.fault {
            None => "ok",
            Some(fault) => fault.lines().next().unwrap_or("failed"),
        };
        let outcome = if report.fault.is_some() {
            format!("FAILED: {outcome}")
        } else {
            outcome.to_owned()
        };
        let seconds = report.time.as_secs_f64();
        text.push_str(&format!("{:<20} {seconds:>9.1}  {outcome}\n", report.name));
    }
    text
}

fn fmt(workspace: &Workspace) -> Result<()> {
    succeed(workspace.cargo().args(["fmt", "--all", "--check"]))
}

/// `--all-targets` leaves out targets that a plain `cargo test` does not run.
fn clippy(workspace: &Workspace) -> Result<()> {
    let apart = ["--test", "interop", "--test", "certificates"];
    for targets in [["--all-targets"].as_slice(), &apart] {
        let mut command = workspace.cargo();
        command.args(["clippy", "--workspace"]).args(targets);
        succeed(command.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// The workspace always turns the tonic feature on; an embedder may not.
fn clippy_of_cluster_tls(workspace: &Workspace) -> Result<()> {
    succeed(workspace.cargo().args([
        "clippy",
        "-p",
        "cluster-tls",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs(workspace: &Workspace) -> Result<()> {
    succeed(
        workspace
            .cargo()
            .args(["doc", "--no-deps", "--workspace"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_step_and_the_fault_of_a_failed_one() {
        let reports = [
            Report {
                name: "fmt",
                time: Duration::from_millis(1200),
                fault: None,
            },
            Report {
                name: "arch",
                time: Duration::from_secs(2),
                fault: Some("1 rule is broken\n1. spiced links the key".to_owned()),
            },
        ];
        let text = table(&reports);
        assert!(
            text.contains("fmt                        1.2  ok\n"),
            "{text}"
        );
        assert!(text.contains("FAILED: 1 rule is broken\n"), "{text}");
        assert!(!text.contains("spiced"), "{text}");
    }
}
