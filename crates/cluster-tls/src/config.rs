//! The rustls configurations: the only place of the project where one is built.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, ServerConfig};

use crate::clock::{Clock, RustlsClock};
use crate::verify::{Inbound, Outbound, Verifier};

/// What both configurations are made of.
pub(crate) struct Material {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) verifier: Arc<Verifier>,
}

impl Material {
    /// The accepting side.
    pub(crate) fn server(&self) -> Result<ServerConfig, Error> {
        let clock = Arc::new(RustlsClock(Arc::clone(&self.clock)));
        let mut config = ServerConfig::builder_with_details(Arc::clone(&self.provider), clock)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(Inbound(Arc::clone(&self.verifier))))
            .with_cert_resolver(Arc::new(self.resolver()));
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        // A resumed session skips the verifier altogether, so a revoked peer would walk back in
        // with its old certificate: nothing to resume is kept, and nothing is handed out.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(config)
    }

    /// The dialling side, for peers that `outbound` accepts.
    pub(crate) fn client(&self, outbound: Outbound) -> Result<ClientConfig, Error> {
        let clock = Arc::new(RustlsClock(Arc::clone(&self.clock)));
        let mut config = ClientConfig::builder_with_details(Arc::clone(&self.provider), clock)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(outbound))
            .with_client_cert_resolver(Arc::new(self.resolver()));
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(config)
    }

    fn resolver(&self) -> SingleCertAndKey {
        SingleCertAndKey::from(Arc::clone(&self.certified))
    }
}

/// aws-lc-rs with the key exchange groups in our order.
///
/// The order is written down because the default depends on a feature that any other crate of a
/// build may leave off: the hybrid post-quantum group comes first.
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
    Arc::new(provider)
}

/// The only protocol spoken between nodes.
pub(crate) const ALPN_H2: &[u8] = b"h2";
