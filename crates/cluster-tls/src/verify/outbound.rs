//! The verifier on the dialling side, which also knows whom it dialled.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::{DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::identity::Claims;
use crate::name::Name;
use crate::policy::Usage;
use crate::refusal::{Refusal, RefusalReason};
use crate::role::Role;
use crate::verify::{RevocationCheck, Verdict, Verified, Verifier};

/// Judges the certificates of peers that we dial.
#[derive(Debug)]
pub(crate) struct Outbound {
    verifier: Arc<Verifier>,
    /// None only where somebody looks and wants nothing.
    expected: Option<Role>,
    verdict: Option<Verdict>,
}

impl Outbound {
    /// A verifier for peers that must be allowed to act as `expected`.
    pub(crate) fn new(verifier: Arc<Verifier>, expected: Option<Role>) -> Self {
        Self {
            verifier,
            expected,
            verdict: None,
        }
    }

    /// The same for one handshake, with the finding left in `verdict`.
    pub(crate) fn recording(self, verdict: Verdict) -> Self {
        Self {
            verdict: Some(verdict),
            ..self
        }
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        dialled: &ServerName<'_>,
    ) -> Result<Verified, Refusal> {
        let usage = Usage::Server;
        let check = RevocationCheck::Enforce;
        let verified = self.verifier.verify(leaf, intermediates, usage, check)?;
        self.meets_the_dial(&verified.claims, dialled)
            .map_err(|refusal| refusal.claiming(verified.claims.to_strings()))?;
        Ok(verified)
    }

    fn meets_the_dial(&self, claims: &Claims, dialled: &ServerName<'_>) -> Result<(), Refusal> {
        let name = Name::from_server_name(dialled)
            .map_err(|error| Refusal::new(RefusalReason::WrongName, error.to_string()))?;
        if !claims.names.contains(&name) {
            let names: Vec<_> = claims.names.iter().map(Name::to_string).collect();
            return Err(Refusal::new(
                RefusalReason::WrongName,
                format!(
                    "dialled {name}, but the certificate is for: {}",
                    names.join(", ")
                ),
            ));
        }
        match self.expected {
            Some(expected) if !claims.role.may_act_as(expected) => Err(Refusal::new(
                RefusalReason::WrongRole,
                format!(
                    "dialled as {expected}, but the certificate's role is {}",
                    claims.role
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

impl ServerCertVerifier for Outbound {
    /// Name and role are checked here and not after the handshake, so that a peer that is not the
    /// one we dialled never gets to see our certificate.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let outcome = self.judge(end_entity, intermediates, server_name);
        let Some(verdict) = &self.verdict else {
            outcome.map_err(|refusal| refusal.to_carrying_error())?;
            return Ok(ServerCertVerified::assertion());
        };
        let answer = match &outcome {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(refusal) => Err(refusal.to_alerting_error()),
        };
        verdict.record(outcome);
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
