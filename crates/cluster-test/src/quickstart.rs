//! The demonstration behind `cargo xtask quickstart`: certificates from `spice`, TPC-H data, one
//! scheduler and two executors as separate processes, and four queries over all of them.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::binaries::binary;
use crate::tpch::ScaleFactor;

mod connect;
mod demo;
mod nodes;
mod pki;
mod ports;
mod screen;
mod tables;

use demo::Demo;
use screen::Screen;

/// Starts a secured three-node cluster on this machine, runs four TPC-H queries, and removes
/// everything again.
#[derive(Clone, Debug, Parser)]
#[command(name = "quickstart", version)]
pub struct Options {
    /// TPC-H scale factor of the generated data; 0.1 is about 30 MB
    #[arg(long, value_name = "N", default_value = "0.1")]
    pub scale: ScaleFactor,

    /// Leave the cluster running until Ctrl-C, and print how to connect
    #[arg(long)]
    pub keep: bool,

    /// Added to every port, where the usual ones are taken
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port_offset: u16,
}

/// Runs the demonstration to its end.
///
/// # Errors
///
/// What went wrong first, with the last log lines of the node that failed; also an interruption,
/// unless the cluster was to be kept.
pub fn run(options: &Options) -> Result<()> {
    let runtime = Runtime::new().context("cannot start the asynchronous runtime")?;
    runtime.block_on(Box::pin(run_until_interrupted(options)))
}

async fn run_until_interrupted(options: &Options) -> Result<()> {
    let screen = Screen::new();
    // Found first: minutes of work must not end in a missing program.
    let programs = Programs {
        spiced: binary("spiced")?,
        spice: binary("spice")?,
    };
    let demo = tokio::select! {
        demo = Demo::run(options, &programs, &screen) => demo?,
        name = interruption() => bail!("stopped by {}: nodes and files are removed", name?),
    };
    if options.keep {
        screen.text(&connect::instructions(&programs, &demo))?;
        interruption().await?;
    }
    demo.end(&screen).await
}

/// The programs under demonstration.
struct Programs {
    spiced: PathBuf,
    spice: PathBuf,
}

/// Waits for Ctrl-C, or for the signal of a service manager, and names it.
async fn interruption() -> Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
    })
}
