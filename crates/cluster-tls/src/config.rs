//! The rustls configurations: the only place of the project where one is built.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, ServerConfig, SignatureScheme};

use crate::clock::{Clock, RustlsClock};
use crate::policy::ApplicationProtocol;
use crate::verify::{Inbound, Verdict, Verifier};

/// What both configurations are made of. All that is large in it is shared, because a
/// configuration is made for each handshake: verifiers leave their verdict in it.
pub(crate) struct Material {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) protocol: ApplicationProtocol,
}

impl Material {
    /// The accepting side of one handshake.
    pub(crate) fn server(&self, verdict: Verdict) -> Result<ServerConfig, Error> {
        let clock = Arc::new(RustlsClock(Arc::clone(&self.clock)));
        let verifier = Inbound::new(Arc::clone(&self.verifier), verdict);
        let mut config = ServerConfig::builder_with_details(Arc::clone(&self.provider), clock)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(self.resolver()));
        config.alpn_protocols = self.protocols();
        // A resumed session skips the verifier altogether, so a revoked peer would walk back in
        // with its old certificate: nothing to resume is kept, and nothing is handed out.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(config)
    }

    /// The dialling side of one handshake, for peers that `outbound` accepts.
    pub(crate) fn client(
        &self,
        outbound: Arc<dyn ServerCertVerifier>,
        verdict: Verdict,
    ) -> Result<ClientConfig, Error> {
        let clock = Arc::new(RustlsClock(Arc::clone(&self.clock)));
        let mut config = ClientConfig::builder_with_details(Arc::clone(&self.provider), clock)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(outbound)
            .with_client_cert_resolver(Arc::new(Shown {
                certified: Arc::clone(&self.certified),
                verdict,
            }));
        config.alpn_protocols = self.protocols();
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(config)
    }

    fn resolver(&self) -> SingleCertAndKey {
        SingleCertAndKey::from(Arc::clone(&self.certified))
    }

    fn protocols(&self) -> Vec<Vec<u8>> {
        vec![self.protocol.as_str().as_bytes().to_vec()]
    }
}

/// Our certificate, for a server that asks for it; that it asked is noted.
#[derive(Debug)]
struct Shown {
    certified: Arc<CertifiedKey>,
    verdict: Verdict,
}

impl ResolvesClientCert for Shown {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.verdict.note_asked();
        Some(Arc::clone(&self.certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// aws-lc-rs with the key exchange groups in our order.
///
/// The order is written down because the default depends on a feature that any other crate of a
/// build may leave off: the hybrid post-quantum group comes first. With the feature `fips` only
/// what the validated module covers is left.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![
        aws_lc_rs::kx_group::X25519MLKEM768,
        aws_lc_rs::kx_group::X25519,
        aws_lc_rs::kx_group::SECP256R1,
    ];
    provider
        .cipher_suites
        .retain(|suite| suite.version().version == TLS13.version);
    #[cfg(feature = "fips")]
    {
        provider.kx_groups.retain(|group| group.fips());
        provider.cipher_suites.retain(|suite| suite.fips());
    }
    Arc::new(provider)
}
