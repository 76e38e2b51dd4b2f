//! What the peer showed, kept for the report.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::report::{Report, Stage, StepOutcome};
use super::{Dial, EXPIRES_SOON, Ended, ends};
use crate::address::NodeAddress;
use crate::identity::PeerIdentity;
use crate::name::Name;
use crate::policy::Usage;
use crate::refusal::{Refusal, RefusalReason};
use crate::role::Role;
use crate::snapshot::Snapshot;
use crate::verify::{Outbound, RevocationCheck, Verdict, Verified};

/// The peer's chain, also of a peer that was refused.
pub(super) struct Witness {
    verdict: Verdict,
    chain: Arc<Chain>,
}

type Chain = Mutex<Vec<CertificateDer<'static>>>;

impl Witness {
    /// A witness, and the configuration under which it sees a handshake.
    pub(super) fn new(
        own: &Snapshot,
        expected: Option<Role>,
    ) -> (Self, Result<Arc<ClientConfig>, Refusal>) {
        let witness = Self {
            verdict: Verdict::default(),
            chain: Arc::default(),
        };
        let watched = Watched {
            outbound: own.outbound(expected).recording(witness.verdict.clone()),
            chain: Arc::clone(&witness.chain),
        };
        let config = own
            .client_config_with(Arc::new(watched), witness.verdict.clone())
            .map_err(|error| Refusal::new(RefusalReason::Incompatible, error.to_string()));
        (witness, config)
    }

    pub(super) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Enters what the peer's certificate says, part by part.
    pub(super) fn report(
        &self,
        report: &mut Report,
        own: &Snapshot,
        dial: Dial<'_>,
    ) -> Result<(), Ended> {
        let verified = self
            .verified(own)
            .map_err(|refusal| report.fail(Stage::Chain, &refusal, chain_remedy(&refusal)))?;
        let certificate = &verified.certificate;
        let length = self.chain().len();
        let detail = format!(
            "{} issued by {}, {length} in the chain",
            certificate.subject, certificate.issuer
        );
        report.pass(Stage::Chain, detail);
        name(report, &verified, dial.to)?;
        role(report, &verified, dial.expected)?;
        let not_after = certificate.not_after;
        let left = not_after.duration_since(own.verifier().now());
        if left.is_ok_and(|left| left < EXPIRES_SOON) {
            let remedy = Some("renew the peer's certificate now");
            report.enter(Stage::Expiry, StepOutcome::Warned, ends(not_after), remedy);
        } else {
            report.pass(Stage::Expiry, ends(not_after));
        }
        report.know(PeerIdentity::new(verified.claims, &verified.certificate, 0));
        Ok(())
    }

    fn verified(&self, own: &Snapshot) -> Result<Verified, Refusal> {
        let chain = self.chain();
        let Some((leaf, intermediates)) = chain.split_first() else {
            let detail = "the peer showed no certificate";
            return Err(Refusal::new(RefusalReason::NoCertificate, detail));
        };
        let (usage, check) = (Usage::Server, RevocationCheck::Enforce);
        own.verifier().verify(leaf, intermediates, usage, check)
    }
}

fn name(report: &mut Report, peer: &Verified, to: &NodeAddress) -> Result<(), Ended> {
    let names: Vec<_> = peer.claims.names.iter().map(Name::to_string).collect();
    let names = names.join(", ");
    if peer.claims.names.contains(to.name()) {
        report.pass(Stage::Name, format!("{} is one of {names}", to.name()));
        return Ok(());
    }
    let detail = format!("dialled {}, but the certificate is for: {names}", to.name());
    let refusal = Refusal::new(RefusalReason::WrongName, detail);
    let remedy = "dial one of these names, or issue a certificate that carries the dialled one";
    Err(report.fail(Stage::Name, &refusal, Some(remedy)))
}

fn role(report: &mut Report, peer: &Verified, expected: Option<Role>) -> Result<(), Ended> {
    let found = peer.claims.role;
    let Some(expected) = expected.filter(|expected| !found.may_act_as(*expected)) else {
        report.pass(Stage::Role, found.to_string());
        return Ok(());
    };
    let detail = format!("dialled as {expected}, but the certificate's role is {found}");
    let refusal = Refusal::new(RefusalReason::WrongRole, detail);
    let remedy = "see whether that is the right node, or issue its certificate with that role";
    Err(report.fail(Stage::Role, &refusal, Some(remedy)))
}

fn chain_remedy(refusal: &Refusal) -> Option<&'static str> {
    Some(match refusal.reason() {
        RefusalReason::UnknownIssuer | RefusalReason::BadSignature => {
            "compare the CA files of both nodes: they must share a root"
        }
        RefusalReason::Expired | RefusalReason::NotYetValid => {
            "renew the peer's certificate, or set the clocks right"
        }
        RefusalReason::ExpiredRoot => "rotate the authority: its root has ended",
        RefusalReason::Revoked => "issue the peer a new certificate, if it is to be a member",
        RefusalReason::RevocationUnknown => "publish the revocation list of the peer's issuer",
        _ => "issue the peer's certificate anew",
    })
}

/// What both ends agreed on.
pub(super) fn agreed(connection: &ClientConnection) -> String {
    let version = connection
        .protocol_version()
        .map_or_else(String::new, |version| format!("{version:?}"));
    let group = connection
        .negotiated_key_exchange_group()
        .map_or_else(String::new, |group| format!("{:?}", group.name()));
    let suite = connection
        .negotiated_cipher_suite()
        .map_or_else(String::new, |suite| format!("{:?}", suite.suite()));
    format!("{version}, {group}, {suite}")
}

/// Our own verifier, watched.
#[derive(Debug)]
struct Watched {
    outbound: Outbound,
    chain: Arc<Chain>,
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = std::iter::once(end_entity).chain(intermediates);
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) =
            shown.map(|it| it.clone().into_owned()).collect();
        let outbound = &self.outbound;
        outbound.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.outbound.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.outbound.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.outbound.supported_verify_schemes()
    }
}
