//! One consistent set of credentials: roots, chain, key, and what they add up to.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, Error, ServerConfig};

use crate::config::Material;
use crate::identity::PeerIdentity;
use crate::policy::ApplicationProtocol;
use crate::refusal::Refusal;
use crate::revocation::{RevocationListSummary, Revocations};
use crate::role::Role;
use crate::root::RootSummary;
use crate::verify::{Outbound, Verdict, Verifier};

/// Verified credentials of this node: they change together or not at all.
///
/// A snapshot exists only if our own verifier would accept our own certificate, in both
/// directions. It is made by [`load`](crate::load) and put to use by [`publish`](crate::publish).
pub struct Snapshot {
    own: PeerIdentity,
    identity_generation: u64,
    own_revocation: Option<Refusal>,
    roots: Vec<RootSummary>,
    material: Material,
    #[cfg(feature = "tonic")]
    pem: Option<PemPair>,
}

/// Certificate and key as text, for the one API that accepts nothing else (tonic's `Identity`).
#[cfg(feature = "tonic")]
pub(crate) struct PemPair {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: zeroize::Zeroizing<Vec<u8>>,
}

impl Snapshot {
    pub(crate) fn new(own: PeerIdentity, material: Material) -> Self {
        let roots = material.verifier.roots();
        Self {
            own,
            identity_generation: 0,
            own_revocation: None,
            roots: roots.iter().map(|root| root.summary.clone()).collect(),
            material,
            #[cfg(feature = "tonic")]
            pem: None,
        }
    }

    #[cfg(feature = "tonic")]
    pub(crate) fn with_pem(self, pem: PemPair) -> Self {
        Self {
            pem: Some(pem),
            ..self
        }
    }

    pub(crate) fn with_own_revocation(self, own_revocation: Option<Refusal>) -> Self {
        Self {
            own_revocation,
            ..self
        }
    }

    /// Whether rustls makes both configurations of the material.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        self.server_config(Verdict::default())?;
        self.client_config(Role::Node, Verdict::default())?;
        Ok(())
    }

    pub(crate) fn at_generation(self, generation: u64, identity_generation: u64) -> Self {
        Self {
            own: self.own.at_generation(generation),
            identity_generation,
            ..self
        }
    }

    /// Which snapshot of this process it is: 0 until published, then counted from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.own.generation()
    }

    /// The generation since which our own certificate is the one that it is.
    #[must_use]
    pub fn identity_generation(&self) -> u64 {
        self.identity_generation
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

    /// Why our own certificate is no longer believed, where a reload has found that: the node
    /// goes on with it so as to refuse others by the same news, and its peers refuse it.
    #[must_use]
    pub fn own_revocation(&self) -> Option<&Refusal> {
        self.own_revocation.as_ref()
    }

    /// The revocation lists in use: whose they are, and until when they are believed.
    pub fn revocation_lists(&self) -> impl Iterator<Item = &RevocationListSummary> {
        let lists = self.material.verifier.revocations();
        let lists = lists.into_iter().flat_map(Revocations::lists);
        lists.map(|list| &list.summary)
    }

    /// How many certificates the deny-list names; none without a list.
    #[must_use]
    pub fn denied_count(&self) -> Option<usize> {
        self.material.verifier.denied_count()
    }

    /// Whether a revocation list of `current` has been exchanged for an older one.
    pub(crate) fn rolled_back_from(&self, current: &Self) -> Option<&RevocationListSummary> {
        let ours = self.material.verifier.revocations()?;
        ours.rolled_back_from(current.material.verifier.revocations()?)
    }

    pub(crate) fn protocol(&self) -> &ApplicationProtocol {
        &self.material.protocol
    }

    pub(crate) fn verifier(&self) -> &Arc<Verifier> {
        &self.material.verifier
    }

    pub(crate) fn server_config(&self, verdict: Verdict) -> Result<Arc<ServerConfig>, Error> {
        self.material.server(verdict).map(Arc::new)
    }

    pub(crate) fn client_config(
        &self,
        expected: Role,
        verdict: Verdict,
    ) -> Result<Arc<ClientConfig>, Error> {
        let outbound = self.outbound(expected).recording(verdict.clone());
        self.client_config_with(Arc::new(outbound), verdict)
    }

    /// The same under a verifier that does more than verify.
    pub(crate) fn client_config_with(
        &self,
        outbound: Arc<dyn ServerCertVerifier>,
        verdict: Verdict,
    ) -> Result<Arc<ClientConfig>, Error> {
        self.material.client(outbound, verdict).map(Arc::new)
    }

    pub(crate) fn outbound(&self, expected: impl Into<Option<Role>>) -> Outbound {
        Outbound::new(Arc::clone(&self.material.verifier), expected.into())
    }

    #[cfg(feature = "tonic")]
    pub(crate) fn pem(&self) -> Option<&PemPair> {
        self.pem.as_ref()
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
