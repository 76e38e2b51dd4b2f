//! Exchanging the root: the writes for the steps that [`rotation`](crate::rotation) decides.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::init::{StoreError, store_root};
use super::{Authority, OpenError};
use crate::days::Days;
use crate::files::{self, FileError, StagedFile};
use crate::key_type::KeyType;
use crate::keys::{self, KeyError};
use crate::mint::{MintError, RootPlan, mint_root};
use crate::name::NodeName;
use crate::output::{self, OutputError};
use crate::passphrase::{Passphrase, PassphraseError};
use crate::policy::Window;
use crate::root::{Root, free_generation, key_file, key_generations};
use crate::roots_file::Roots;
use crate::rotation::{Aborted, InUse, RootState, RotationError};
use crate::settings::SettingsError;
use crate::standing;

/// What the new root is to be.
#[derive(Debug)]
pub struct RotationRequest {
    /// How long it is valid.
    pub days: Days,
    /// The kind of its key, and of every leaf key made from then on; the old root's when nothing
    /// is asked for.
    pub key_type: Option<KeyType>,
    /// What its key on disk is encrypted with, if anything.
    pub passphrase: Option<Passphrase>,
    /// The directory that has the `ca.pem` which nodes are given.
    pub out: PathBuf,
}

/// A root as a rotation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootInfo {
    /// Its number.
    pub generation: u64,
    /// Its subject.
    pub subject: String,
    /// SHA-256 as lower-case hexadecimal digits.
    pub fingerprint: String,
    /// Its last moment.
    pub not_after: SystemTime,
}

/// Where a rotation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The root that signs.
    pub signing: RootInfo,
    /// The root on its way out, while a rotation is under way.
    pub retiring: Option<RootInfo>,
    /// Since when it is on its way out.
    pub since: Option<SystemTime>,
    /// Nodes whose certificate in use is of the root that signs.
    pub renewed: Vec<NodeName>,
    /// Nodes whose certificate in use is of the retiring root: they would be cut off.
    pub not_renewed: Vec<NodeName>,
    /// Keys of roots that are out of use. A crash at the end of a rotation leaves one, which goes
    /// when that step is repeated.
    pub stray_keys: Vec<PathBuf>,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Begun {
    /// Where the rotation stands now.
    pub rotation: Rotation,
    /// The `ca.pem` that is to be rolled out.
    pub ca: PathBuf,
    /// How many roots of others it has, which nodes will believe too.
    pub other_roots: usize,
}

impl Authority {
    /// Where the rotation of the root stands.
    ///
    /// # Errors
    ///
    /// [`RotateError::File`] where the PKI directory cannot be looked into.
    pub fn rotation(&self) -> Result<Rotation, RotateError> {
        let state = self.settings.roots();
        let in_use = self.in_use();
        let names = |generation: u64| {
            let of_root = in_use.iter().filter(|leaf| leaf.generation == generation);
            of_root.map(|leaf| leaf.name.clone()).collect()
        };
        Ok(Rotation {
            signing: info(&self.signing),
            retiring: self.retiring.as_ref().map(info),
            since: state.retiring.map(|retiring| retiring.since),
            renewed: names(state.generation),
            not_renewed: state
                .retiring
                .map_or_else(Vec::new, |retiring| names(retiring.generation)),
            stray_keys: self
                .keys_given_up()?
                .into_iter()
                .map(|(_, key)| key)
                .collect(),
        })
    }

    /// Makes a new root that signs from now on, and a `ca.pem` with both.
    ///
    /// # Errors
    ///
    /// [`RotationError::UnderWay`] where a rotation is; what went wrong with a file. The old root
    /// signs on then.
    pub fn start_rotation(
        &mut self,
        request: &RotationRequest,
        now: SystemTime,
    ) -> Result<Begun, RotateError> {
        let generation = self.next_generation()?;
        let state = self.settings.roots().started(generation, now)?;
        self.check_roots_file(&request.out)?;
        let key_type = request.key_type.unwrap_or(self.settings.key_type);
        let minted = mint_root(&RootPlan {
            domain: &self.settings.domain,
            generation,
            key_type,
            window: Window::starting(now, request.days),
        })?;
        store_root(
            &self.directory,
            generation,
            &minted,
            request.passphrase.as_ref(),
        )?;
        self.adopt(state, &request.out)?;
        self.begun(&request.out)
    }

