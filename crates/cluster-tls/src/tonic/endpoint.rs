//! Endpoints that other code connects by itself.

use std::sync::Arc;

use ::tonic::transport::{ClientTlsConfig, Endpoint, Identity};

use super::transport::{Mode, Mutual};
use crate::role::Role;

pub(super) fn secure(
    mode: &Mode,
    endpoint: Endpoint,
    expected: Role,
) -> Result<Endpoint, EndpointError> {
    let wanted = match mode {
        Mode::Mutual(_) => "https",
        Mode::Plaintext { .. } => "http",
    };
    if endpoint.uri().scheme_str() != Some(wanted) {
        return Err(EndpointError::Scheme {
            uri: endpoint.uri().to_string(),
            wanted,
        });
    }
    match mode {
        Mode::Mutual(mutual) => with_tls(mutual, endpoint, expected),
        Mode::Plaintext { .. } => Ok(endpoint),
    }
}

fn with_tls(
    mutual: &Mutual,
    endpoint: Endpoint,
    expected: Role,
) -> Result<Endpoint, EndpointError> {
    let snapshot = mutual.credentials.current();
    let pem = snapshot.pem().ok_or(EndpointError::NoText)?;
    let config = ClientTlsConfig::new()
        .identity(Identity::from_pem(&pem.certificate, pem.key.as_slice()))
        .timeout(mutual.dial.handshake_timeout);
    endpoint
        .connect_timeout(mutual.dial.connect_timeout + mutual.dial.handshake_timeout)
        .tls_config_with_verifier(config, Arc::new(snapshot.outbound(expected)))
        .map_err(EndpointError::Tls)
}

/// Why an endpoint cannot be secured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The URI's scheme does not say what the transport does.
    #[error("the endpoint {uri} must start with {wanted}://")]
    Scheme {
        /// The endpoint's URI.
        uri: String,
        /// The scheme that the transport asks for.
        wanted: &'static str,
    },
    /// The credentials are not at hand as text.
    #[error("the credentials are not at hand as text")]
    NoText,
    /// tonic refused the TLS configuration.
    #[error("tonic refuses the TLS configuration")]
    Tls(#[source] ::tonic::transport::Error),
}
