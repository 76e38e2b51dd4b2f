//! Taking certificates back, and telling nodes which.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::published::Published;
use super::{Authority, OpenError};
use crate::crl::{self, CrlPlan, mint_crl};
use crate::days::Days;
use crate::files::{Access, FileError, StagedFile};
use crate::index::IssuedRecord;
use crate::keys::KeyError;
use crate::lines::RecordError;
use crate::mint::MintError;
use crate::name::NodeName;
use crate::output::{self, OutputError};
use crate::passphrase::NoPassphrase;
use crate::policy::Window;
use crate::revocations::{RevocationReason, RevokedRecord};
use crate::root::Root;
use crate::settings::SettingsError;

/// Which certificates are to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokeTarget {
    /// Every certificate of a node, expired ones too: a clock that is ahead must leave none out,
    /// and a node that is no more is then not asked to be renewed for ever.
    Node(NodeName),
    /// The same, but not the newest: what renewals left behind.
    Replaced(NodeName),
    /// The one with this serial number, hexadecimal digits.
    Serial(String),
}

/// Where the lists go, and how long they are good for.
#[derive(Debug, Clone)]
pub struct ListsRequest {
    /// The directory for `crl.pem` and `deny-list.txt`.
    pub out: PathBuf,
    /// When the next revocation list is due; without it, when the root ends. Nodes believe
    /// nobody once it is overdue.
    pub days: Option<Days>,
}

/// The lists that nodes are given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lists {
    /// A revocation list for each root: `crl.pem`.
    pub crl: PathBuf,
    /// The serial numbers: `deny-list.txt`. Before the first revocation it says that it has none.
    pub deny_list: PathBuf,
    /// The number of the revocation lists.
    pub number: u64,
    /// From when on the revocation lists are overdue.
    pub next_update: SystemTime,
}

/// What was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked {
    /// The certificates, oldest first.
    pub records: Vec<RevokedRecord>,
    /// Where nodes are told.
    pub lists: Lists,
}

impl Authority {
    /// The certificates that a revocation is about, oldest first.
    ///
    /// # Errors
    ///
    /// Where there is nothing to revoke: [`RevokeError::Unknown`],
    /// [`RevokeError::NothingLeft`].
    pub fn to_revoke(
        &self,
        target: &RevokeTarget,
        now: SystemTime,
    ) -> Result<Vec<&IssuedRecord>, RevokeError> {
        let of_target = |record: &IssuedRecord| match target {
            RevokeTarget::Node(name) | RevokeTarget::Replaced(name) => {
                record.name.canonical() == name.canonical()
            }
            RevokeTarget::Serial(serial) => record.serial == canonical_serial(serial),
        };
        let certificates = self.certificates(now).into_iter();
        let mut found: Vec<_> = certificates
            .filter(|certificate| of_target(certificate.record))
            .collect();
        if found.is_empty() {
            return Err(RevokeError::Unknown(target.clone()));
        }
        if let RevokeTarget::Replaced(_) = target {
            found.retain(|certificate| !certificate.is_newest);
        }
        found.retain(|found| found.revoked.is_none());
        if found.is_empty() {
            return Err(RevokeError::NothingLeft(target.clone()));
        }
        Ok(found.into_iter().map(|found| found.record).collect())
    }

    /// Revokes certificates for good and writes the lists that tell nodes.
    ///
    /// The lists are complete under temporary names before anything is recorded, and take their
    /// names after it: a crash leaves revocations whose lists [`publish_lists`] writes.
    ///
    /// [`publish_lists`]: Authority::publish_lists
    ///
    /// # Errors
    ///
    /// Those of [`to_revoke`](Authority::to_revoke), and what went wrong with the lists; nothing
    /// is revoked then.
    pub fn revoke(
        &mut self,
        target: &RevokeTarget,
        reason: RevocationReason,
        lists: &ListsRequest,
        now: SystemTime,
    ) -> Result<Revoked, RevokeError> {
        let found = self.to_revoke(target, now)?.into_iter();
        let records: Vec<_> = found
            .map(|record| RevokedRecord::new(record, reason, now))
            .collect();
        let lists = self.write_lists(lists, &records, now)?;
        Ok(Revoked { records, lists })
    }

    /// Writes the lists anew: after a rotation began, when they are lost, or before they are due.
    ///
    /// # Errors
    ///
    /// What went wrong with a file or a key; the lists are then as they were.
    pub fn publish_lists(
        &mut self,
        lists: &ListsRequest,
        now: SystemTime,
    ) -> Result<Lists, RevokeError> {
        self.write_lists(lists, &[], now)
    }

    /// Whether lists were ever given out, so that nodes may depend on them.
    pub fn has_lists(&self) -> bool {
        self.settings.crl_number > 0
    }

    fn write_lists(
        &mut self,
        request: &ListsRequest,
        new: &[RevokedRecord],
        now: SystemTime,
    ) -> Result<Lists, RevokeError> {
        self.open_list_keys(now)?;
        let staged = self.stage_lists(request, new, now)?;
        // A number that is taken and never used is no harm; one that is used twice is.
        let mut settings = self.settings.clone();
        settings.crl_number = staged.lists.number;
        settings.crl_from = self.next_lists_from(now);
        settings.store(&self.directory)?;
        self.settings = settings;
        if !new.is_empty() {
            self.revocations.append(new.to_vec())?;
        }
        staged.deny_list.rename()?;
        staged.crl.publish()?;
        Ok(staged.lists)
    }

