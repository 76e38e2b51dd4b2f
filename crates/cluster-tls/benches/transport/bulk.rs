//! Large messages in a stream, over mutual TLS and over plaintext, in both directions.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::Effort;
use crate::call::security;
use crate::figures::{Paired, Which, halves};
use crate::peers::Peers;
use crate::process::{cpu_time, own_cpu_time};
use crate::table::{Aim, Table};
use crate::wire::FRAME_BYTES;

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    FromServer,
    FromClient,
}

pub(crate) async fn measure(effort: Effort, direction: Direction) -> Result<Table> {
    let (rounds, frames) = match effort {
        Effort::Full => (9, 2048),
        Effort::Quick => (3, 256),
    };
    let mut peers = Peers::start().await?;
    for which in halves(0) {
        transfer(&mut peers, which, direction, WARM_UP_FRAMES).await?;
    }
    let (mut rate, mut cpu) = (Paired::default(), Paired::default());
    for round in 0..rounds {
        for which in halves(round) {
            let cost = transfer(&mut peers, which, direction, frames).await?;
            rate.push(which, cost.gibibytes / cost.seconds);
            cpu.push(which, 1e3 * cost.cpu_seconds / cost.gibibytes);
        }
    }
    let what = match direction {
        Direction::FromServer => "server to client",
        Direction::FromClient => "client to server",
    };
    let title = format!(
        "(d) stream of {frames} messages of {} KiB, {what}, {rounds} rounds",
        FRAME_BYTES / 1024
    );
    Ok(Table::new(title)
        .row("mutual TLS, GiB/s", &rate.ours)
        .row("plaintext, GiB/s", &rate.peer)
        .aimed(
            "throughput, mutual TLS / plaintext",
            &rate.ratios(),
            Aim::AtLeast(0.75),
        )
        .row("mutual TLS, ms of CPU a GiB, both ends", &cpu.ours)
        .row("plaintext, ms of CPU a GiB, both ends", &cpu.peer)
        .row("throughput by CPU time", &cpu.inverse_ratios()))
}

struct Cost {
    gibibytes: f64,
    seconds: f64,
    cpu_seconds: f64,
}

async fn transfer(
    peers: &mut Peers,
    which: Which,
    direction: Direction,
    frames: usize,
) -> Result<Cost> {
    let security = security(which);
    let server = peers.server(security).process();
    let client = peers.client(security);
    let before = own_cpu_time().await? + cpu_time(&server)?;
    let started = Instant::now();
    let bytes = match direction {
        Direction::FromServer => client.download(frames).await?,
        Direction::FromClient => client.upload(frames).await?,
    };
    let seconds = started.elapsed().as_secs_f64();
    let after = own_cpu_time().await? + cpu_time(&server)?;
    ensure!(bytes == (frames * FRAME_BYTES) as u64, "{bytes} bytes came");
    Ok(Cost {
        gibibytes: bytes as f64 / (1_u64 << 30) as f64,
        seconds,
        cpu_seconds: after.saturating_sub(before).as_secs_f64(),
    })
}

const WARM_UP_FRAMES: usize = 128;
