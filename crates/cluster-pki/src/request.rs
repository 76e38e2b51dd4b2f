//! A node that makes its own key: the request that it sends to the authority.
//!
//! Nothing here needs an authority. The key never leaves the machine that made it.

mod contents;
mod parse;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use cluster_tls::Name;
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData};
use zeroize::Zeroizing;

use crate::files::{self, Access, FileError, StagedFile};
use crate::key_type::KeyType;
use crate::mint::{self, MintError, hex};
use crate::name::{Domain, Host, NodeName};
use crate::output::{self, Existing, OutputError};
use crate::policy::{self, Localhost};

pub(crate) use self::contents::Contents;
pub use self::contents::RefusedName;
pub(crate) use self::parse::{REQUEST_LABELS, own_signature};
pub use self::parse::{SigningRequest, SigningRequestError};

/// Which request a node is to make.
///
/// The names follow the same rules as those of [`LeafRequest`](crate::LeafRequest): the node's
/// own, its full one, the hosts, and those of its machine.
#[derive(Debug, Clone)]
pub struct RequestPlan {
    /// The node.
    pub name: NodeName,
    /// The cluster's domain, which the node's full name ends with.
    pub domain: Domain,
    /// Where else it may be reached.
    pub hosts: Vec<Host>,
    /// Whether it asks for the names of its own machine.
    pub localhost: Localhost,
    /// The kind of its key.
    pub key_type: KeyType,
    /// The directory that gets the files; it is created unless it is there.
    pub out: PathBuf,
    /// What to do when the files are already there.
    pub existing: Existing,
}

impl RequestPlan {
    /// A request with a P-256 key for nothing but the node's own names in `cluster.local`.
    pub fn new(name: NodeName, out: impl Into<PathBuf>) -> Self {
        Self {
            name,
            domain: Domain::default(),
            hosts: Vec::new(),
            localhost: Localhost::default(),
            key_type: KeyType::default(),
            out: out.into(),
            existing: Existing::default(),
        }
    }

    /// Makes a key and a request for its certificate, and writes both.
    ///
    /// # Errors
    ///
    /// [`RequestError::Output`] when something would be overwritten or the directory is that of
    /// an authority; whatever the error, no file is half-written.
    pub fn make(&self) -> Result<NodeRequest, RequestError> {
        let files = RequestFiles::new(&self.out, &self.name);
        check(&self.out, &files, self.existing)?;
        let names = policy::leaf_names(&self.name, &self.domain, &self.hosts, self.localhost);
        let minted = mint(&self.name, &names, self.key_type)?;
        fs::create_dir_all(&self.out)
            .map_err(|source| FileError::new("create", &self.out, source))?;
        let key = StagedFile::write(&files.key, Access::Owner, minted.key_pem.as_bytes())?;
        let text = minted.request_pem.as_bytes();
        let request = StagedFile::write(&files.request, Access::Everyone, text)?;
        // The request comes last: where it is new, its key is there too.
        key.publish()?;
        request.publish()?;
        Ok(NodeRequest {
            name: self.name.clone(),
            names,
            key_type: self.key_type,
            public_key_sha256: minted.public_key_sha256,
            files,
        })
    }
}

/// A request that was made and written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeRequest {
    /// The node.
    pub name: NodeName,
    /// The DNS names and addresses it asks for.
    pub names: Vec<Name>,
    /// The kind of its key.
    pub key_type: KeyType,
    /// SHA-256 over its public key, by which the administrator can tell that it is this one.
    pub public_key_sha256: String,
    /// Where the files are.
    pub files: RequestFiles,
}

/// Where the files of a request are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestFiles {
    /// The request, for the administrator: `NAME.csr`.
    pub request: PathBuf,
    /// The key, PKCS#8, readable by its owner alone, for nobody else: `NAME-key.pem`.
    pub key: PathBuf,
}

impl RequestFiles {
    fn new(directory: &Path, name: &NodeName) -> Self {
        Self {
            request: directory.join(format!("{name}.csr")),
            key: directory.join(format!("{name}-key.pem")),
        }
    }
}

/// Why no request was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The files would be in the way of others.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key or the request could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
}

/// A request and the only copy of its key.
struct Minted {
    request_pem: String,
    key_pem: Zeroizing<String>,
    public_key_sha256: String,
}

/// The request asks for names and nothing else: the role and all that is beside it come from
/// the authority.
fn mint(name: &NodeName, names: &[Name], key_type: KeyType) -> Result<Minted, MintError> {
    let key = mint::generate_key(key_type)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let subject = &mut params.distinguished_name;
    subject.push(DnType::CommonName, name.canonical());
    params.subject_alt_names = mint::name_entries(names)?;
    let request = params.serialize_request(&key).map_err(mint::sign_error)?;
    let public_key = digest(&SHA256, &key.subject_public_key_info());
    Ok(Minted {
        request_pem: request.pem().map_err(mint::sign_error)?,
        key_pem: Zeroizing::new(key.serialize_pem()),
        public_key_sha256: hex(public_key.as_ref()),
    })
}

/// Checks everything that can be checked before a key is made.
fn check(out: &Path, files: &RequestFiles, existing: Existing) -> Result<(), OutputError> {
    // A node that is named like the authority's own files would replace them there.
    output::refuse_pki_directory(out)?;
    for path in [&files.request, &files.key] {
        let path = path.to_owned();
        match existing {
            Existing::Refuse if files::exists(&path)? => {
                return Err(OutputError::Exists { path });
            }
            Existing::Replace if path.is_dir() => return Err(OutputError::Directory { path }),
            _ => {}
        }
    }
    Ok(())
}