    /// The root that [`finish_rotation`](Authority::finish_rotation) would drop now; none where a
    /// run that died has dropped it, and left something to do.
    ///
    /// # Errors
    ///
    /// [`RotateError::Rotation`] where it would refuse; nothing is changed in either case.
    pub fn to_finish(&self, abandoned: &[NodeName]) -> Result<Option<RootInfo>, RotateError> {
        if self.is_half_ended()? {
            return Ok(None);
        }
        let in_use = self.in_use();
        self.settings.roots().finished(&in_use, abandoned)?;
        Ok(self.retiring.as_ref().map(info))
    }

    /// Writes the `ca.pem` of a rotation that is under way, where a run died after it had recorded
    /// the new root; `None` where the directory has it.
    ///
    /// # Errors
    ///
    /// [`RotationError::NotUnderWay`] where there is no such rotation; what went wrong with a file.
    pub fn resume_rotation(&self, out: &Path) -> Result<Option<Begun>, RotateError> {
        if self.retiring.is_none() {
            return Err(RotationError::NotUnderWay.into());
        }
        output::make_directory(out, &self.directory)?;
        let Some(roots) = self.roots_file()?.stage(&output::ca_file(out))? else {
            return Ok(None);
        };
        roots.publish()?;
        self.begun(out).map(Some)
    }

    /// Ends a rotation: the retiring root is believed no more, and its key is destroyed.
    ///
    /// Where a run died after it had recorded the end, this does what that run left to do.
    ///
    /// # Errors
    ///
    /// [`RotationError::NotRenewed`] while a node that is not `abandoned` has nothing else.
    pub fn finish_rotation(
        &mut self,
        abandoned: &[NodeName],
        out: &Path,
    ) -> Result<Begun, RotateError> {
        if self.is_half_ended()? {
            return self.end(self.settings.roots(), out);
        }
        let in_use = self.in_use();
        let state = self.settings.roots().finished(&in_use, abandoned)?;
        self.end(state, out)
    }

    /// Goes back to the old root. Leaf keys are of its kind again.
    ///
    /// Where a run died after it had recorded that, this does what that run left to do.
    ///
    /// # Errors
    ///
    /// [`RotationError::NotUnderWay`] where there is nothing to go back from.
    pub fn abort_rotation(
        &mut self,
        out: &Path,
        now: SystemTime,
    ) -> Result<(Begun, Aborted), RotateError> {
        if self.is_half_undone()? {
            let ended = self.end(self.settings.roots(), out)?;
            return Ok((ended, Aborted::Undone));
        }
        let issued = standing::unrevoked(self.issued(), &self.revocations);
        let (state, aborted) = self.settings.roots().aborted(&issued, now)?;
        if aborted == Aborted::Undone {
            return Ok((self.end(state, out)?, aborted));
        }
        self.check_roots_file(out)?;
        self.adopt(state, out)?;
        Ok((self.begun(out)?, aborted))
    }

    /// Leaves one root, of which nodes are told before the keys of all others are destroyed.
    fn end(&mut self, state: RootState, out: &Path) -> Result<Begun, RotateError> {
        // The last key must not be found wanting when the others are gone.
        let remaining = Root::load(&self.directory, state.generation)?;
        keys::check(&self.directory, &remaining)?;
        self.check_roots_file(out)?;
        self.adopt(state, out)?;
        // A key that can sign for nodes which still have the old `ca.pem` must not lie about.
        let keys = [self.keys_given_up()?, self.keys_never_used()?].concat();
        for (_, key) in keys {
            files::remove(&key)?;
        }
        self.begun(out)
    }

    /// Whether a run died between the end of a rotation and that of its keys.
    fn is_half_ended(&self) -> Result<bool, FileError> {
        Ok(self.retiring.is_none() && !self.keys_given_up()?.is_empty())
    }

    /// Whether a run died between an abort and the end of the new root's key, or before it began a
    /// rotation and after it had made the key.
    fn is_half_undone(&self) -> Result<bool, FileError> {
        let keys = [self.keys_given_up()?, self.keys_never_used()?].concat();
        let mut generations = keys.into_iter().map(|(generation, _)| generation);
        Ok(self.retiring.is_none() && generations.any(|it| it > self.signing.generation))
    }

