//! The memory that an idle connection takes of its server.

use anyhow::Result;
use cluster_tls::tonic::Security;

use crate::call::security;
use crate::figures::{Paired, halves};
use crate::peers::pair;
use crate::pki::Texts;
use crate::process::resident_bytes;
use crate::server::ServerProcess;
use crate::table::{Aim, Table};
use crate::wire::Client;
use crate::{Effort, nodes};

pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    let (rounds, connections) = match effort {
        Effort::Full => (7, 500),
        Effort::Quick => (2, 100),
    };
    let (server, client) = pair()?;
    let mut resident = Paired::default();
    for round in 0..rounds {
        for which in halves(round) {
            let bytes = each(security(which), &server, &client, connections).await?;
            resident.push(which, bytes / 1024.0);
        }
    }
    let title = format!(
        "(e) resident memory of a server for each idle connection, KiB, {connections} \
         connections, {rounds} rounds"
    );
    Ok(Table::new(title)
        .row("mutual TLS", &resident.ours)
        .row("plaintext", &resident.peer)
        .row("ratio", &resident.ratios())
        .aimed("more", &resident.differences(), Aim::AtMost(32.0)))
}

/// Bytes for each connection, in a server that has had some before: what is made once, such as
/// its pools and tables, is not a connection's.
async fn each(security: Security, server: &Texts, client: &Texts, count: usize) -> Result<f64> {
    let server = ServerProcess::start(security, server)?;
    let transport = nodes::transport(security, client)?;
    let mut idle = Vec::new();
    let mut before = 0;
    for number in 0..WARM_UP_CONNECTIONS + count {
        if number == WARM_UP_CONNECTIONS {
            before = resident_bytes(&server.process())?;
        }
        let mut connection = Client::new(nodes::channel(&transport, server.address)?);
        connection.echo().await?;
        idle.push(connection);
    }
    let more = resident_bytes(&server.process())?.saturating_sub(before);
    Ok(more as f64 / count as f64)
}

const WARM_UP_CONNECTIONS: usize = 50;
