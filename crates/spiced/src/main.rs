//! `spiced`: one node of a Spice cluster, or a whole one by itself.

mod audit;
mod cli;
mod compose;
mod config;
mod faults;
mod info;
mod listeners;
mod logging;
mod manifest;
mod material;
mod metrics;
mod observers;
mod own_metrics;
mod readiness;
mod shutdown;
mod work_dir;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::cli::Args;
use crate::faults::Faults;

fn main() -> ExitCode {
    let args = Args::parse();
    logging::init(args.log_format, args.verbose);
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            faults.report();
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Faults> {
    let config = config::decide(args);
    forbid_core_dumps()?;
    // Every connection is a descriptor, and shells still hand out 1024. Without a higher limit to
    // be had the node works as far as that goes.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("spiced")
        // DataFusion plans by recursion; deep plans need more than the usual 2 MiB.
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|error| Faults::one(format!("the async runtime does not start: {error}")))?;
    let ended = runtime.block_on(compose::run(config));
    // A thread that waits for a file system which does not answer must not keep the process.
    runtime.shutdown_timeout(BLOCKED_THREADS_LIMIT);
    ended
}

/// Memory holds secrets and keys, so a crash writes it nowhere: not to a file, for which one byte
/// is too little, and not to a program that collects cores. Those are not held to the limit,
/// except to this one (`fs/coredump.c` of Linux); to them, zero is like any other.
fn forbid_core_dumps() -> Result<(), Faults> {
    let forbid = |(_, allowed): (u64, u64)| {
        let limit = allowed.min(CORE_BYTES);
        rlimit::setrlimit(rlimit::Resource::CORE, limit, limit)
    };
    rlimit::getrlimit(rlimit::Resource::CORE)
        .and_then(forbid)
        .map_err(|error| Faults::one(format!("core dumps cannot be forbidden: {error}")))
}

const CORE_BYTES: u64 = 1;

/// Everything of value has ended by then; what blocks is only a read.
const BLOCKED_THREADS_LIMIT: Duration = Duration::from_secs(2);

const STACK_BYTES: usize = 8 * 1024 * 1024;
