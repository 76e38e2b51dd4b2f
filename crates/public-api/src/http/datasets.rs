//! `GET /v1/datasets`: the tables of the node, and whether their data is there.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spice_runtime::{QueryError, TableKind, TableState};
use tokio::time::timeout;

use super::HttpState;
use super::error::ApiError;

pub(super) async fn datasets(State(state): State<HttpState>) -> Result<Json<Document>, ApiError> {
    let tables = state.info.tables().ok_or_else(|| unavailable(NOT_OPEN))?;
    let looked = timeout(LOOK_TIMEOUT, tables.survey()).await;
    let states = looked.map_err(|_| unavailable(NO_ANSWER))??;
    Ok(Json(Document {
        datasets: states.into_iter().map(entry).collect(),
    }))
}

fn unavailable(text: &str) -> ApiError {
    QueryError::Unavailable(text.to_owned()).into()
}

fn entry(state: TableState) -> Entry {
    Entry {
        name: state.table.name.to_string(),
        kind: match state.table.kind {
            TableKind::Dataset => "dataset",
            TableKind::View => "view",
        },
        source: state.table.source.map(|source| source.to_string()),
        status: if state.fault.is_none() {
            "ready"
        } else {
            "error"
        },
        error: state.fault,
    }
}

#[derive(Serialize)]
pub(super) struct Document {
    datasets: Vec<Entry>,
}

/// Parameters are left out: with sources of a later kind they may hold secrets.
#[derive(Serialize)]
struct Entry {
    name: String,
    kind: &'static str,
    source: Option<String>,
    status: &'static str,
    error: Option<String>,
}

/// A file system that takes longer answers no query either.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

const NOT_OPEN: &str = "this node has not opened its datasets yet";

const NO_ANSWER: &str = "the file system of the datasets does not answer";
