//! Peers that are not ours: rustls without any policy, for what our own side would never do.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};

use crate::pki::Issued;

/// A client that trusts everybody, with or without a certificate of its own.
pub(crate) fn client(issued: Option<&Issued>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsEverybody));
    let mut config = match issued {
        Some(issued) => builder
            .with_client_auth_cert(issued.chain.clone(), issued.key_der())
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A server that asks its clients for nothing.
pub(crate) fn server(issued: &Issued) -> ServerConfig {
    server_with(aws_lc_rs::default_provider(), issued)
}

/// The same with other algorithms.
pub(crate) fn server_with(provider: CryptoProvider, issued: &Issued) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(issued.chain.clone(), issued.key_der())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The smallest ClientHello that offers TLS 1.2 and nothing newer.
pub(crate) fn tls12_client_hello() -> Vec<u8> {
    let extensions = [
        [0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17].as_slice(), // group P-256
        &[0x00, 0x0b, 0x00, 0x02, 0x01, 0x00],                       // uncompressed points
        &[0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03],           // ECDSA with SHA-256
        &[0x00, 0x17, 0x00, 0x00],                                   // extended master secret
    ]
    .concat();
    let mut hello = vec![0x03, 0x03];
    hello.extend([7; 32]); // random
    hello.push(0); // no session
    hello.extend([0x00, 0x02, 0xc0, 0x2b]); // ECDHE-ECDSA-AES128-GCM-SHA256
    hello.extend([0x01, 0x00]); // no compression
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);

    let length = u16::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 0x03, 0x01];
    record.extend((length + 4).to_be_bytes());
    record.extend([0x01, 0x00]);
    record.extend(length.to_be_bytes());
    record.extend(hello);
    record
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[derive(Debug)]
struct TrustsEverybody;

impl ServerCertVerifier for TrustsEverybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("not asked for".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
