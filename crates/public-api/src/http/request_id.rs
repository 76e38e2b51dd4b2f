//! One id for each request: in the response, and on every log line in between.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

/// Take over the client's id, or make one, and run the request under it.
pub(super) async fn attach(request: Request, next: Next) -> Response {
    let (text, value) = request
        .headers()
        .get(X_REQUEST_ID)
        .and_then(usable)
        .unwrap_or_else(fresh);
    let span = tracing::info_span!(
        "request",
        request_id = text,
        method = %request.method(),
        path = request.uri().path(),
    );
    let mut response = async {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "request answered");
        response
    }
    .instrument(span)
    .await;
    response.headers_mut().insert(X_REQUEST_ID, value);
    response
}

/// A client's id goes into logs and a header, so only a short and plain one is taken.
fn usable(value: &HeaderValue) -> Option<(String, HeaderValue)> {
    let text = value.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let good = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(plain);
    good.then(|| (text.to_owned(), value.clone()))
}

/// Version 7, so that ids sort by time.
#[expect(
    clippy::expect_used,
    reason = "a UUID is hexadecimal digits and hyphens, which any header may hold"
)]
fn fresh() -> (String, HeaderValue) {
    let text = Uuid::now_v7().to_string();
    let value = HeaderValue::from_str(&text).expect("a UUID is a header value");
    (text, value)
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_BYTES: usize = 128;
