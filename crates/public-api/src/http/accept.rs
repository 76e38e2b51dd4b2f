//! Choosing the form of the answer from the `Accept` header.

use axum::http::{HeaderMap, header};

use super::error::ApiError;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowFormat {
    Json,
    Csv,
    Table,
    ArrowStream,
}

impl RowFormat {
    /// The form the client likes best; JSON where it does not say.
    pub(super) fn negotiate(headers: &HeaderMap) -> Result<RowFormat, ApiError> {
        let wishes: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        if wishes.is_empty() {
            return Ok(RowFormat::Json);
        }
        best(&wishes).ok_or_else(|| {
            ApiError::not_acceptable(
                "the answer comes as application/json, text/csv, text/plain or \
                 application/vnd.apache.arrow.stream"
                    .to_owned(),
            )
        })
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            RowFormat::Json => "application/json",
            RowFormat::Csv => "text/csv; charset=utf-8",
            RowFormat::Table => "text/plain; charset=utf-8",
            RowFormat::ArrowStream => "application/vnd.apache.arrow.stream",
        }
    }
}

/// The first of the wishes with the highest weight that can be granted (RFC 9110, 12.5.1).
fn best(wishes: &[&str]) -> Option<RowFormat> {
    let mut best: Option<(f32, RowFormat)> = None;
    for wish in wishes {
        let mut parts = wish.split(';').map(str::trim);
        let format = parts.next().and_then(named);
        let weight = weight(parts);
        if let Some(format) = format
            && weight > best.map_or(0.0, |(highest, _)| highest)
        {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format)
}

fn named(media_type: &str) -> Option<RowFormat> {
    match media_type.to_ascii_lowercase().as_str() {
        "*/*" | "application/*" | "application/json" => Some(RowFormat::Json),
        "text/csv" => Some(RowFormat::Csv),
        "text/*" | "text/plain" => Some(RowFormat::Table),
        "application/vnd.apache.arrow.stream" => Some(RowFormat::ArrowStream),
        _ => None,
    }
}

fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    parameters
        .find_map(|parameter| parameter.strip_prefix("q="))
        .map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn negotiated(accept: &'static str) -> Option<RowFormat> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        RowFormat::negotiate(&headers).ok()
    }

    #[test]
    fn grants_the_wish_with_the_highest_weight() {
        for (accept, format) in [
            ("*/*", RowFormat::Json),
            ("application/json", RowFormat::Json),
            ("Text/CSV", RowFormat::Csv),
            ("text/plain, */*;q=0.1", RowFormat::Table),
            ("application/json;q=0.5, text/csv;q=0.9", RowFormat::Csv),
            ("image/png, text/csv;q=0.1", RowFormat::Csv),
            (
                "application/vnd.apache.arrow.stream",
                RowFormat::ArrowStream,
            ),
        ] {
            assert_eq!(negotiated(accept), Some(format), "{accept}");
        }
        let unsaid = RowFormat::negotiate(&HeaderMap::new()).unwrap();
        assert_eq!(unsaid, RowFormat::Json);
    }

    #[test]
    fn refuses_what_cannot_be_granted() {
        for accept in ["image/png", "text/csv;q=0", "text/csv;q=nonsense"] {
            assert_eq!(negotiated(accept), None, "{accept}");
        }
    }
}