    /// Nothing of an expired root is believed, and no list of it either: its key is not needed.
    fn open_list_keys(&mut self, now: SystemTime) -> Result<(), KeyError> {
        let roots = [Some(&self.signing), self.retiring.as_ref()].into_iter();
        let mut believed = roots.flatten().filter(|root| now < root.window.not_after);
        believed.try_for_each(|root| self.keys.open(&self.directory, root, &mut NoPassphrase))
    }

    fn stage_lists(
        &self,
        request: &ListsRequest,
        new: &[RevokedRecord],
        now: SystemTime,
    ) -> Result<StagedLists, RevokeError> {
        output::make_directory(&request.out, &self.directory)?;
        let crl = request.out.join("crl.pem");
        let deny_list = request.out.join("deny-list.txt");
        let published = self.published(&crl, &deny_list)?;
        let revoked: Vec<_> = self.revoked().iter().chain(new).cloned().collect();
        published.check(&deny_list, revoked.iter())?;
        let number = self
            .settings
            .crl_number
            .max(published.number)
            .saturating_add(1);
        let (text, next_update) = self.crl_text(request, &revoked, number, now)?;
        let serials = crl::deny_list(&revoked);
        Ok(StagedLists {
            deny_list: StagedFile::write(&deny_list, Access::Everyone, serials.as_bytes())?,
            crl: StagedFile::write(&crl, Access::Everyone, text.as_bytes())?,
            lists: Lists {
                crl,
                deny_list,
                number,
                next_update,
            },
        })
    }

    /// A list for each root that still stands, and when the first of them is overdue.
    fn crl_text(
        &self,
        request: &ListsRequest,
        revoked: &[RevokedRecord],
        number: u64,
        now: SystemTime,
    ) -> Result<(String, SystemTime), RevokeError> {
        let mut text = String::new();
        let mut overdue = None;
        for root in [Some(&self.signing), self.retiring.as_ref()]
            .into_iter()
            .flatten()
        {
            if now >= root.window.not_after {
                continue;
            }
            let from = self.next_lists_from(now);
            let window = list_window(root.window.not_after, request.days, from, now);
            let of_root = revoked
                .iter()
                .filter(|record| record.generation == root.generation);
            let plan = CrlPlan {
                number,
                window,
                revoked: of_root.collect(),
            };
            text += &mint_crl(&plan, self.keys.of(root)?)?;
            let end = window.not_after;
            overdue = Some(overdue.map_or(end, |first: SystemTime| first.min(end)));
        }
        overdue
            .map(|overdue| (text, overdue))
            .ok_or(RevokeError::RootsExpired)
    }

    /// Nodes take no list that begins before the one they have, nor tell two apart that begin
    /// together; and the clock may have been ahead when the last ones were made.
    fn next_lists_from(&self, now: SystemTime) -> SystemTime {
        // Where the clock starts is the same for every certificate and list.
        let from = Window::starting(now, Days::ONE).not_before;
        from.max(self.settings.crl_from + SECOND)
    }

    /// The lists that new ones would take the place of.
    fn published(&self, crl: &Path, deny_list: &Path) -> Result<Published, RevokeError> {
        let roots = Root::load_all(&self.directory)?.into_iter();
        let subjects: Vec<_> = roots.map(|root| root.subject).collect();
        Ok(Published::read(crl, deny_list, &subjects)?)
    }
}

/// Both lists, complete under temporary names.
struct StagedLists {
    crl: StagedFile,
    deny_list: StagedFile,
    lists: Lists,
}

/// Why nothing was revoked, or no list written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// The authority never issued such a certificate.
    #[error("{}", unknown(.0))]
    Unknown(RevokeTarget),
    /// All of it was revoked before, or was never replaced.
    #[error("{}", nothing_left(.0))]
    NothingLeft(RevokeTarget),
    /// A root that is no longer believed can say nothing about its leaves, which are not either.
    #[error("every root of the authority has expired: no certificate of it is believed any more")]
    RootsExpired,
    /// The lists would take the place of something else.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A CA key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A list could not be signed.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The revocation could not be recorded.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// The number of the list could not be recorded.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The authority's roots cannot be read.
    #[error(transparent)]
    Roots(#[from] OpenError),
}

fn unknown(target: &RevokeTarget) -> String {
    match target {
        RevokeTarget::Node(name) | RevokeTarget::Replaced(name) => {
            format!("no certificate was ever issued for `{name}`")
        }
        RevokeTarget::Serial(serial) => {
            format!("no certificate with serial number `{serial}` was ever issued")
        }
    }
}

fn nothing_left(target: &RevokeTarget) -> String {
    match target {
        RevokeTarget::Node(name) => {
            format!("every certificate of `{name}` is revoked already")
        }
        RevokeTarget::Replaced(name) => {
            format!("no certificate of `{name}` that was replaced is still believed")
        }
        RevokeTarget::Serial(serial) => {
            format!("the certificate `{serial}` is revoked already")
        }
    }
}

/// When a list begins and when the next one is due: as was asked, never after the end of the root.
fn list_window(end: SystemTime, days: Option<Days>, from: SystemTime, now: SystemTime) -> Window {
    let asked = |from| days.map_or(end, |days| Window::starting(from, days).not_after.min(end));
    // A list of a clock that is put back would be overdue before it begins.
    let not_after = match asked(now) {
        due if from < due => due,
        _ => asked(from),
    };
    Window {
        not_before: from.min(not_after - SECOND),
        not_after,
    }
}

/// As the records have it, however tools print it.
fn canonical_serial(text: &str) -> String {
    let text = text.trim();
    let text = ["0x", "0X"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    let separates = |character: char| character == ':' || character.is_ascii_whitespace();
    let digits = text.chars().filter(|character| !separates(*character));
    digits.collect::<String>().to_ascii_lowercase()
}

const SECOND: Duration = Duration::from_secs(1);
