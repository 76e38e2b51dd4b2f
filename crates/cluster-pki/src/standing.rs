//! What became of a certificate: whether it is in use, and for how long.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use crate::index::IssuedRecord;
use crate::revocations::{Revocations, RevokedRecord};
use crate::rotation::{InUse, RootState};

/// What became of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It is the newest of its node, and is for more than [`Standing::EXPIRING`].
    Valid,
    /// It is the newest of its node and ends soon.
    Expiring,
    /// Its last moment has passed.
    Expired,
    /// Its node has a newer one. It is believed until it expires all the same.
    Replaced,
    /// It was revoked.
    Revoked,
    /// The root that signed it is out of use, and believed by nobody who has the newest `ca.pem`.
    Untrusted,
}

impl Standing {
    /// How long before its end a certificate is said to be expiring: 30 days, a month's notice.
    pub const EXPIRING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// The word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Untrusted => "untrusted",
        }
    }

    /// Whether it is the certificate that its node is to use.
    pub fn is_in_use(self) -> bool {
        matches!(self, Self::Valid | Self::Expiring)
    }
}

/// An issued certificate and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate<'a> {
    /// What it says.
    pub record: &'a IssuedRecord,
    /// What became of it.
    pub standing: Standing,
    /// When and why it was revoked, where it was.
    pub revoked: Option<&'a RevokedRecord>,
    /// Whether it is the newest of its node, whatever became of it.
    pub is_newest: bool,
}

/// Every certificate in the order of issue, with what became of each.
pub(crate) fn certificates<'a>(
    issued: &'a [IssuedRecord],
    revocations: &'a Revocations,
    roots: RootState,
    now: SystemTime,
) -> Vec<Certificate<'a>> {
    let revoked: HashMap<&str, &RevokedRecord> = revocations
        .records()
        .iter()
        .map(|record| (record.serial.as_str(), record))
        .collect();
    // The last one of a name wins.
    let newest: HashMap<String, usize> = issued
        .iter()
        .enumerate()
        .map(|(at, record)| (record.name.canonical(), at))
        .collect();
    let certificate = |(at, record): (usize, &'a IssuedRecord)| {
        let is_newest = newest.get(&record.name.canonical()) == Some(&at);
        let revoked = revoked.get(record.serial.as_str()).copied();
        let standing = match revoked {
            Some(_) => Standing::Revoked,
            None if !roots.believes(record.generation) => Standing::Untrusted,
            None => by_dates(record, is_newest, now),
        };
        Certificate {
            record,
            standing,
            revoked,
            is_newest,
        }
    };
    issued.iter().enumerate().map(certificate).collect()
}

/// Every certificate that was not revoked, as a rotation looks at them.
pub(crate) fn unrevoked(issued: &[IssuedRecord], revocations: &Revocations) -> Vec<InUse> {
    let revoked: HashSet<&str> = revocations
        .records()
        .iter()
        .map(|record| record.serial.as_str())
        .collect();
    issued
        .iter()
        .filter(|record| !revoked.contains(record.serial.as_str()))
        .map(|record| InUse {
            name: record.name.clone(),
            generation: record.generation,
        })
        .collect()
}

/// The newest of each node's: what it would be left with. Whether its dates are over is not asked:
/// a clock that is ahead must not cut off everybody.
pub(crate) fn in_use(unrevoked: Vec<InUse>) -> Vec<InUse> {
    let mut seen = HashSet::new();
    let mut newest: Vec<_> = unrevoked
        .into_iter()
        .rev()
        .filter(|leaf| seen.insert(leaf.name.canonical()))
        .collect();
    newest.reverse();
    newest
}

fn by_dates(record: &IssuedRecord, is_newest: bool, now: SystemTime) -> Standing {
    let soon = now.checked_add(Standing::EXPIRING);
    if record.not_after < now {
        Standing::Expired
    } else if !is_newest {
        Standing::Replaced
    } else if soon.is_some_and(|soon| record.not_after < soon) {
        Standing::Expiring
    } else {
        Standing::Valid
    }
}

