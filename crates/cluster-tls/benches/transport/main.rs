//! What mutual TLS and authorization cost, each against a named peer in the same run.
//!
//! `cargo bench -p cluster-tls --features notify,tonic --bench transport`, with `-- --quick` for
//! the order of magnitude and `-- NAME...` for some of the items only; see [`ITEMS`].
//!
//! It has a harness of its own. The figures that matter are quotients of two things that are
//! measured in turn, round by round, on a machine whose speed drifts. criterion and divan measure
//! one thing after the other and compare their summaries, so that the drift between the two is
//! part of the quotient; neither can take a quotient pair by pair, nor look after a second process
//! and its memory. Every item prints the spread over its rounds, and its aim beside the median.
//! An aim that is missed fails nothing: a busy machine would.
#![expect(
    clippy::print_stdout,
    reason = "this is a command line program: printing is its output"
)]

mod authorization;
mod bare;
mod bulk;
mod call;
mod figures;
mod handshake;
mod idle;
mod nodes;
mod peers;
mod pki;
mod process;
mod server;
mod service;
mod swap;
mod table;
mod wire;

use std::future::Future;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::bulk::Direction;
use crate::table::Table;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effort {
    Full,
    Quick,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, security] = arguments.as_slice()
        && command == server::COMMAND
    {
        return server::run(security);
    }
    let unknown = arguments
        .iter()
        .find(|word| ![&ITEMS[..], &FLAGS].concat().contains(&word.as_str()));
    ensure!(unknown.is_none(), "{unknown:?} is none of {ITEMS:?}");
    let given = |word: &str| arguments.iter().any(|argument| argument == word);
    let effort = if given(QUICK) {
        Effort::Quick
    } else {
        Effort::Full
    };
    let all = !ITEMS.into_iter().any(given);
    for item in ITEMS {
        if all || given(item) {
            run(item, effort).with_context(|| format!("{item} was not measured"))?;
        }
    }
    Ok(())
}

fn run(item: &str, effort: Effort) -> Result<()> {
    match item {
        "handshake" => in_one_thread(handshake::measure(effort)),
        "authorization" => in_one_thread(authorization::measure(effort)),
        "call" => in_tasks(call::measure(effort)),
        "bulk" => {
            in_tasks(bulk::measure(effort, Direction::FromServer))?;
            in_tasks(bulk::measure(effort, Direction::FromClient))
        }
        "idle" => in_tasks(idle::measure(effort)),
        _ => in_tasks(swap::measure(effort)),
    }
}

fn in_one_thread(measuring: impl Future<Output = Result<Table>>) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let table = runtime.block_on(async { timeout(ITEM_LIMIT, measuring).await });
    show(&table.context("it hangs")??)
}

/// As a node runs: the main thread is no worker, and what runs on it would pay a switch of threads
/// for every message.
fn in_tasks(measuring: impl Future<Output = Result<Table>> + Send + 'static) -> Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let measuring = runtime.spawn(async { timeout(ITEM_LIMIT, measuring).await });
    show(&runtime.block_on(measuring)?.context("it hangs")??)
}

fn show(table: &Table) -> Result<()> {
    print!("{table}");
    Ok(std::io::stdout().flush()?)
}

/// What is measured, in this order.
const ITEMS: [&str; 6] = ["handshake", "authorization", "call", "bulk", "idle", "swap"];

const QUICK: &str = "--quick";

/// cargo adds a flag of its own.
const FLAGS: [&str; 2] = [QUICK, "--bench"];

/// Ten times what the longest item takes.
const ITEM_LIMIT: Duration = Duration::from_secs(900);
