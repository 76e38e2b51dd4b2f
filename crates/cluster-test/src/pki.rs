//! A throw-away certificate authority.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use cluster_tls::CredentialPaths;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

mod leaf;

pub use leaf::{KeyKind, Kind, Leaf, Usage};

/// An authority that lives as long as the test, with a directory for the files of its nodes.
///
/// Every authority has a subject of its own: two with the same subject would make a foreign
/// certificate look badly signed instead of unknown.
#[derive(Debug)]
pub struct TestPki {
    issuer: Issuer<'static, KeyPair>,
    /// What the issuer calls itself.
    subject: String,
    /// What nodes trust: the root, also where an intermediate issues.
    root: Certificate,
    /// The issuing certificates between a leaf and the root, the issuer's first.
    intermediates: Vec<Certificate>,
    directory: Arc<TempDir>,
}

/// A certificate with everything a handshake needs.
#[derive(Debug)]
pub struct Issued {
    certificate: Certificate,
    intermediates: Vec<Certificate>,
    key: KeyPair,
}

impl TestPki {
    /// Makes a self-signed root, and writes `ca.pem` to a new directory.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate().context("cannot make the key of the authority")?;
        let subject = format!("test root {}", tag(&key));
        Self::root(subject, key)
    }

    /// Makes a root with the subject of this authority and a key of its own: what an impostor
    /// would make, or somebody who made an authority anew under its old name.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub fn namesake(&self) -> Result<Self> {
        let key = KeyPair::generate().context("cannot make the key of the authority")?;
        Self::root(self.subject.clone(), key)
    }

    fn root(subject: String, key: KeyPair) -> Result<Self> {
        let params = authority(&subject);
        let root = params
            .self_signed(&key)
            .context("cannot sign the root certificate")?;
        let directory = tempfile::tempdir().context("cannot make a directory for the PKI")?;
        let pki = Self {
            issuer: Issuer::new(params, key),
            subject,
            root,
            intermediates: Vec::new(),
            directory: Arc::new(directory),
        };
        fs::write(pki.ca_path(), pki.ca_pem()).context("cannot write ca.pem")?;
        Ok(pki)
    }

    /// Makes an authority below this one: the same root and directory, a longer chain.
    ///
    /// # Errors
    ///
    /// When its certificate cannot be signed.
    pub fn intermediate(&self) -> Result<Self> {
        let key = KeyPair::generate().context("cannot make the key of the intermediate")?;
        let subject = format!("test intermediate {}", tag(&key));
        let params = authority(&subject);
        let certificate = params
            .signed_by(&key, &self.issuer)
            .context("cannot sign the intermediate certificate")?;
        let mut intermediates = vec![certificate];
        intermediates.extend(self.intermediates.iter().cloned());
        Ok(Self {
            issuer: Issuer::new(params, key),
            subject,
            root: self.root.clone(),
            intermediates,
            directory: Arc::clone(&self.directory),
        })
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file that nodes trust.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    /// The root as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.root.pem()
    }

    /// The root as DER.
    #[must_use]
    pub fn ca_der(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// Signs what `leaf` describes, however wrong it is.
    ///
    /// # Errors
    ///
    /// When a name or URI of the leaf cannot be written into a certificate at all.
    pub fn issue(&self, leaf: &Leaf) -> Result<Issued> {
        let key = leaf.generate_key()?;
        let certificate = leaf
            .params()?
            .signed_by(&key, &self.issuer)
            .context("cannot sign the certificate")?;
        Ok(Issued {
            certificate,
            intermediates: self.intermediates.clone(),
            key,
        })
    }

    /// Signs what `leaf` describes with the leaf's own key.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub fn self_signed(&self, leaf: &Leaf) -> Result<Issued> {
        let key = leaf.generate_key()?;
        let certificate = leaf
            .params()?
            .self_signed(&key)
            .context("cannot sign the certificate")?;
        Ok(Issued {
            certificate,
            intermediates: Vec::new(),
            key,
        })
    }

    /// Issues and writes `NAME.pem` and `NAME-key.pem`; files of the same name are replaced.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue), and when a file cannot be written.
    pub fn write(&self, name: &str, leaf: &Leaf) -> Result<CredentialPaths> {
        self.write_issued(name, &self.issue(leaf)?)
    }

    /// Writes what was issued before under the name of a node.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write_issued(&self, name: &str, issued: &Issued) -> Result<CredentialPaths> {
        let certificate = self.directory().join(format!("{name}.pem"));
        let key = self.directory().join(format!("{name}-key.pem"));
        fs::write(&certificate, issued.certificate_pem())
            .with_context(|| format!("cannot write {}", certificate.display()))?;
        write_secret(&key, &issued.key_pem())
            .with_context(|| format!("cannot write {}", key.display()))?;
        Ok(CredentialPaths {
            ca: self.ca_path(),
            certificate,
            key,
        })
    }
}

