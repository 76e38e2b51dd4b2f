//! `cargo xtask bench --control`: what the control streams of many executors cost one scheduler.
//!
//! The scheduler is a process of its own, so that its memory and its time are its own; the
//! executors are simulated in this one, each with a key, a certificate and a connection of its
//! own, and do what an executor does on its control stream and nothing else. Each size starts
//! with a fresh scheduler that has had some streams before: what is made once is not a stream's.
#![expect(
    clippy::print_stdout,
    reason = "this is a command line program: printing is its output"
)]

mod fleet;
mod push;
mod scheduler;

use std::time::Duration;

use anyhow::{Context, Result};
use cluster_test::process::{cpu_time, resident_bytes};
use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::scheduler::Scheduler;

fn main() -> Result<()> {
    // Each simulated executor is a connection here and one there.
    rlimit::increase_nofile_limit(u64::MAX).context("cannot have more open files")?;
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (sizes, window) = if quick {
        (&QUICK_SIZES[..], QUICK_WINDOW)
    } else {
        (&SIZES[..], WINDOW)
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            println!("{HEADER}");
            for streams in sizes {
                measure(*streams, window).await?;
            }
            Ok(())
        })
}

async fn measure(streams: usize, window: Duration) -> Result<()> {
    let scheduler = Scheduler::start().await?;
    let process = scheduler.process()?;
    let _warm = Fleet::open(&scheduler, "warm", WARM_UP_STREAMS).await?;
    sleep(SETTLE).await;
    let before = resident_bytes(process)?;
    let opening = Instant::now();
    let fleet = Fleet::open(&scheduler, "executor", streams).await?;
    let opened = opening.elapsed();
    sleep(SETTLE).await;
    let each = resident_bytes(process)?.saturating_sub(before) / streams as u64;
    let share = heartbeats(process, window).await?;
    let pushes = push::measure(&scheduler, &fleet).await?;
    println!(
        "{streams:>8} {:>8.1} {:>8.1} {:>10.2} {:>8.0} {:>8.0} {:>8.0}",
        opened.as_secs_f64(),
        each as f64 / 1024.0,
        100.0 * share,
        pushes.minimum,
        pushes.median,
        pushes.maximum,
    );
    Ok(())
}

/// The share of one core that the scheduler takes while nothing but heartbeats arrives.
async fn heartbeats(process: u32, window: Duration) -> Result<f64> {
    let before = cpu_time(process)?;
    let began = Instant::now();
    sleep(window).await;
    let used = cpu_time(process)?.saturating_sub(before);
    Ok(used.as_secs_f64() / began.elapsed().as_secs_f64())
}

const HEADER: &str =
    " streams  open, s KiB each heartbeat, % of a core  push to all, ms: min  median     max";

const SIZES: [usize; 4] = [100, 1000, 2000, 4000];
const QUICK_SIZES: [usize; 2] = [100, 500];

/// Three heartbeats of everybody.
const WINDOW: Duration = Duration::from_secs(30);
const QUICK_WINDOW: Duration = Duration::from_secs(10);

const WARM_UP_STREAMS: usize = 50;

/// What opening a stream sets going has ended by then.
const SETTLE: Duration = Duration::from_secs(2);
