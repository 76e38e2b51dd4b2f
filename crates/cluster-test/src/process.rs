//! What the kernel says that a process has used. It is read from `/proc`, so on Linux only.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time of all threads that the process has now, in user and kernel mode.
///
/// Threads that have ended are forgotten there: take differences only while no thread ends.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_time(process: u32) -> Result<Duration> {
    sum_of_threads(process, 1)
}

/// CPU time of all threads that the process has now, and what they have waited for a processor:
/// what they would have used by now if nobody else wanted any.
///
/// Threads that have ended are forgotten there, as in [`cpu_time`].
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_demand(process: u32) -> Result<Duration> {
    sum_of_threads(process, 2)
}

/// Adds up the first `fields` of what the kernel has counted for each thread: nanoseconds on a
/// processor, and nanoseconds of waiting for one.
fn sum_of_threads(process: u32, fields: usize) -> Result<Duration> {
    let tasks = format!("/proc/{process}/task");
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
        let path = task?.path().join("schedstat");
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        for nanoseconds in text.split(' ').take(fields) {
            sum += Duration::from_nanos(nanoseconds.parse().context("schedstat")?);
        }
    }
    Ok(sum)
}

/// Memory of the process that is resident, in bytes.
///
/// # Errors
///
/// When there is no such process.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .with_context(|| format!("no VmRSS in {path}"))?;
    Ok(1024 * kibibytes.parse::<u64>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_time_and_no_other_of_number_zero_does() {
        let own = std::process::id();
        assert!(resident_bytes(own).unwrap() > 100_000);
        let used = cpu_time(own).unwrap();
        assert!(cpu_demand(own).unwrap() >= used);
        assert!(resident_bytes(0).is_err());
        assert!(cpu_time(0).is_err());
        assert!(cpu_demand(0).is_err());
    }
}
