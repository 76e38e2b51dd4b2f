//! Making an authority where there is none.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::authority::{Authority, OpenError};
use crate::days::Days;
use crate::files::{self, Access, FileError, StagedFile};
use crate::index::Index;
use crate::key_type::KeyType;
use crate::lines::{self, RecordError};
use crate::lock::{DirectoryLock, LockError};
use crate::mint::{MintError, Minted, RootPlan, mint_root};
use crate::name::Domain;
use crate::output::{self, OutputError};
use crate::passphrase::{self, Passphrase, PassphraseError};
use crate::policy::Window;
use crate::revocations::Revocations;
use crate::root::{certificate_file, free_generation, key_file};
use crate::settings::{Settings, SettingsError};

/// What an authority is to be.
#[derive(Debug)]
pub struct InitRequest {
    /// The cluster's domain.
    pub domain: Domain,
    /// How long the root is valid.
    pub days: Days,
    /// The kind of its key, and of every leaf key it makes.
    pub key_type: KeyType,
    /// A directory that gets a copy of the roots as `ca.pem`, if any.
    pub out: Option<PathBuf>,
    /// What the key on disk is encrypted with, if anything.
    pub passphrase: Option<Passphrase>,
}

impl Default for InitRequest {
    /// `cluster.local`, ten years, P-256, no copy, no passphrase.
    fn default() -> Self {
        Self {
            domain: Domain::default(),
            days: Days::AUTHORITY_DEFAULT,
            key_type: KeyType::default(),
            out: None,
            passphrase: None,
        }
    }
}

/// Why an authority could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// There is one already; it is never overwritten.
    #[error("there is an authority in {} already", directory.display())]
    Exists {
        /// The PKI directory.
        directory: PathBuf,
    },
    /// The directory for the copy of the roots holds those of another authority, or is the PKI
    /// directory itself.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Another run is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings cannot be written.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The key or the certificate could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The key could not be encrypted.
    #[error("cannot encrypt the authority's key")]
    Passphrase(#[source] PassphraseError),
    /// The files of its records cannot be made.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// The authority was made but cannot be used, or there was one whose settings are lost.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Authority {
    /// Makes an authority in a PKI directory, which is created with mode 0700 unless it is there.
    ///
    /// # Errors
    ///
    /// [`InitError::Exists`] where there is one already, [`InitError::Output`] when the output
    /// directory has a `ca.pem`; nothing is changed in either case.
    pub fn init(
        directory: &Path,
        request: &InitRequest,
        now: SystemTime,
    ) -> Result<Self, InitError> {
        if files::exists(&Settings::path(directory))? {
            return Err(exists(directory));
        }
        check_out(request.out.as_deref())?;
        files::owner_only_directory(directory)?;
        let lock = DirectoryLock::acquire(directory, DirectoryLock::PATIENCE)?;
        // Another run may have been faster.
        if files::exists(&Settings::path(directory))? {
            return Err(exists(directory));
        }
        // A root made in place of a lost one would cut every node off.
        if lines::has_records(&Index::path(directory))? {
            let path = Settings::path(directory);
            return Err(OpenError::SettingsLost { path }.into());
        }
        let settings = make(directory, request, now)?;
        Ok(Self::load(directory, settings, lock)?)
    }
}

/// The settings are written last: an authority exists if and only if they do. After a crash
/// before that, the pair of files left behind belongs to no authority and certified nothing;
/// the next run takes the next generation and never has to overwrite or delete a key.
fn make(directory: &Path, request: &InitRequest, now: SystemTime) -> Result<Settings, InitError> {
    let generation = free_generation(directory)?;
    let minted = mint_root(&RootPlan {
        domain: &request.domain,
        generation,
        key_type: request.key_type,
        window: Window::starting(now, request.days),
    })?;
    let copy = stage_copy(request.out.as_deref(), directory, &minted)?;
    let secret = request.passphrase.as_ref();
    store_root(directory, generation, &minted, secret)?;
    lines::create(&Index::path(directory))?;
    lines::create(&Revocations::path(directory))?;
    let settings = Settings::new(request.domain.clone(), request.key_type, generation, now);
    settings.store(directory)?;
    if let Some(copy) = copy {
        copy.publish()?;
    }
    Ok(settings)
}

fn check_out(out: Option<&Path>) -> Result<(), OutputError> {
    let Some(out) = out else { return Ok(()) };
    let path = output::ca_file(out);
    if files::exists(&path)? {
        return Err(OutputError::OtherAuthority { path });
    }
    Ok(())
}

fn stage_copy(
    out: Option<&Path>,
    pki: &Path,
    minted: &Minted,
) -> Result<Option<StagedFile>, OutputError> {
    let Some(out) = out else { return Ok(None) };
    output::make_directory(out, pki)?;
    let path = output::ca_file(out);
    let pem = minted.certificate_pem.as_bytes();
    Ok(Some(StagedFile::write(&path, Access::Everyone, pem)?))
}

/// Writes key and certificate of a root, which belong to nothing until the settings name them.
///
/// Both appear whole or not at all: every root is read to tell whose `ca.pem` is whose, and half
/// of one would be in the way forever. The number is above all that were taken, and the lock is
/// held: a key takes the place of none.
pub(super) fn store_root(
    directory: &Path,
    generation: u64,
    minted: &Minted,
    secret: Option<&Passphrase>,
) -> Result<(), StoreError> {
    let sealed = secret.map(|secret| passphrase::seal(&minted.key_pem, secret));
    let sealed = sealed.transpose()?;
    let key = sealed.as_ref().unwrap_or(&minted.key_pem);
    let path = key_file(directory, generation);
    files::replace(&path, Access::Owner, key.as_bytes())?;
    let path = certificate_file(directory, generation);
    Ok(files::replace(
        &path,
        Access::Owner,
        minted.certificate_pem.as_bytes(),
    )?)
}

/// Why a root could not be written.
pub(super) enum StoreError {
    File(FileError),
    Passphrase(PassphraseError),
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<PassphraseError> for StoreError {
    fn from(error: PassphraseError) -> Self {
        Self::Passphrase(error)
    }
}

impl From<StoreError> for InitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::File(error) => Self::File(error),
            StoreError::Passphrase(error) => Self::Passphrase(error),
        }
    }
}

fn exists(directory: &Path) -> InitError {
    InitError::Exists {
        directory: directory.to_owned(),
    }
}
