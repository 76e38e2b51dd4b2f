//! What the lists say that nodes may have: they must never be told less than before.

use std::collections::BTreeSet;
use std::path::Path;

use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::crl::DENY_LIST_HEADER;
use crate::files;
use crate::mint::hex;
use crate::output::OutputError;
use crate::revocations::RevokedRecord;

/// The lists that are where new ones are to be.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// The highest number of a revocation list.
    pub(super) number: u64,
    serials: BTreeSet<String>,
}

impl Published {
    /// Reads what is there. A list of another authority, or one that somebody wrote by hand, is
    /// not for us to replace.
    pub(super) fn read(
        crl: &Path,
        deny_list: &Path,
        subjects: &[String],
    ) -> Result<Self, OutputError> {
        let mut published = Self::default();
        if let Some(text) = files::read_optional(crl)?
            && published.add_crl(&text, subjects).is_none()
        {
            let path = crl.to_owned();
            return Err(OutputError::OtherAuthority { path });
        }
        if let Some(text) = files::read_optional(deny_list)?
            && published.add_deny_list(&text).is_none()
        {
            let path = deny_list.to_owned();
            return Err(OutputError::ForeignList { path });
        }
        Ok(published)
    }

    /// Refuses records that know less than the lists: they are those of an old copy.
    pub(super) fn check<'a>(
        &self,
        path: &Path,
        revoked: impl Iterator<Item = &'a RevokedRecord>,
    ) -> Result<(), OutputError> {
        let known: BTreeSet<&str> = revoked.map(|record| record.serial.as_str()).collect();
        let unknown = |serial: &&String| !known.contains(serial.as_str());
        match self.serials.iter().filter(unknown).count() {
            0 => Ok(()),
            count => Err(OutputError::ListKnowsMore {
                path: path.to_owned(),
                count,
            }),
        }
    }

    fn add_crl(&mut self, text: &str, subjects: &[String]) -> Option<()> {
        let mut lists = Pem::iter_from_buffer(text.as_bytes()).peekable();
        lists.peek()?;
        for pem in lists {
            let pem = pem.ok()?;
            let (_, list) = CertificateRevocationList::from_der(&pem.contents).ok()?;
            if !subjects.contains(&list.issuer().to_string()) {
                return None;
            }
            let number = list
                .crl_number()
                .map_or(Some(0), |it| it.to_string().parse().ok())?;
            self.number = self.number.max(number);
            let revoked = list.iter_revoked_certificates();
            self.serials
                .extend(revoked.map(|entry| hex(entry.raw_serial())));
        }
        Some(())
    }

    fn add_deny_list(&mut self, text: &str) -> Option<()> {
        let lines = text.strip_prefix(DENY_LIST_HEADER)?.lines();
        let entries = lines.map(|line| line.split('#').next().unwrap_or_default().trim());
        let serials = entries.filter(|entry| !entry.is_empty());
        self.serials.extend(serials.map(str::to_ascii_lowercase));
        Some(())
    }
}
