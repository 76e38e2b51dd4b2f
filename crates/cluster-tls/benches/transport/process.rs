//! What the kernel says that a process has used. It is read from `/proc`, so on Linux only.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time of all threads that the process has now, in user and kernel mode.
///
/// `schedstat` counts nanoseconds where `stat` counts hundredths of a second. Threads that have
/// ended are forgotten there: take differences only while no thread ends.
pub(crate) fn cpu_time(process: &str) -> Result<Duration> {
    let tasks = format!("/proc/{process}/task");
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
        let path = task?.path().join("schedstat");
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let nanoseconds = text.split(' ').next().unwrap_or_default();
        sum += Duration::from_nanos(nanoseconds.parse().context("schedstat")?);
    }
    Ok(sum)
}

/// CPU time of this process, once the thread that asks has rested: the time of a running thread is
/// only brought up to date when it stops or at the next tick.
pub(crate) async fn own_cpu_time() -> Result<Duration> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    cpu_time(SELF)
}

/// Memory of the process that is resident.
pub(crate) fn resident_bytes(process: &str) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .with_context(|| format!("no VmRSS in {path}"))?;
    Ok(1024 * kibibytes.parse::<u64>()?)
}

/// This process, as a directory of `/proc`.
pub(crate) const SELF: &str = "self";
