//! A request as it arrives at the authority, read with suspicion.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rcgen::{PublicKeyData, SubjectPublicKeyInfo};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::files::FileError;
use crate::name::{Host, NodeName};
use crate::pem::{self, PemBody, PemFault, PemSection};
use crate::public_key::PublicKeySummary;
use crate::request::{Contents, RefusedName};
use crate::signature::{Signature, Verdict};
use crate::text::object_name;

/// A request whose sender holds the key in it.
///
/// The key is all that is believed. The names are what was asked for, for the administrator to
/// confirm; everything else that a request can say is listed so that it can be shown, and then
/// forgotten.
#[derive(Debug)]
pub struct SigningRequest {
    contents: Contents,
    name: Option<NodeName>,
    key: PublicKeySummary,
    public_key: SubjectPublicKeyInfo,
}

impl SigningRequest {
    /// The largest file that is read: a request for a hundred names is a tenth of it.
    pub const SIZE_LIMIT_BYTES: usize = 64 * 1024;

    /// The most names that a request may ask for.
    pub const NAMES_LIMIT: usize = 100;

    /// Reads the request of a file.
    ///
    /// # Errors
    ///
    /// [`SigningRequestError::File`] when there is no such file; see
    /// [`from_pem`](Self::from_pem) for what else is refused.
    pub fn read(path: &Path) -> Result<Self, SigningRequestError> {
        let fail = |source| FileError::new("read", path, source);
        let file = File::open(path).map_err(fail)?;
        // It may be a key by mistake: room for all of it at once leaves no copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(Self::SIZE_LIMIT_BYTES + 1));
        file.take(Self::SIZE_LIMIT_BYTES as u64 + 1)
            .read_to_end(&mut text)
            .map_err(fail)?;
        Self::from_pem(&text)
    }

    /// Reads exactly one request in PEM form.
    ///
    /// # Errors
    ///
    /// Refused are files that hold anything beside one request, keys that nodes would refuse,
    /// and requests that were not signed by the key they ask a certificate for.
    pub fn from_pem(text: &[u8]) -> Result<Self, SigningRequestError> {
        if text.len() > Self::SIZE_LIMIT_BYTES {
            return Err(SigningRequestError::TooLarge);
        }
        Self::from_der(&only_request(text)?)
    }

    pub(super) fn from_der(der: &[u8]) -> Result<Self, SigningRequestError> {
        let Ok(([], parsed)) = X509CertificationRequest::from_der(der) else {
            return Err(SigningRequestError::Malformed);
        };
        let info = &parsed.certification_request_info;
        let key = PublicKeySummary::read(&info.subject_pki);
        if let Some(weakness) = key.weakness {
            return Err(SigningRequestError::WeakKey { weakness });
        }
        let public_key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw)
            .map_err(|_| SigningRequestError::Malformed)?;
        match own_signature(&parsed) {
            Verdict::Genuine => {}
            Verdict::Forged => return Err(SigningRequestError::Signature),
            Verdict::Unsupported => {
                let algorithm = object_name(&parsed.signature_algorithm.algorithm);
                return Err(SigningRequestError::SignatureAlgorithm { algorithm });
            }
        }
        let contents = Contents::read(info);
        if contents.is_damaged {
            return Err(SigningRequestError::Malformed);
        }
        if contents.count > Self::NAMES_LIMIT {
            let count = contents.count;
            return Err(SigningRequestError::TooManyNames { count });
        }
        Ok(Self {
            name: contents.suggestion(),
            contents,
            key,
            public_key,
        })
    }

    /// The node's name as the request suggests it: its common name if that is a node's name,
    /// else the first DNS name that is.
    pub fn name(&self) -> Option<&NodeName> {
        self.name.as_ref()
    }

    /// The DNS names and addresses asked for that may be certified, each once.
    pub fn names(&self) -> &[Host] {
        &self.contents.names
    }

    /// The names asked for that will never be certified.
    pub fn refused(&self) -> &[RefusedName] {
        &self.contents.refused
    }

    /// What else was asked for, safe to show: key usages, to be an authority, and the like.
    pub fn ignored(&self) -> &[String] {
        &self.contents.ignored
    }

    /// The key that the sender holds.
    pub fn key(&self) -> &PublicKeySummary {
        &self.key
    }

    /// The same key as certificates carry it: DER of a `SubjectPublicKeyInfo`.
    pub fn public_key_der(&self) -> Vec<u8> {
        self.public_key().subject_public_key_info()
    }

    /// The same key, to be certified.
    pub(crate) fn public_key(&self) -> &impl PublicKeyData {
        &self.public_key
    }
}

