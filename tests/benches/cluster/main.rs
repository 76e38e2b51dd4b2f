//! `cargo xtask bench`: a real cluster against single-process DataFusion on the same machine.
//!
//! Three systems answer the same queries over the same files, in turn, so that a machine whose
//! speed drifts slows all of them: DataFusion in this process, a cluster over mutual TLS, and
//! the same cluster without protection. Each cluster is one scheduler and two executors with one
//! task slot each. Figures are minima and medians over the rounds, ratios are taken round by
//! round.
#![expect(
    clippy::print_stdout,
    reason = "this is a command line program: printing is its output"
)]

mod figures;
mod latency;
mod queries;
mod systems;

use anyhow::Result;
use cluster_test::tpch::{self, ScaleFactor};

fn main() -> Result<()> {
    let rounds = if std::env::args().any(|argument| argument == "--quick") {
        QUICK_ROUNDS
    } else {
        ROUNDS
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()?
        .block_on(measure(rounds))
}

async fn measure(rounds: usize) -> Result<()> {
    let scale = ScaleFactor::new(SCALE)?;
    let directory = tempfile::tempdir()?;
    println!("generating TPC-H data at scale {SCALE}");
    tpch::generate(directory.path(), scale, |_| Ok(()))?;
    let manifest = tpch::write_manifest(directory.path())?;
    let mut systems = systems::start(directory.path(), &manifest).await?;
    latency::measure(&mut systems).await?;
    queries::measure(&mut systems, &tpch::queries(scale), rounds).await
}

/// Large enough that work outweighs start-up, small enough for a laptop.
const SCALE: f64 = 1.0;
const QUICK_ROUNDS: usize = 3;
const ROUNDS: usize = 9;
/// DataFusion plans by recursion.
const STACK_BYTES: usize = 8 * 1024 * 1024;
