//! Looking into any file of certificates, keys, requests and revocations.
//!
//! What is found is data for people and scripts. All texts in it are safe to show: what a
//! stranger's certificate says cannot act on a terminal. No part of a private key is in it.

mod certificate;
mod deny_list;
mod input;
mod key;
mod links;
mod objections;
mod request;
mod revocation_list;
#[cfg(test)]
mod robustness;
mod shape;
#[cfg(test)]
mod tests;
mod validity;

use std::time::SystemTime;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::files::FileError;
use crate::pem::{self, PemBody, PemSection};
use crate::public_key::PublicKeySummary;
use crate::request::REQUEST_LABELS;

pub use self::certificate::CertificateReport;
pub use self::deny_list::{DenyListEntry, DenyListReport};
pub use self::input::InspectionInput;
pub use self::key::PrivateKeyReport;
pub use self::request::RequestReport;
pub use self::revocation_list::{RevocationListReport, RevokedEntry};
pub use self::validity::{Validity, ValidityStatus};

/// Everything in one file.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// How it is written.
    pub format: InspectedFormat,
    /// What is in it, in order.
    pub sections: Vec<InspectedSection>,
    /// What its owner should know about the file itself.
    pub warnings: Vec<String>,
}

impl Inspection {
    /// Looks at everything in a file.
    ///
    /// # Errors
    ///
    /// [`InspectError::Unknown`] where it is none of what is expected. A damaged section among
    /// others is no error, but found as [`InspectedContent::Damaged`].
    pub fn of(input: &InspectionInput, now: SystemTime) -> Result<Self, InspectError> {
        let octets = input.octets();
        if octets.iter().all(u8::is_ascii_whitespace) {
            return Err(InspectError::Empty);
        }
        let (format, found) = if pem::has_sections(octets) {
            (InspectedFormat::Pem, pem_sections(octets, now)?)
        } else if let Some(object) = der_object(octets, now) {
            (InspectedFormat::Der, vec![object])
        } else {
            (InspectedFormat::Text, vec![deny_list(octets)?])
        };
        let sections = links::sections(&found);
        let has_open_key = sections.iter().any(|section| section.content.is_open_key());
        let exposure = input.exposure().filter(|_| has_open_key);
        Ok(Self {
            format,
            sections,
            warnings: exposure.into_iter().collect(),
        })
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InspectedFormat {
    /// Text with sections between `BEGIN` and `END`.
    Pem,
    /// One binary object.
    Der,
    /// The lines of a deny-list.
    Text,
}

/// One thing in a file, and what it has to do with the others.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct InspectedSection {
    /// Counted from 1.
    pub position: usize,
    /// What its first line claims, in PEM files.
    pub label: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub content: InspectedContent,
    /// The position of the certificate whose key signed it; its own, if it is self-signed.
    pub signed_by: Option<usize>,
    /// For a private key: the positions of the certificates and requests that were made for it.
    pub key_of: Vec<usize>,
}

/// What a section is.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum InspectedContent {
    /// A certificate.
    Certificate(Box<CertificateReport>),
    /// A private key, encrypted or not.
    PrivateKey(PrivateKeyReport),
    /// A public key alone.
    PublicKey(PublicKeySummary),
    /// A certificate request.
    Request(RequestReport),
    /// A certificate revocation list.
    RevocationList(RevocationListReport),
    /// A deny-list of this cluster's nodes.
    DenyList(DenyListReport),
    /// A PKCS#12 store. Nothing can be said about it without its passphrase.
    Pkcs12,
    /// A section that this program does not read.
    Unknown,
    /// A section that is not what its label says.
    Damaged {
        /// What is wrong with it.
        fault: String,
    },
}

impl InspectedContent {
    fn is_open_key(&self) -> bool {
        matches!(self, Self::PrivateKey(key) if !key.encrypted)
    }
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is too large.
    #[error("more than {} KiB are no certificates, keys or lists of them", InspectionInput::SIZE_LIMIT_BYTES / 1024)]
    TooLarge,
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It has too many sections.
    #[error("the file has {count} sections, at most {limit} are looked at", limit = SECTIONS_LIMIT)]
    TooManySections {
        /// How many.
        count: usize,
    },
    /// A line of a deny-list is no entry.
    #[error("line {line} of the deny-list is neither a serial number nor a SHA-256 fingerprint")]
    DenyList {
        /// Counted from 1.
        line: usize,
    },
    /// It is none of what is expected.
    #[error("the file is no certificate, key, request, revocation list or deny-list")]
    Unknown,
}

