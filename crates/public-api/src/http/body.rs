//! Reading a request body within limits of size and time.

use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use tokio::time::timeout;

use super::error::ApiError;

/// The whole body as text.
pub(super) async fn text(body: Body, limit_bytes: usize) -> Result<String, ApiError> {
    let read = timeout(BODY_TIMEOUT, collect(body, limit_bytes)).await;
    let bytes = read.map_err(|_| ApiError::too_slow())??;
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request("the request body is not UTF-8"))
}

async fn collect(body: Body, limit_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut collected = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::bad_request("the request body broke off"))?;
        if collected.len() + chunk.len() > limit_bytes {
            return Err(ApiError::too_large(limit_bytes));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected)
}

/// A statement is small; who takes longer is not going to finish.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
