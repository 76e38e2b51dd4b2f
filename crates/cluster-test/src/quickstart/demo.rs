//! The demonstration, step by step.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use indicatif::ProgressBar;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::nodes::{Nodes, Place};
use super::pki::{Certificate, Pki};
use super::screen::Screen;
use super::{Options, Programs, ports, tables};
use crate::node::Listener;
use crate::sql::SqlClient;
use crate::tpch::{self, Progress, Query, ScaleFactor, Table};

/// Queries that aggregate, join and shuffle, from one table to six.
const QUERIES: [u8; 4] = [1, 3, 5, 18];

/// The cluster after its queries.
pub(super) struct Demo {
    pub(super) nodes: Nodes,
    /// Removed with everything in it when the demonstration ends.
    pub(super) directory: TempDir,
}

/// What one query took.
pub(super) struct Measured {
    pub(super) number: u8,
    pub(super) rows: usize,
    pub(super) time: Duration,
    /// Tasks that each executor ran for it.
    pub(super) tasks: Vec<u64>,
}

impl Demo {
    /// Everything up to the last table.
    pub(super) async fn run(
        options: &Options,
        programs: &Programs,
        screen: &Screen,
    ) -> Result<Self> {
        let ports = ports::assigned(options.port_offset)?;
        ports::check_free(&ports)?;
        let directory = tempfile::Builder::new()
            .prefix("spice-quickstart-")
            .tempdir()
            .context("cannot make a directory for the demonstration")?;
        let certificates = issue(programs, directory.path(), screen).await?;
        let tables = directory.path().join("tables");
        generate(&tables, options.scale, screen).await?;
        let place = Place {
            spiced: &programs.spiced,
            manifest: tpch::write_manifest(&tables)?,
            data: directory.path().join("nodes"),
            ports,
        };
        screen.step("starting one scheduler and two executors")?;
        let mut nodes = Nodes::start(&place, &certificates).await?;
        screen.text("    ready: the nodes trust each other's certificates and nobody else's")?;
        match ask(&nodes, options.scale, screen).await {
            Ok(measured) => screen.text(&tables::measured(&measured, nodes.executors()))?,
            Err(error) => return Err(nodes.explain(&error)),
        }
        screen.step("certificates")?;
        screen.text(&tables::certificates(&certificates))?;
        Ok(Self { nodes, directory })
    }

    /// Ends the nodes; the files go with `self`.
    pub(super) async fn end(self, screen: &Screen) -> Result<()> {
        screen.step("ending the nodes")?;
        self.nodes.end().await?;
        self.directory
            .close()
            .context("cannot remove the files of the demonstration")?;
        screen.text("    all nodes ended, all files are removed")
    }
}

async fn issue(programs: &Programs, directory: &Path, screen: &Screen) -> Result<Vec<Certificate>> {
    screen
        .step("making a certificate authority and three certificates with `spice cluster tls`")?;
    let pki = Pki::init(&programs.spice, directory).await?;
    let mut certificates = Vec::new();
    for node in ports::NAMES {
        certificates.push(pki.add(node).await?);
    }
    Ok(certificates)
}

async fn generate(directory: &Path, scale: ScaleFactor, screen: &Screen) -> Result<()> {
    screen.step(&format!("generating TPC-H data at scale {scale}"))?;
    let total = Table::ALL
        .iter()
        .map(|table| table.expected_rows(scale))
        .sum();
    let directory = directory.to_owned();
    let started = Instant::now();
    let wanted = Arc::new(screen.bar(total));
    let bar_if_wanted = Arc::downgrade(&wanted);
    let rows = spawn_blocking(move || rows_generated(&directory, scale, &bar_if_wanted))
        .await
        .context("the generator panicked")??;
    wanted.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    screen.text(&format!("    {rows} rows in 8 tables after {seconds:.1} s"))
}

/// Generates with the bar moving, as long as there is one; gives the number of rows.
fn rows_generated(directory: &Path, scale: ScaleFactor, bar: &Weak<ProgressBar>) -> Result<u64> {
    let mut finished = 0;
    let mut current: Option<Progress> = None;
    tpch::generate(directory, scale, |progress| {
        let before = current.replace(progress);
        finished += before
            .filter(|before| before.table != progress.table)
            .map_or(0, |before| before.rows);
        let bar = bar
            .upgrade()
            .context("nobody waits for the data any more")?;
        bar.set_position(finished + progress.rows);
        bar.set_message(progress.table.name());
        Ok(())
    })?;
    Ok(finished + current.map_or(0, |progress| progress.rows))
}

async fn ask(nodes: &Nodes, scale: ScaleFactor, screen: &Screen) -> Result<Vec<Measured>> {
    let server = nodes.scheduler().address(Listener::Flight)?;
    let mut client = SqlClient::connect(server).await?;
    let mut all = Vec::new();
    for number in QUERIES {
        let query = tpch::query(number, scale).context("there are 22 queries")?;
        let measured = measure(nodes, &mut client, &query, screen).await;
        all.push(measured.with_context(|| format!("TPC-H query {number} failed"))?);
    }
    screen.step("who did the work")?;
    Ok(all)
}

async fn measure(
    nodes: &Nodes,
    client: &mut SqlClient,
    query: &Query,
    screen: &Screen,
) -> Result<Measured> {
    let number = query.number;
    screen.step(&format!("TPC-H query {number}"))?;
    let before = nodes.tasks().await?;
    let started = Instant::now();
    let batches = client.query(&query.sql).await?;
    let time = started.elapsed();
    let after = nodes.tasks().await?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    screen.text(&tables::rows(&batches)?)?;
    screen.text(&format!("    {rows} rows in {:.2} s", time.as_secs_f64()))?;
    Ok(Measured {
        number,
        rows,
        time,
        tasks: after
            .iter()
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before))
            .collect(),
    })
}