    /// The keys of roots before the one that signs, and of the one that was given up last.
    fn keys_given_up(&self) -> Result<Vec<(u64, PathBuf)>, FileError> {
        let signing = self.settings.roots().generation;
        let given_up =
            |generation| generation < signing || Some(generation) == self.settings.given_up();
        let stray = self.stray_keys()?.into_iter();
        Ok(stray
            .filter(|(generation, _)| given_up(*generation))
            .collect())
    }

    /// The keys of roots after it that have signed nothing. One that has would be the newest root
    /// of a directory whose settings were restored from an old copy.
    fn keys_never_used(&self) -> Result<Vec<(u64, PathBuf)>, FileError> {
        let given_up = self.keys_given_up()?;
        let has_signed = |generation| self.issued().iter().any(|it| it.generation == generation);
        let stray = self.stray_keys()?.into_iter();
        let unused = stray.filter(|key| !given_up.contains(key) && !has_signed(key.0));
        Ok(unused.collect())
    }

    /// The keys of roots that are not believed, with the numbers of those.
    fn stray_keys(&self) -> Result<Vec<(u64, PathBuf)>, FileError> {
        let state = self.settings.roots();
        let generations = key_generations(&self.directory)?.into_iter();
        let stray = generations.filter(|generation| !state.believes(*generation));
        Ok(stray
            .map(|generation| (generation, key_file(&self.directory, generation)))
            .collect())
    }

    fn in_use(&self) -> Vec<InUse> {
        standing::in_use(standing::unrevoked(self.issued(), &self.revocations))
    }

    /// Makes roots those of the authority: on disk by one rename, then in memory, then for nodes.
    ///
    /// All that can go wrong is tried before that rename: the roots are read, and the `ca.pem` is
    /// complete under a temporary name.
    fn adopt(&mut self, state: RootState, out: &Path) -> Result<(), RotateError> {
        let root = |generation| Root::load(&self.directory, generation);
        let signing = root(state.generation)?;
        let retiring = state.retiring.map(|retiring| root(retiring.generation));
        let retiring = retiring.transpose()?;
        let known = Root::load_all(&self.directory)?;
        let roots = Roots::new(&signing, retiring.as_ref(), known);
        let staged = roots.stage(&output::ca_file(out))?;
        let mut settings = self.settings.with_roots(state);
        settings.key_type = signing.key_type.unwrap_or(settings.key_type);
        settings.store(&self.directory)?;
        self.settings = settings;
        self.signing = signing;
        self.retiring = retiring;
        staged.map_or(Ok(()), StagedFile::publish)?;
        Ok(())
    }

    /// Also above the roots of all records, whose files may have been cleared away: a record must
    /// never be of two roots.
    fn next_generation(&self) -> Result<u64, FileError> {
        let recorded = self.issued().iter().map(|record| record.generation).max();
        let after = recorded.map_or(1, |last| last.saturating_add(1));
        Ok(free_generation(&self.directory)?.max(after))
    }

    /// Before anything changes: the roots must have somewhere to go.
    fn check_roots_file(&self, out: &Path) -> Result<(), RotateError> {
        output::make_directory(out, &self.directory)?;
        Ok(self.roots_file()?.check(&output::ca_file(out))?)
    }

    fn begun(&self, out: &Path) -> Result<Begun, RotateError> {
        Ok(Begun {
            rotation: self.rotation()?,
            other_roots: self.roots_file()?.others(&output::ca_file(out))?,
            ca: output::ca_file(out),
        })
    }
}

/// Why the root was not exchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The step cannot be taken now.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The roots would take the place of others.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The new root could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The new root's key could not be encrypted.
    #[error("cannot encrypt the new root's key")]
    Passphrase(#[source] PassphraseError),
    /// The step could not be recorded.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The key of the root that would remain cannot be used: it would be the only one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The roots cannot be read.
    #[error(transparent)]
    Roots(#[from] OpenError),
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::File(error) => Self::File(error),
            StoreError::Passphrase(error) => Self::Passphrase(error),
        }
    }
}

fn info(root: &Root) -> RootInfo {
    RootInfo {
        generation: root.generation,
        subject: root.subject.clone(),
        fingerprint: root.fingerprint.clone(),
        not_after: root.window.not_after,
    }
}
