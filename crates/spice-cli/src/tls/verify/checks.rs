//! What is looked at, and how it turns out.

use std::time::{Duration, SystemTime};

use cluster_pki::Timestamp;
use cluster_tls::{
    CredentialFile, LoadError, LoadFault, Name, PeerIdentity, RefusalReason, Role, RootSummary,
    Snapshot, Stage, StepOutcome,
};

/// What is asked of a certificate beside that it is a good one.
pub(super) struct Demands<'a> {
    pub(super) hosts: &'a [Name],
    pub(super) role: Option<Role>,
    pub(super) now: SystemTime,
}

/// One thing that was looked at, or not.
pub(super) struct Check {
    pub(super) subject: Subject,
    pub(super) outcome: StepOutcome,
    /// The stable word for a fault in the files.
    pub(super) reason: Option<&'static str>,
    pub(super) detail: String,
    pub(super) remedy: Option<String>,
}

/// What a check is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Roots,
    Certificate,
    Key,
    Revocation,
    Name,
    Role,
    Expiry,
}

impl Subject {
    const ALL: [Self; 7] = [
        Self::Roots,
        Self::Certificate,
        Self::Key,
        Self::Revocation,
        Self::Name,
        Self::Role,
        Self::Expiry,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Roots => "roots",
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Revocation => "revocation",
            Self::Name => "name",
            Self::Role => "role",
            Self::Expiry => "expiry",
        }
    }

    /// Where a diagnosis would end for it: of `connect` with these files, or of a node that dials
    /// the one that has them.
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Name => Stage::Name,
            Self::Role => Stage::Role,
            Self::Roots | Self::Certificate | Self::Key | Self::Revocation | Self::Expiry => {
                Stage::Credentials
            }
        }
    }

    /// Which line a fault of the files belongs to.
    fn of(error: &LoadError) -> Self {
        match (error.file(), error.fault()) {
            (_, LoadFault::Refused(refusal)) if refusal.reason() == RefusalReason::Revoked => {
                Self::Revocation
            }
            (_, LoadFault::Refused(refusal)) if refusal.reason() == RefusalReason::Expired => {
                Self::Expiry
            }
            (CredentialFile::Ca, _) => Self::Roots,
            (CredentialFile::Key, _) => Self::Key,
            (CredentialFile::Crl | CredentialFile::DenyList, _) => Self::Revocation,
            _ => Self::Certificate,
        }
    }
}

impl Check {
    fn new(subject: Subject, outcome: StepOutcome, detail: impl Into<String>) -> Self {
        Self {
            subject,
            outcome,
            reason: None,
            detail: detail.into(),
            remedy: None,
        }
    }

    fn passed(subject: Subject, detail: impl Into<String>) -> Self {
        Self::new(subject, StepOutcome::Passed, detail)
    }

    fn skipped(subject: Subject, detail: impl Into<String>) -> Self {
        Self::new(subject, StepOutcome::Skipped, detail)
    }

    fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// The checks of files that a node refuses: the first fault is known, and of the rest nothing.
pub(super) fn of_refused(error: &LoadError) -> Vec<Check> {
    let at_fault = Subject::of(error);
    let check = |subject| {
        if subject != at_fault {
            return Check::skipped(subject, "not judged, because of the fault");
        }
        Check {
            reason: Some(error.fault().code()),
            ..Check::new(subject, StepOutcome::Failed, described(error)).with_remedy(error.remedy())
        }
    };
    Subject::ALL.map(check).into()
}

/// The part, its path and the fault; the remedy has a line of its own.
fn described(error: &LoadError) -> String {
    let (file, fault) = (error.file(), error.fault());
    match error.path() {
        Some(path) => format!("{file} {}: {fault}", path.display()),
        None => format!("{file}: {fault}"),
    }
}

/// The checks of files that a node would use.
pub(super) fn of_loaded(snapshot: &Snapshot, demands: &Demands<'_>) -> Vec<Check> {
    let own = snapshot.own();
    let identity = own.uri().unwrap_or("no identity URI");
    let mut checks = vec![
        roots(snapshot.roots(), demands.now),
        Check::passed(
            Subject::Certificate,
            format!("{identity}, serial {}", own.serial()),
        ),
        Check::passed(Subject::Key, "belongs to the certificate"),
        revocation(snapshot),
    ];
    checks.extend(names(own, demands.hosts));
    checks.push(role(own, demands.role));
    checks.push(expiry(own, demands.now));
    checks
}

/// While roots are exchanged one of them is about to end; it matters when the last one is.
fn roots(roots: &[RootSummary], now: SystemTime) -> Check {
    let texts: Vec<_> = roots
        .iter()
        .map(|root| format!("{} until {}", root.subject, Timestamp(root.not_after)))
        .collect();
    let last = roots.iter().map(|root| root.not_after).max();
    let check = Check::passed(Subject::Roots, texts.join(", "));
    if last.is_some_and(|last| ends_soon(now, last)) {
        return Check {
            outcome: StepOutcome::Warned,
            ..check.with_remedy("rotate the authority: `spice cluster tls rotate-ca start`")
        };
    }
    check
}

fn revocation(snapshot: &Snapshot) -> Check {
    let lists: Vec<_> = snapshot
        .revocation_lists()
        .map(|list| {
            format!(
                "the list of {} until {}",
                list.issuer,
                Timestamp(list.not_after)
            )
        })
        .collect();
    let denied = snapshot.denied_count();
    let denied = denied.map(|count| format!("the deny-list of {count}"));
    let looked_at: Vec<_> = lists.into_iter().chain(denied).collect();
    if looked_at.is_empty() {
        let detail = "not looked at: neither --crl nor --deny-list was given";
        return Check::skipped(Subject::Revocation, detail);
    }
    let detail = format!("not revoked by {}", looked_at.join(", "));
    Check::passed(Subject::Revocation, detail)
}

fn names(own: &PeerIdentity, hosts: &[Name]) -> Vec<Check> {
    let names: Vec<_> = own.names().iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    if hosts.is_empty() {
        return vec![Check::skipped(
            Subject::Name,
            format!("no --host was given to look for among {names}"),
        )];
    }
    let name = |host: &Name| {
        let text = host.to_string();
        if own.has_name(&text) {
            let detail = format!("{text} is one of {names}");
            return Check::passed(Subject::Name, detail);
        }
        let detail = format!("{text} is none of the names in the certificate: {names}");
        let add = add_again(own, &format!("--host {text}"));
        Check::new(Subject::Name, StepOutcome::Failed, detail).with_remedy(format!(
            "advertise one of these, or issue a certificate that has it with {add}"
        ))
    };
    hosts.iter().map(name).collect()
}

fn role(own: &PeerIdentity, wanted: Option<Role>) -> Check {
    let found = own.role();
    let Some(wanted) = wanted else {
        return Check::skipped(Subject::Role, format!("no --role was given; it is {found}"));
    };
    if found.may_act_as(wanted) {
        return Check::passed(Subject::Role, format!("{found} may act as {wanted}"));
    }
    let add = add_again(own, &format!("--role {wanted}"));
    let detail = format!("the certificate's role is {found}, which may not act as {wanted}");
    Check::new(Subject::Role, StepOutcome::Failed, detail)
        .with_remedy(format!("issue one that may with {add}"))
}

fn expiry(own: &PeerIdentity, now: SystemTime) -> Check {
    let not_after = own.not_after();
    let days = whole_days(now, not_after);
    let within = match days {
        0 => "within a day".to_owned(),
        1 => "in 1 day".to_owned(),
        days => format!("in {days} days"),
    };
    let check = Check::passed(
        Subject::Expiry,
        format!("{within}, at {}", Timestamp(not_after)),
    );
    if !ends_soon(now, not_after) {
        return check;
    }
    let name = own_name(own).unwrap_or("NAME");
    Check {
        outcome: StepOutcome::Warned,
        ..check.with_remedy(format!("renew it: `spice cluster tls renew {name}`"))
    }
}

/// What to type for a certificate with something more.
fn add_again(own: &PeerIdentity, more: &str) -> String {
    match own_name(own) {
        Some(name) => format!("`spice cluster tls add {name} {more} --force`"),
        None => format!("`spice cluster tls add NAME {more}`"),
    }
}

/// The name that the authority has the certificate under, where its identity is of our own form.
fn own_name(own: &PeerIdentity) -> Option<&str> {
    let (rest, name) = own.uri()?.rsplit_once('/')?;
    let ours = rest.strip_suffix(own.role().as_str())?.strip_suffix('/')?;
    (ours.matches('/').count() == 2).then_some(name)
}

/// The days that are left in full; none of a time that has passed.
pub(super) fn whole_days(now: SystemTime, then: SystemTime) -> u64 {
    then.duration_since(now).unwrap_or_default().as_secs() / DAY.as_secs()
}

fn ends_soon(now: SystemTime, end: SystemTime) -> bool {
    end.duration_since(now).unwrap_or_default() < WARN_BEFORE
}

const DAY: Duration = Duration::from_secs(86_400);

/// A month: time for a renewal that needs other people.
const WARN_BEFORE: Duration = Duration::from_secs(30 * 86_400);
