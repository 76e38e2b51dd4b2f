//! `spice datasets`.

use std::io::{self, Write};

use serde::Deserialize;

use crate::args::{DatasetsArgs, ReportFormat};
use crate::columns;
use crate::failure::Failure;
use crate::http::{fetch, or_dash};
use crate::printable::printable;
use crate::times;
use crate::tls::report::print_json;

pub(crate) fn run(args: &DatasetsArgs) -> Result<(), Failure> {
    let endpoint = &args.http.http_endpoint;
    let answer = fetch::<Datasets>(endpoint, "/v1/datasets")
        .map_err(|error| error.into_failure(endpoint))?;
    match args.http.output {
        ReportFormat::Table => table(&answer.document),
        ReportFormat::Json => print_json(&answer.json),
    }
}

fn table(datasets: &Datasets) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if datasets.datasets.is_empty() {
        writeln!(out, "this node has no datasets")?;
        return Ok(());
    }
    let rows: Vec<_> = datasets.datasets.iter().map(row).collect();
    columns::write(&mut out, HEADER, &rows)?;
    for error in datasets.datasets.iter().filter_map(|it| it.error.as_ref()) {
        writeln!(out, "{} {}", times::MARK, printable(error))?;
    }
    Ok(())
}

fn row(dataset: &Dataset) -> [String; 4] {
    [
        printable(&dataset.name),
        printable(&dataset.kind),
        printable(&dataset.status),
        or_dash(dataset.source.as_deref()),
    ]
}

/// What `GET /v1/datasets` answers.
#[derive(Deserialize)]
struct Datasets {
    datasets: Vec<Dataset>,
}

#[derive(Deserialize)]
struct Dataset {
    name: String,
    kind: String,
    source: Option<String>,
    status: String,
    error: Option<String>,
}

const HEADER: [&str; 4] = ["NAME", "KIND", "STATUS", "SOURCE"];
