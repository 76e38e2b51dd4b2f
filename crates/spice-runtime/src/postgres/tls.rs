//! TLS towards a database: the one place outside cluster-tls that configures it.
//!
//! cluster-tls is for connections between nodes, where both sides prove who they are to one root.
//! A database proves itself to roots of its own, and asks for a password.

use std::fs;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::PostgresError;

/// TLS with a server whose certificate reaches the system's roots and is for the host that was
/// dialled. The connector offers no choice of rustls' provider: it takes the default one, which is
/// the one that is linked. Reads files: not for async workers.
pub(super) fn system_roots() -> Result<MakeRustlsConnect, PostgresError> {
    match MakeRustlsConnect::with_native_certs() {
        Ok((connector, _)) => Ok(connector),
        Err(_) => Err(PostgresError::Roots {
            reason: "is needed: this system has no root certificates".to_owned(),
        }),
    }
}

/// As [`system_roots`], with the roots in `text`: PEM, or the path of a file with it. Reads files:
/// not for async workers.
pub(super) fn roots(text: &str) -> Result<MakeRustlsConnect, PostgresError> {
    let pem = if text.trim_start().starts_with("-----BEGIN") {
        text.to_owned()
    } else {
        fs::read_to_string(text).map_err(|source| PostgresError::RootsFile {
            path: text.into(),
            source,
        })?
    };
    let unusable = |reason: String| PostgresError::Roots { reason };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate =
            certificate.map_err(|error| unusable(format!("holds no readable PEM: {error}")))?;
        let added = store.add(certificate);
        added.map_err(|error| unusable(format!("holds a certificate that is no root: {error}")))?;
    }
    if store.is_empty() {
        return Err(unusable("holds no certificate".to_owned()));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map_err(|error| unusable(format!("is of no use: {error}")))?;
    connector(verifier)
}

/// TLS with whoever answers. The connection must demand that the password exchange is bound to it:
/// that is what tells the server from somebody in between.
pub(super) fn any_certificate() -> Result<MakeRustlsConnect, PostgresError> {
    connector(Arc::new(AnyCertificate(
        provider().signature_verification_algorithms,
    )))
}

fn connector(verifier: Arc<dyn ServerCertVerifier>) -> Result<MakeRustlsConnect, PostgresError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresError::Tls {
            reason: error.to_string(),
        })?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::aws_lc_rs::default_provider())
}

/// Believes every certificate, and still checks that the server has its key: without that a copied
/// certificate would do.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