impl Issued {
    /// The leaf and the intermediates above it, as a peer sends them.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.certificates().map(|it| it.der().clone()).collect()
    }

    /// The private key as PKCS#8.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// The chain as the text of a certificate file.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.certificates().map(Certificate::pem).collect()
    }

    /// The key as the text of a key file.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.certificate).chain(&self.intermediates)
    }
}

fn authority(subject: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = SystemTime::now();
    params.not_before = (now - leaf::DAY).into();
    params.not_after = (now + 3650 * leaf::DAY).into();
    params
}

/// Some letters that no other key has.
fn tag(key: &KeyPair) -> String {
    let bytes = key.public_key_raw().iter().rev().take(6);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_files_of_a_node_are_complete_and_its_key_is_private() {
        let pki = TestPki::new().unwrap();
        let paths = pki.write("scheduler1", &Leaf::new("scheduler1")).unwrap();
        let mode = fs::metadata(&paths.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            fs::read_to_string(&paths.key)
                .unwrap()
                .contains("PRIVATE KEY")
        );
        assert!(paths.certificate.ends_with("scheduler1.pem"));
        assert_eq!(fs::read_to_string(&paths.ca).unwrap(), pki.ca_pem());
    }

    #[test]
    fn an_intermediate_lengthens_the_chain_and_keeps_the_root() {
        let pki = TestPki::new().unwrap();
        let leaf = Leaf::new("executor1");
        assert_eq!(pki.issue(&leaf).unwrap().chain().len(), 1);
        let intermediate = pki.intermediate().unwrap();
        let issued = intermediate.issue(&leaf).unwrap();
        assert_eq!(issued.chain().len(), 2);
        assert_eq!(issued.certificate_pem().matches("BEGIN").count(), 2);
        assert_eq!(intermediate.ca_der(), pki.ca_der());
    }

    #[test]
    fn two_authorities_differ_in_key_and_subject() {
        let one = TestPki::new().unwrap();
        let other = TestPki::new().unwrap();
        assert_ne!(one.ca_der(), other.ca_der());
        assert_ne!(one.directory(), other.directory());
    }

    #[test]
    fn a_namesake_shares_the_subject_and_not_the_key() {
        let pki = TestPki::new().unwrap();
        let namesake = pki.namesake().unwrap();
        assert_eq!(pki.subject, namesake.subject);
        assert_ne!(pki.ca_der(), namesake.ca_der());
    }

    #[test]
    fn every_kind_of_key_signs() {
        let pki = TestPki::new().unwrap();
        for kind in [
            KeyKind::P256,
            KeyKind::P384,
            KeyKind::Ed25519,
            KeyKind::Rsa2048,
        ] {
            let issued = pki.issue(&Leaf::new("node1").with_key(kind)).unwrap();
            assert!(!issued.key().secret_der().is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn a_name_that_no_certificate_can_hold_is_an_error() {
        let pki = TestPki::new().unwrap();
        assert!(pki.issue(&Leaf::new("knoten-ä")).is_err());
        assert!(
            pki.issue(&Leaf::new("node1").with_uri("spiffe://ä"))
                .is_err()
        );
    }
}