/// Why a file is not a request that can be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningRequestError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// More than a request can be.
    #[error("more than {} KiB are no certificate request", SigningRequest::SIZE_LIMIT_BYTES / 1024)]
    TooLarge,
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// There is no PEM section in it.
    #[error("the file is not PEM; a request starts with `-----BEGIN CERTIFICATE REQUEST-----`")]
    NotPem,
    /// It holds a certificate, for which nothing is to be signed.
    #[error("the file holds a certificate, not a certificate request")]
    Certificate,
    /// It holds a private key, which should never have left its machine.
    #[error("the file holds a private key, which must stay on the machine that made it")]
    PrivateKey,
    /// It holds something else.
    #[error("the file holds `{label}`, not a certificate request")]
    WrongKind {
        /// The label of the section, safe to show.
        label: String,
    },
    /// It holds several requests.
    #[error("the file holds {count} certificate requests; sign one at a time")]
    Several {
        /// How many.
        count: usize,
    },
    /// The PEM section is damaged.
    #[error("the certificate request is damaged")]
    Pem(#[source] PemFault),
    /// The content is not a request.
    #[error("the content is not a PKCS#10 certificate request")]
    Malformed,
    /// Nodes would refuse the key.
    #[error("the request holds {weakness}, which nodes refuse")]
    WeakKey {
        /// What is wrong with the key.
        weakness: String,
    },
    /// Whoever sent the request did not show that it holds the key.
    #[error("the request is not signed with the key that it holds")]
    Signature,
    /// Whether the sender holds the key cannot be told.
    #[error("the request is signed by way of {algorithm}, which nodes do not believe")]
    SignatureAlgorithm {
        /// The name of the algorithm, safe to show.
        algorithm: String,
    },
    /// It asks for too many names.
    #[error("the request asks for {count} names, at most {limit} are allowed", limit = SigningRequest::NAMES_LIMIT)]
    TooManyNames {
        /// How many.
        count: usize,
    },
}

/// Whether the request was signed with the key in it: the proof of possession of RFC 2986.
pub(crate) fn own_signature(request: &X509CertificationRequest<'_>) -> Verdict {
    let info = &request.certification_request_info;
    let signature = Signature {
        algorithm: &request.signature_algorithm,
        value: &request.signature_value,
        message: info.raw,
    };
    signature.verdict(&info.subject_pki)
}

fn only_request(text: &[u8]) -> Result<Vec<u8>, SigningRequestError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(SigningRequestError::Empty);
    }
    let mut sections = pem::sections(text);
    if let Some(stranger) = stranger(&sections) {
        return Err(stranger);
    }
    let count = sections.len();
    match (sections.pop(), count) {
        (None, _) => Err(SigningRequestError::NotPem),
        (Some(section), 1) => match section.body {
            Ok(PemBody::Plain(der)) => Ok(der.to_vec()),
            Ok(PemBody::Encrypted) => Err(SigningRequestError::Malformed),
            Err(fault) => Err(SigningRequestError::Pem(fault)),
        },
        (Some(_), count) => Err(SigningRequestError::Several { count }),
    }
}

/// A key is told before everything else: it is the one mistake that cannot be undone.
fn stranger(sections: &[PemSection]) -> Option<SigningRequestError> {
    let mut labels = sections.iter().map(|section| section.label.as_str());
    if labels.clone().any(|label| label.ends_with("PRIVATE KEY")) {
        return Some(SigningRequestError::PrivateKey);
    }
    let label = labels.find(|label| !REQUEST_LABELS.contains(label))?;
    Some(match label {
        "CERTIFICATE" | "TRUSTED CERTIFICATE" => SigningRequestError::Certificate,
        _ => SigningRequestError::WrongKind {
            label: label.to_owned(),
        },
    })
}

/// RFC 7468, section 7, and what programs wrote before it.
pub(crate) const REQUEST_LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
