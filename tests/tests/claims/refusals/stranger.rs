//! A TLS client without any policy of its own, for what our own side would never do.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use cluster_test::Issued;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::fixture::PATIENCE;

/// A client that trusts everybody.
pub(crate) struct Stranger {
    certificate: Option<Credentials>,
    protocols: Vec<Vec<u8>>,
}

type Credentials = (
    Vec<CertificateDer<'static>>,
    rustls_pki_types::PrivateKeyDer<'static>,
);

/// What a client got.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Bytes of HTTP/2.
    Served,
    /// Nothing but the end of the connection, with what the client saw of the reason.
    Closed(String),
}

impl Stranger {
    /// Without a certificate.
    pub(super) fn anonymous() -> Self {
        Self {
            certificate: None,
            protocols: vec![b"h2".to_vec()],
        }
    }

    /// With a certificate.
    pub(crate) fn with(issued: &Issued) -> Self {
        Self {
            certificate: Some((issued.chain(), issued.key())),
            ..Self::anonymous()
        }
    }

    /// With a certificate, but without the intermediates that belong to it.
    pub(super) fn with_leaf_only(issued: &Issued) -> Self {
        let mut stranger = Self::with(issued);
        if let Some((chain, _)) = &mut stranger.certificate {
            chain.truncate(1);
        }
        stranger
    }

    /// Offers other protocols than `h2`, or none at all.
    pub(super) fn offering<const N: usize>(mut self, protocols: [&[u8]; N]) -> Self {
        self.protocols = protocols.map(<[u8]>::to_vec).to_vec();
        self
    }

    /// Connects from `source`, shakes hands, begins HTTP/2 and waits for the first bytes.
    ///
    /// In TLS 1.3 a client is through with the handshake before its certificate is looked at,
    /// so only an answer proves that it was accepted.
    pub(crate) async fn knock(self, source: IpAddr, server: SocketAddr) -> Result<Answer> {
        let tcp = connect(source, server).await?;
        let connector = TlsConnector::from(Arc::new(self.config()?));
        let name = ServerName::from(server.ip());
        let exchange = async {
            let mut tls = connector.connect(name, tcp).await?;
            tls.write_all(HTTP2_BEGINNING).await?;
            first_bytes(&mut tls).await
        };
        let outcome = timeout(PATIENCE, exchange).await;
        Ok(answer(outcome.context("neither served nor refused")?))
    }

    fn config(self) -> Result<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustsEverybody(provider)));
        let mut config = match self.certificate {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocols;
        Ok(config)
    }
}

/// Connects from `source`, says `words` without TLS, and waits for the end: everything that the
/// server said.
pub(super) async fn speak(source: IpAddr, server: SocketAddr, words: &[u8]) -> Result<Vec<u8>> {
    let mut tcp = connect(source, server).await?;
    tcp.write_all(words).await?;
    let mut heard = Vec::new();
    let listened = timeout(PATIENCE, tcp.read_to_end(&mut heard)).await;
    // A reset is an end as well: what the server did not read makes its close one.
    let _ = listened.context("the connection is still open")?;
    Ok(heard)
}

pub(super) async fn connect(source: IpAddr, server: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source, 0))?;
    let connected = timeout(PATIENCE, socket.connect(server)).await;
    connected?.with_context(|| format!("cannot connect from {source} to {server}"))
}

async fn first_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
    stream.read(&mut [0; 64]).await
}

fn answer(outcome: io::Result<usize>) -> Answer {
    match outcome {
        Ok(0) => Answer::Closed("the end".to_owned()),
        Ok(_) => Answer::Served,
        Err(error) => Answer::Closed(error.to_string()),
    }
}

#[derive(Debug)]
struct TrustsEverybody(Arc<CryptoProvider>);

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
        Err(Error::General("only TLS 1.3 was offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The connection preface of RFC 9113, 3.4, and an empty SETTINGS frame.
const HTTP2_BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
