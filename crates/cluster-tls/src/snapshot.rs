//! One consistent set of credentials: roots, chain, key, and what they add up to.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use rustls::{ClientConfig, Error, ServerConfig};

use crate::config::Material;
use crate::identity::PeerIdentity;
use crate::role::Role;
use crate::root::RootSummary;
use crate::verify::Outbound;

/// Verified credentials of this node: they change together or not at all.
///
/// A snapshot exists only if our own verifier would accept our own certificate, in both
/// directions. It is made by [`load`](crate::load) and put to use by [`publish`](crate::publish).
pub struct Snapshot {
    own: PeerIdentity,
    roots: Vec<RootSummary>,
    material: Material,
    server: Arc<ServerConfig>,
    #[cfg(feature = "tonic")]
    pem: PemPair,
}

/// Certificate and key as text, for the one API that accepts nothing else (tonic's `Identity`).
#[cfg(feature = "tonic")]
pub(crate) struct PemPair {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: zeroize::Zeroizing<Vec<u8>>,
}

impl Snapshot {
    pub(crate) fn new(
        own: PeerIdentity,
        material: Material,
        #[cfg(feature = "tonic")] pem: PemPair,
    ) -> Result<Self, Error> {
        let roots = material.verifier.roots();
        Ok(Self {
            own,
            roots: roots.iter().map(|root| root.summary.clone()).collect(),
            server: Arc::new(material.server()?),
            material,
            #[cfg(feature = "tonic")]
            pem,
        })
    }

    pub(crate) fn at_generation(self, generation: u64) -> Self {
        Self {
            own: self.own.at_generation(generation),
            ..self
        }
    }

    /// Which snapshot of this process it is: 0 until published, then counted from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.own.generation()
    }

    /// Who this node is to its peers.
    #[must_use]
    pub fn own(&self) -> &PeerIdentity {
        &self.own
    }

    /// The roots that peers are verified against, in the order of the file.
    #[must_use]
    pub fn roots(&self) -> &[RootSummary] {
        &self.roots
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The dialling configuration depends on whom we dial, so it is made per dial; all that is
    /// large in it is shared.
    pub(crate) fn client_config(&self, expected: Role) -> Result<Arc<ClientConfig>, Error> {
        self.material.client(self.outbound(expected)).map(Arc::new)
    }

    pub(crate) fn outbound(&self, expected: Role) -> Outbound {
        Outbound::new(Arc::clone(&self.material.verifier), expected)
    }

    #[cfg(feature = "tonic")]
    pub(crate) fn pem(&self) -> &PemPair {
        &self.pem
    }
}

impl Debug for Snapshot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("own", &self.own)
            .field("roots", &self.roots)
            .finish_non_exhaustive()
    }
}
