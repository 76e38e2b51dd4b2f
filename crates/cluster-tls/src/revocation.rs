//! Which certificates are no longer believed although their dates are fine.

use std::collections::HashSet;
use std::fmt::{self, Debug, Formatter};
use std::time::SystemTime;

use webpki::{
    CertRevocationList, ExpirationPolicy, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

/// The revocation lists of one snapshot.
#[derive(Debug)]
pub(crate) struct Revocations {
    lists: Vec<RevocationList>,
}

/// One list, with what there is to say about it.
pub(crate) struct RevocationList {
    pub(crate) list: CertRevocationList<'static>,
    pub(crate) summary: RevocationListSummary,
    pub(crate) not_before: SystemTime,
}

/// What there is to say about a revocation list: for status pages, logs and expiry metrics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RevocationListSummary {
    /// The distinguished name of its issuer, control characters escaped.
    pub issuer: String,
    /// Its next update: from then on it is not believed, and nobody whom it is about is.
    pub not_after: SystemTime,
}

impl Revocations {
    /// The newest list first: webpki asks the first one that is about a certificate and no other,
    /// so that an outdated list before its successor would have the word. The newest is the one
    /// that was issued last: a list made in a hurry may well be due for replacement before the one
    /// it replaces.
    pub(crate) fn new(mut lists: Vec<RevocationList>) -> Self {
        lists.sort_by_key(|list| std::cmp::Reverse((list.not_before, list.summary.not_after)));
        Self { lists }
    }

    pub(crate) fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// The list of the issuer with this distinguished name that has the word.
    pub(crate) fn newest_of(&self, subject: &[u8]) -> Option<&RevocationList> {
        self.lists.iter().find(|list| list.list.issuer() == subject)
    }

    /// An issuer of whom `self` has an older list than `current`: somebody has put back what was
    /// replaced, and with it those who were revoked since.
    pub(crate) fn rolled_back_from(&self, current: &Self) -> Option<&RevocationListSummary> {
        self.lists.iter().find_map(|list| {
            let issuer = list.list.issuer();
            let (ours, theirs) = (self.newest_of(issuer)?, current.newest_of(issuer)?);
            (ours.not_before < theirs.not_before).then_some(&ours.summary)
        })
    }

    /// The lists as webpki takes them.
    pub(crate) fn references(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().map(|list| &list.list).collect()
    }
}

/// The strict options over `lists`; none where there are no lists.
///
/// Every step of a chain is looked up, a certificate without an answer is refused, and so is an
/// answer that is out of date, which webpki's own default believes.
pub(crate) fn options<'a>(
    lists: &'a [&'a CertRevocationList<'a>],
) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build(),
    )
}

impl Debug for RevocationList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

/// Certificates that are denied by name, whoever issued them.
#[derive(Clone, Debug, Default)]
pub(crate) struct DenyList {
    serials: HashSet<String>,
    fingerprints: HashSet<String>,
}

impl DenyList {
    /// Adds an entry in canonical form: 64 hexadecimal digits are a fingerprint, fewer a serial.
    pub(crate) fn add(&mut self, entry: &str) {
        let set = match entry.len() {
            FINGERPRINT_DIGITS => &mut self.fingerprints,
            _ => &mut self.serials,
        };
        set.insert(entry.to_owned());
    }

    /// Whether a certificate is on the list; both names in lower-case hexadecimal.
    pub(crate) fn holds(&self, serial: &str, fingerprint: &str) -> bool {
        self.serials.contains(serial) || self.fingerprints.contains(fingerprint)
    }

    pub(crate) fn len(&self) -> usize {
        self.serials.len() + self.fingerprints.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.serials.is_empty() && self.fingerprints.is_empty()
    }
}

const FINGERPRINT_DIGITS: usize = 64;
