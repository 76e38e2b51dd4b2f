//! `POST /v1/sql`: a statement in, rows out as they come.

use std::io;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use spice_runtime::QueryError;
use tracing::Span;

use super::accept::RowFormat;
use super::encode::Encoder;
use super::error::ApiError;
use super::{HttpState, body};
use crate::MAX_SQL_BYTES;

pub(super) async fn sql(
    State(state): State<HttpState>,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, ApiError> {
    let format = RowFormat::negotiate(&headers)?;
    let text = body::text(request, MAX_SQL_BYTES).await?;
    let engine = state.sql.as_ref().ok_or_else(no_sql_here)?;
    let query = engine.plan(&text).await?;
    let rows = Box::pin(engine.execute(query)).await?;
    let answer = match format {
        RowFormat::Table => Body::from(table(rows).await?),
        _ => streamed(format, rows).await?,
    };
    Ok(([(header::CONTENT_TYPE, format.content_type())], answer).into_response())
}

fn no_sql_here() -> ApiError {
    let text = "this node answers no SQL; ask a scheduler of its cluster";
    QueryError::Unavailable(text.to_owned()).into()
}

/// The body of a streamed answer. The first batch is awaited before the status is sent, so that
/// a query that fails at once fails with a status of its own.
async fn streamed(
    format: RowFormat,
    mut rows: SendableRecordBatchStream,
) -> Result<Body, ApiError> {
    let schema = rows.schema();
    let mut encoder = Encoder::new(format, &schema).map_err(unwritable)?;
    let mut head = encoder.head(&schema).map_err(unwritable)?.to_vec();
    let first = rows.next().await.transpose().map_err(QueryError::from)?;
    if let Some(batch) = &first {
        head.extend(encoder.batch(batch).map_err(unwritable)?);
    } else {
        head.extend(encoder.finish().map_err(unwritable)?);
        return Ok(Body::from(head));
    }
    let head = stream::iter([Ok(Bytes::from(head))]);
    Ok(Body::from_stream(head.chain(rest(encoder, rows))))
}

/// Every chunk behind the head. An error ends the transfer without its last chunk, which is the
/// one way left to tell the client that the answer is incomplete.
fn rest(
    encoder: Encoder,
    rows: SendableRecordBatchStream,
) -> impl Stream<Item = Result<Bytes, io::Error>> {
    let span = Span::current();
    let chunks = stream::try_unfold(Some((encoder, rows)), next_chunk);
    chunks
        .try_filter(|chunk| std::future::ready(!chunk.is_empty()))
        .map_err(move |error| {
            span.in_scope(|| tracing::warn!(%error, "query failed after its first rows"));
            io::Error::other(error)
        })
}

type Rest = Option<(Encoder, SendableRecordBatchStream)>;

async fn next_chunk(rest: Rest) -> Result<Option<(Bytes, Rest)>, QueryError> {
    let Some((mut encoder, mut rows)) = rest else {
        return Ok(None);
    };
    match rows.next().await.transpose()? {
        Some(batch) => {
            let chunk = encoder.batch(&batch).map_err(|error| broken(&error))?;
            Ok(Some((chunk, Some((encoder, rows)))))
        }
        None => Ok(Some((
            encoder.finish().map_err(|error| broken(&error))?,
            None,
        ))),
    }
}

/// A text table, whole.
async fn table(mut rows: SendableRecordBatchStream) -> Result<Bytes, ApiError> {
    let schema = rows.schema();
    let mut encoder = Encoder::new(RowFormat::Table, &schema).map_err(unwritable)?;
    while let Some(batch) = rows.next().await {
        let batch: RecordBatch = batch.map_err(QueryError::from)?;
        encoder.batch(&batch).map_err(unwritable)?;
    }
    encoder.finish().map_err(unwritable)
}

/// Rows that the chosen format cannot hold: another format can.
fn unwritable(error: ArrowError) -> ApiError {
    use ArrowError as E;
    match error {
        E::InvalidArgumentError(message) | E::CsvError(message) => ApiError::bad_request(message),
        other => ApiError::from(broken(&other)),
    }
}

fn broken(error: &ArrowError) -> QueryError {
    QueryError::Failed(error.to_string())
}
