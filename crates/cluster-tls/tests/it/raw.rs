//! Peers that are not ours: rustls without any policy, for what our own side would never do.

use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pki::Issued;

/// A client that trusts everybody, with or without a certificate of its own.
pub(crate) fn client(issued: Option<&Issued>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsEverybody));
    let mut config = match issued {
        Some(issued) => builder.with_client_cert_resolver(Arc::new(unchecked(issued))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A certificate with a key, whether or not one fits the other or any of it parses.
fn unchecked(issued: &Issued) -> SingleCertAndKey {
    let key = aws_lc_rs::sign::any_supported_type(&issued.key_der()).unwrap();
    SingleCertAndKey::from(CertifiedKey::new(issued.chain.clone(), key))
}

/// A server that asks its clients for nothing.
pub(crate) fn server_asking_nothing(issued: &Issued) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(unchecked(issued)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A server that asks its clients for a certificate and takes any.
pub(crate) fn server(issued: &Issued) -> ServerConfig {
    server_with(aws_lc_rs::default_provider(), issued)
}

/// The same with other algorithms.
pub(crate) fn server_with(provider: CryptoProvider, issued: &Issued) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Shown::default()))
        .with_cert_resolver(Arc::new(unchecked(issued)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Certificates that a server was shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown(Arc<Mutex<Vec<CertificateDer<'static>>>>);

impl Shown {
    pub(crate) fn all(&self) -> Vec<CertificateDer<'static>> {
        self.0.lock().unwrap().clone()
    }
}

/// A server that asks its clients for a certificate, takes any, and keeps what it gets.
pub(crate) fn server_asking(issued: &Issued) -> (ServerConfig, Shown) {
    let shown = Shown::default();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(shown.clone()))
        .with_cert_resolver(Arc::new(unchecked(issued)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    (config, shown)
}

/// What a client begins with, as it goes over the wire.
pub(crate) fn client_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// A handshake up to what the client says last, which is returned unsent.
pub(crate) async fn second_flight(config: &Arc<ClientConfig>, tcp: &mut TcpStream) -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut said = Vec::new();
    client.write_tls(&mut said).unwrap();
    tcp.write_all(&said).await.unwrap();
    while client.is_handshaking() {
        let mut heard = [0; 4096];
        let count = tcp.read(&mut heard).await.unwrap();
        let mut unread = &heard[..count];
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    said.clear();
    while client.wants_write() {
        client.write_tls(&mut said).unwrap();
    }
    said
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

/// The smallest answer of a server that chooses TLS 1.2.
pub(crate) fn tls12_server_hello() -> Vec<u8> {
    let mut hello = vec![0x03, 0x03];
    hello.extend([7; 32]); // random
    hello.push(0); // no session
    hello.extend([0xc0, 0x2b]); // ECDHE-ECDSA-AES128-GCM-SHA256
    hello.push(0); // no compression
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 0x03, 0x03, 0, length + 4, 0x02, 0, 0, length];
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

impl ClientCertVerifier for Shown {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.lock().unwrap().push(end_entity.clone().into_owned());
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        TrustsEverybody.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        TrustsEverybody.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        TrustsEverybody.supported_verify_schemes()
    }
}
