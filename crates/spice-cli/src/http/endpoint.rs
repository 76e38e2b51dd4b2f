//! Where a node answers HTTP.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::Authority;

use crate::sql;

/// The URL of a node's public HTTP listener, `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpEndpoint {
    authority: Authority,
    port: u16,
}

impl HttpEndpoint {
    /// A node on this machine.
    pub(crate) const DEFAULT: &'static str = "http://127.0.0.1:8090";

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

impl FromStr for HttpEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::Malformed)?;
        match uri.scheme_str() {
            Some("http") => {}
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

impl fmt::Display for HttpEndpoint {
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
        match self {
            // One rule for all public ports, and one text.
            Self::Https => sql::EndpointError::Https.fmt(out),
            Self::Malformed => {
                out.write_str("expected http://HOST:PORT, for example http://127.0.0.1:8090")
            }
        }
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<String, EndpointError> {
        text.parse::<HttpEndpoint>().map(|url| url.to_string())
    }

    #[test]
    fn plain_endpoints_are_shown_as_they_were_given() {
        for text in [HttpEndpoint::DEFAULT, "http://n1:1", "http://[::1]:8090"] {
            assert_eq!(endpoint(text).as_deref(), Ok(text));
        }
        assert_eq!(endpoint("http://n1:1/").as_deref(), Ok("http://n1:1"));
    }

    #[test]
    fn an_ipv6_address_is_dialled_without_its_brackets() {
        let endpoint: HttpEndpoint = "http://[::1]:7".parse().unwrap();
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
