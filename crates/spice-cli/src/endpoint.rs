//! Where a node answers the public: the URL of one of its listeners.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::Authority;
use tonic::transport::Endpoint;

/// The URL of a public listener of a node, `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicEndpoint {
    authority: Authority,
    port: u16,
}

impl PublicEndpoint {
    /// HTTP of a node on this machine.
    pub(crate) const HTTP: &'static str = "http://127.0.0.1:8090";

    /// Flight SQL of a node on this machine.
    pub(crate) const FLIGHT: &'static str = "http://127.0.0.1:50051";

    /// As a channel of gRPC takes it.
    pub(crate) fn to_channel(&self) -> Result<Endpoint, EndpointError> {
        Endpoint::from_shared(self.to_string()).map_err(|_| EndpointError::Malformed)
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// What is dialled.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        let host = self.authority.host();
        let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        (address.unwrap_or(host), self.port)
    }
}

impl FromStr for PublicEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::Malformed)?;
        match uri.scheme_str() {
            Some("http") => {}
            // Connecting in plaintext where TLS was asked for is never the answer.
            Some("https") => return Err(EndpointError::Https),
            _ => return Err(EndpointError::Malformed),
        }
        let (Some(authority), Some(port)) = (uri.authority(), uri.port_u16()) else {
            return Err(EndpointError::Malformed);
        };
        // Nodes know no passwords, and one would show up in every message.
        let has_user = authority.as_str().contains('@');
        if has_user || authority.host().is_empty() || uri.path() != "/" || uri.query().is_some() {
            return Err(EndpointError::Malformed);
        }
        Ok(Self {
            authority: authority.clone(),
            port,
        })
    }
}

impl fmt::Display for PublicEndpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}", self.authority)
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
        text.parse::<PublicEndpoint>().map(|url| url.to_string())
    }

    #[test]
    fn plain_endpoints_are_shown_as_they_were_given() {
        for text in [
            PublicEndpoint::HTTP,
            PublicEndpoint::FLIGHT,
            "http://n1:1",
            "http://[::1]:8090",
        ] {
            assert_eq!(endpoint(text).as_deref(), Ok(text));
        }
        assert_eq!(endpoint("http://n1:1/").as_deref(), Ok("http://n1:1"));
    }

    #[test]
    fn an_ipv6_address_is_dialled_without_its_brackets() {
        let endpoint: PublicEndpoint = "http://[::1]:7".parse().unwrap();
        assert_eq!(endpoint.host_and_port(), ("::1", 7));
        assert_eq!(endpoint.authority(), "[::1]:7");
    }

    #[test]
    fn https_is_refused_and_never_downgraded() {
        assert_eq!(endpoint("https://n1:8090"), Err(EndpointError::Https));
    }

    #[test]
    fn other_texts_are_no_endpoints() {
        let malformed = [
            "",
            "n1:8090",
            "n1",
            "ftp://n1:1",
            "http://n1",
            "http://n1:1/a",
            "http://n1:1/?a",
            "http://user:word@n1:1",
        ];
        for text in malformed {
            assert_eq!(endpoint(text), Err(EndpointError::Malformed), "{text:?}");
        }
    }
}
