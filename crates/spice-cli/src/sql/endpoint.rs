//! Where a node takes SQL.

use std::fmt;
use std::str::FromStr;

use tonic::transport::{Endpoint, Uri};

/// The URL of a node's public Flight SQL listener, `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlightEndpoint(Uri);

impl FlightEndpoint {
    /// A node on this machine.
    pub(crate) const DEFAULT: &'static str = "http://127.0.0.1:50051";

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from(self.0.clone())
    }
}

impl FromStr for FlightEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::Malformed)?;
        match uri.scheme_str() {
            Some("http") => {}
            // Connecting in plaintext where TLS was asked for is never the answer.
            Some("https") => return Err(EndpointError::Https),
            _ => return Err(EndpointError::Malformed),
        }
        if uri.port_u16().is_none() || uri.path() != "/" || uri.query().is_some() {
            return Err(EndpointError::Malformed);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for FlightEndpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        out.write_str(text.trim_end_matches('/'))
    }
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointError {
    Https,
    Malformed,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Https => {
                "this version speaks plaintext only to the public port; use http:// on a network \
                 that you trust"
            }
            Self::Malformed => "expected http://HOST:PORT, for example http://127.0.0.1:50051",
        })
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<String, EndpointError> {
        text.parse::<FlightEndpoint>().map(|url| url.to_string())
    }

    #[test]
    fn plain_endpoints_are_shown_as_they_were_given() {
        for text in [FlightEndpoint::DEFAULT, "http://n1:1", "http://[::1]:50051"] {
            assert_eq!(endpoint(text).as_deref(), Ok(text));
        }
        assert_eq!(endpoint("http://n1:1/").as_deref(), Ok("http://n1:1"));
    }

    #[test]
    fn https_is_refused_and_never_downgraded() {
        assert_eq!(endpoint("https://n1:50051"), Err(EndpointError::Https));
    }

    #[test]
    fn other_texts_are_no_endpoints() {
        let malformed = [
            "",
            "n1:50051",
            "n1",
            "ftp://n1:1",
            "http://n1",
            "http://n1:1/a",
        ];
        for text in malformed {
            assert_eq!(endpoint(text), Err(EndpointError::Malformed), "{text:?}");
        }
    }
}
