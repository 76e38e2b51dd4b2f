//! `spiced`: one node of a Spice cluster, or a whole one by itself.

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

/// Everything of value has ended by then; what blocks is only a read.
const BLOCKED_THREADS_LIMIT: Duration = Duration::from_secs(2);

const STACK_BYTES: usize = 8 * 1024 * 1024;
