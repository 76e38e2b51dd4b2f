//! The verifier on the accepting side.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::verify_tls13_signature;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::policy::Usage;
use crate::verify::{RevocationCheck, Verdict, Verifier};

/// Judges the certificates of peers that dial us.
#[derive(Debug)]
pub(crate) struct Inbound {
    verifier: Arc<Verifier>,
    verdict: Verdict,
}

impl Inbound {
    /// A verifier for one handshake, which leaves its finding in `verdict`.
    pub(crate) fn new(verifier: Arc<Verifier>, verdict: Verdict) -> Self {
        Self { verifier, verdict }
    }
}

impl ClientCertVerifier for Inbound {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.verifier.hints
    }

    /// `_now` comes from whoever built the configuration; the snapshot's own clock is used, so
    /// that there is one.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let outcome = self.verifier.verify(
            end_entity,
            intermediates,
            Usage::Client,
            RevocationCheck::Enforce,
        );
        let answer = match &outcome {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(refusal) => Err(refusal.to_alerting_error()),
        };
        self.verdict.record(outcome);
        answer
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.verifier.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.algorithms.supported_schemes()
    }
}