/// What was found, with the octets that it was read from.
struct Found {
    label: Option<String>,
    content: InspectedContent,
    der: Zeroizing<Vec<u8>>,
}

/// What an object can be.
#[derive(Clone, Copy)]
enum Kind {
    Certificate,
    Request,
    RevocationList,
    PrivateKey,
    EncryptedKey,
    PublicKey,
    Pkcs12,
}

impl Kind {
    /// In the order in which a binary object is tried; no object is two of them.
    const ALL: [Self; 7] = [
        Self::Certificate,
        Self::Request,
        Self::RevocationList,
        Self::PrivateKey,
        Self::EncryptedKey,
        Self::PublicKey,
        Self::Pkcs12,
    ];

    fn of_label(label: &str) -> Option<Self> {
        Some(match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => Self::Certificate,
            label if REQUEST_LABELS.contains(&label) => Self::Request,
            "X509 CRL" => Self::RevocationList,
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Self::PrivateKey,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedKey,
            "PUBLIC KEY" => Self::PublicKey,
            _ => return None,
        })
    }

    /// The object, or nothing where it is not of this kind.
    fn read(self, der: &[u8], now: SystemTime) -> Option<InspectedContent> {
        Some(match self {
            Self::Certificate => {
                InspectedContent::Certificate(Box::new(CertificateReport::read(der, now)?))
            }
            Self::Request => InspectedContent::Request(RequestReport::read(der)?),
            Self::RevocationList => {
                InspectedContent::RevocationList(RevocationListReport::read(der, now)?)
            }
            Self::PrivateKey => InspectedContent::PrivateKey(PrivateKeyReport::read(der)?),
            Self::EncryptedKey => {
                InspectedContent::PrivateKey(PrivateKeyReport::read_encrypted(der)?)
            }
            Self::PublicKey => InspectedContent::PublicKey(key::read_public(der)?),
            Self::Pkcs12 => shape::is_pkcs12(der).then_some(InspectedContent::Pkcs12)?,
        })
    }
}

fn pem_sections(text: &[u8], now: SystemTime) -> Result<Vec<Found>, InspectError> {
    let sections = pem::sections(text);
    if sections.len() > SECTIONS_LIMIT {
        let count = sections.len();
        return Err(InspectError::TooManySections { count });
    }
    Ok(sections
        .into_iter()
        .map(|section| pem_section(section, now))
        .collect())
}

fn pem_section(section: PemSection, now: SystemTime) -> Found {
    let kind = Kind::of_label(&section.label);
    let (content, der) = match (section.body, kind) {
        (Err(fault), _) => (damaged(fault.to_string()), Zeroizing::default()),
        (Ok(PemBody::Encrypted), Some(Kind::PrivateKey)) => (
            InspectedContent::PrivateKey(PrivateKeyReport::encrypted_by_header()),
            Zeroizing::default(),
        ),
        (Ok(PemBody::Plain(der)), Some(kind)) => {
            let content = kind.read(&der, now);
            let not_so = || damaged("the content is not what the label says".to_owned());
            (content.unwrap_or_else(not_so), der)
        }
        (Ok(_), _) => (InspectedContent::Unknown, Zeroizing::default()),
    };
    Found {
        label: Some(section.label),
        content,
        der,
    }
}

fn damaged(fault: String) -> InspectedContent {
    InspectedContent::Damaged { fault }
}

fn der_object(der: &[u8], now: SystemTime) -> Option<Found> {
    let content = Kind::ALL.into_iter().find_map(|kind| kind.read(der, now))?;
    Some(Found {
        label: None,
        content,
        der: Zeroizing::new(der.to_vec()),
    })
}

fn deny_list(text: &[u8]) -> Result<Found, InspectError> {
    Ok(Found {
        label: None,
        content: InspectedContent::DenyList(DenyListReport::read(text)?),
        der: Zeroizing::default(),
    })
}

/// The bundles of whole operating systems have a hundred and fifty.
const SECTIONS_LIMIT: usize = 1000;
