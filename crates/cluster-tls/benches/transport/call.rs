//! A small call over mutual TLS, against the same call over plaintext.
//!
//! The two are called in turn, call by call. For less spread pin the program: two cores
//! (`taskset -c 0,1`) let client and server wake each other as they would on two machines, one
//! core shows the work alone.

use std::time::Instant;

use anyhow::Result;
use cluster_tls::tonic::Security;

use crate::Effort;
use crate::figures::{Figures, Paired, Which, halves};
use crate::peers::Peers;
use crate::table::{Aim, Table};

pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    let (rounds, count) = match effort {
        Effort::Full => (21, 3_000),
        Effort::Quick => (5, 500),
    };
    let mut peers = Peers::start().await?;
    round(&mut peers, WARM_UP_CALLS).await?;
    let mut medians = Paired::default();
    for _ in 0..rounds {
        let calls = round(&mut peers, count).await?;
        medians.push(Which::Ours, calls.ours.median());
        medians.push(Which::Peer, calls.peer.median());
    }
    let title = format!("(c) small unary call, median of {count} in us, {rounds} rounds");
    Ok(Table::new(title)
        .row("mutual TLS", &medians.ours)
        .row("plaintext", &medians.peer)
        .row("us more", &medians.differences())
        .aimed(
            "mutual TLS / plaintext",
            &medians.ratios(),
            Aim::AtMost(1.1),
        ))
}

/// Microseconds of each call.
async fn round(peers: &mut Peers, count: usize) -> Result<Paired> {
    let mut calls = Paired {
        ours: Figures::default(),
        peer: Figures::default(),
    };
    for number in 0..count {
        for which in halves(number) {
            let client = peers.client(security(which));
            let started = Instant::now();
            client.echo().await?;
            calls.push(which, 1e6 * started.elapsed().as_secs_f64());
        }
    }
    Ok(calls)
}

/// Which transport is which half.
pub(crate) fn security(which: Which) -> Security {
    match which {
        Which::Ours => Security::Mutual,
        Which::Peer => Security::Plaintext,
    }
}

const WARM_UP_CALLS: usize = 200;