#[cfg(test)]
mod tests {
    use cluster_tls::Role;

    use super::*;
    use crate::days::Days;
    use crate::index::KeyOrigin;
    use crate::lines;
    use crate::revocations::RevocationReason;

    const DAY_S: u64 = 86_400;

    fn at(day: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY_S)
    }

    fn record(name: &str, serial: &str, last_day: u64) -> IssuedRecord {
        IssuedRecord {
            name: name.parse().unwrap(),
            role: Role::Node,
            uri: String::new(),
            names: Vec::new(),
            serial: serial.to_owned(),
            fingerprint: String::new(),
            not_before: at(0),
            not_after: at(last_day),
            issued_at: at(0),
            generation: 1,
            days: Days::ONE,
            key: KeyOrigin::Authority,
            public_key: None,
            directory: None,
        }
    }

    #[test]
    fn what_became_of_each_certificate() {
        let dir = tempfile::tempdir().unwrap();
        lines::create(&Revocations::path(dir.path())).unwrap();
        let issued = [
            record("valid", "01", 131),
            record("expiring", "02", 129),
            record("expired", "03", 99),
            record("renewed", "04", 131),
            record("Renewed", "05", 131),
            record("thief", "06", 131),
            record("late", "07", 99),
            record("late", "08", 131),
        ];
        let mut revocations = Revocations::load(dir.path()).unwrap();
        let revoked = RevokedRecord::new(&issued[5], RevocationReason::KeyCompromise, at(1));
        revocations.append(vec![revoked.clone()]).unwrap();
        let found = certificates(&issued, &revocations, RootState::stable(1), at(100));
        let standings: Vec<_> = found
            .iter()
            .map(|certificate| certificate.standing)
            .collect();
        let expected = [
            Standing::Valid,
            Standing::Expiring,
            Standing::Expired,
            Standing::Replaced,
            Standing::Valid,
            Standing::Revoked,
            Standing::Expired,
            Standing::Valid,
        ];
        assert_eq!(standings, expected);
        assert_eq!(found[5].revoked, Some(&revoked));
        let used: Vec<_> = in_use(unrevoked(&issued, &revocations))
            .iter()
            .map(|used| used.name.to_string())
            .collect();
        assert_eq!(used, ["valid", "expiring", "expired", "Renewed", "late"]);
    }

    #[test]
    fn a_certificate_ends_with_its_root_whatever_its_dates_say() {
        let dir = tempfile::tempdir().unwrap();
        lines::create(&Revocations::path(dir.path())).unwrap();
        let issued = [record("a", "01", 131)];
        let revocations = Revocations::load(dir.path()).unwrap();
        let standing = |roots| certificates(&issued, &revocations, roots, at(100))[0].standing;
        let overlap = RootState::stable(1).started(2, at(99)).unwrap();
        assert_eq!(standing(overlap), Standing::Valid);
        assert_eq!(standing(RootState::stable(2)), Standing::Untrusted);
    }

    #[test]
    fn a_node_whose_newest_certificate_is_revoked_does_not_fall_back_to_an_older_one() {
        let dir = tempfile::tempdir().unwrap();
        lines::create(&Revocations::path(dir.path())).unwrap();
        let issued = [record("a", "01", 131), record("a", "02", 131)];
        let mut revocations = Revocations::load(dir.path()).unwrap();
        let revoked = RevokedRecord::new(&issued[1], RevocationReason::Superseded, at(1));
        revocations.append(vec![revoked]).unwrap();
        let found = certificates(&issued, &revocations, RootState::stable(1), at(100));
        assert_eq!(found[0].standing, Standing::Replaced);
        assert!(!found[0].is_newest);
        // A rotation asks what the node may still have, and that is the older one.
        let left = in_use(unrevoked(&issued, &revocations));
        assert_eq!(left.len(), 1);
    }
}
