//! A throw-away certificate authority for the examples. It keeps no key safe: do not copy it.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster_tls::CredentialPaths;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

/// Of the examples: they pass on whatever went wrong.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Something that issues certificates.
pub(crate) struct Authority {
    pub(crate) issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// A root of its own.
    pub(crate) fn root(subject: &str) -> Result<Self> {
        let (params, key) = (authority(subject), KeyPair::generate()?);
        let issuer = CertifiedIssuer::self_signed(params, key)?;
        Ok(Self { issuer })
    }

    /// The authority's own certificate.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate that is good for a day on this machine, with an identity URI or without.
    pub(crate) fn issue(&self, uri: Option<&str>) -> Result<Issued> {
        let mut params = dated();
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ];
        if let Some(uri) = uri {
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = KeyPair::generate()?;
        Ok(Issued {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// What makes a certificate one of an authority.
pub(crate) fn authority(subject: &str) -> CertificateParams {
    let mut params = dated();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Writes the three files of a node into `directory`, each in one step, as deployment tools do.
pub(crate) fn write(directory: &Path, ca: &str, node: &Issued) -> Result<CredentialPaths> {
    let paths = CredentialPaths {
        ca: directory.join("ca.pem"),
        certificate: directory.join("node.pem"),
        key: directory.join("node-key.pem"),
    };
    fs::create_dir_all(directory)?;
    replace(&paths.ca, ca)?;
    replace(&paths.certificate, &node.certificate)?;
    replace(&paths.key, &node.key)?;
    Ok(paths)
}

/// Nobody sees half of a file; and a key that others may read is refused when it is loaded.
fn replace(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&beside)?.write_all(text.as_bytes())?;
    Ok(fs::rename(&beside, path)?)
}

/// rcgen's own dates run from 1975 to 4096, and no node accepts such a leaf.
fn dated() -> CertificateParams {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = date_time_ymd(1970, 1, 1) + since_1970.unwrap_or_default();
    let mut params = CertificateParams::default();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + DAY;
    params
}

const CLOCK_SKEW: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(86_400);
