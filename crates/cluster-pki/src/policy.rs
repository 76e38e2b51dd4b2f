//! What a leaf may say: how long, which names, which identity. Pure functions.

use std::fmt;
use std::time::{Duration, SystemTime};

use cluster_tls::{Name, Role};

use crate::days::Days;
use crate::name::{Domain, Host, NodeName};
use crate::timestamp::{Timestamp, whole_seconds};

/// Whether a node may also be reached by the names of its own machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Localhost {
    /// `localhost`, `127.0.0.1` and `::1` are names of the node.
    #[default]
    Included,
    /// They are not.
    Omitted,
}

/// Something about a certificate that was issued all the same, which its user should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// It was asked to outlive the authority and ends with it instead.
    EndsWithAuthority {
        /// The authority's last moment.
        not_after: SystemTime,
    },
    /// It is valid for less than a day from now.
    ShorterThanADay,
    /// The `ca.pem` beside it has roots of others: nodes that use it believe their certificates too.
    OtherRoots {
        /// How many.
        count: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndsWithAuthority { not_after } => {
                let end = Timestamp(*not_after);
                write!(out, "shortened to {end}, when the authority itself ends")
            }
            Self::OtherRoots { count: 1 } => out.write_str(
                "its ca.pem has a root of another authority, whose certificates nodes will believe",
            ),
            Self::OtherRoots { count } => write!(
                out,
                "its ca.pem has {count} roots of others, whose certificates nodes will believe"
            ),
            Self::ShorterThanADay => out.write_str("valid for less than a day"),
        }
    }
}

/// Why a leaf cannot be given the validity it was asked to have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidityError {
    /// Nodes refuse a leaf that lives so long.
    #[error("{asked} days are too long for a node's certificate, at most {limit} are allowed", limit = Days::LEAF_LONGEST)]
    LeafTooLong {
        /// What was asked for.
        asked: Days,
    },
    /// The authority's last moment has passed.
    #[error("the authority expired at {}, it is now {}", Timestamp(*not_after), Timestamp(*now))]
    AuthorityExpired {
        /// The authority's last moment.
        not_after: SystemTime,
        /// The clock.
        now: SystemTime,
    },
    /// The authority's first moment is still to come: a clock is or was wrong.
    #[error("the authority is valid from {} on, it is now {}", Timestamp(*not_before), Timestamp(*now))]
    AuthorityNotYetValid {
        /// The authority's first moment.
        not_before: SystemTime,
        /// The clock.
        now: SystemTime,
    },
}

/// The first and the last moment of a certificate, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Window {
    pub(crate) fn starting(now: SystemTime, days: Days) -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(whole_seconds(now));
        Self {
            not_before: now.checked_sub(CLOCK_SKEW).unwrap_or(now),
            not_after: now + days.duration(),
        }
    }
}

/// A leaf lives within its authority: it would be refused outside of it anyway, by a peer and
/// in the middle of the night instead of here.
pub(crate) fn leaf_window(
    now: SystemTime,
    days: Days,
    authority: Window,
) -> Result<(Window, Vec<Warning>), ValidityError> {
    let Window {
        not_before,
        not_after,
    } = authority;
    if now > not_after {
        return Err(ValidityError::AuthorityExpired { not_after, now });
    }
    if now < not_before {
        return Err(ValidityError::AuthorityNotYetValid { not_before, now });
    }
    if days > Days::LEAF_LONGEST {
        return Err(ValidityError::LeafTooLong { asked: days });
    }
    let asked = Window::starting(now, days);
    let window = Window {
        not_before: asked.not_before.max(not_before),
        not_after: asked.not_after.min(not_after),
    };
    let mut warnings = Vec::new();
    if window.not_after < asked.not_after {
        warnings.push(Warning::EndsWithAuthority { not_after });
        if window.not_after < Window::starting(now, Days::ONE).not_after {
            warnings.push(Warning::ShorterThanADay);
        }
    }
    Ok((window, warnings))
}

/// The DNS names and addresses of a node, each once, the most specific first.
pub(crate) fn leaf_names(
    name: &NodeName,
    domain: &Domain,
    hosts: &[Host],
    localhost: Localhost,
) -> Vec<Name> {
    let short = name.canonical();
    let suffix = format!(".{domain}");
    let mut names = vec![Name::Dns(short.clone())];
    // A name that was given in full already ends with the domain.
    if !short.ends_with(&suffix) {
        names.push(Name::Dns(short + &suffix));
    }
    names.extend(hosts.iter().map(|host| host.name().clone()));
    if localhost == Localhost::Included {
        names.push(Name::Dns("localhost".to_owned()));
        names.push(Name::Ip([127, 0, 0, 1].into()));
        names.push(Name::Ip([0, 0, 0, 0, 0, 0, 0, 1].into()));
    }
    let mut seen = Vec::with_capacity(names.len());
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// The identity URI of a node: a SPIFFE id, which states the role.
pub(crate) fn identity_uri(domain: &Domain, role: Role, name: &NodeName) -> String {
    format!("spiffe://{domain}/{role}/{}", name.canonical())
}

/// Certificates start a little in the past, so that a node with a slow clock takes them.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn days(days: u32) -> Days {
        Days::new(days).unwrap()
    }

    const NOW: u64 = 1_800_000_000;
    const DAY_S: u64 = 86_400;

    #[test]
    fn a_window_starts_five_minutes_back_in_whole_seconds() {
        let window = Window::starting(at(NOW) + Duration::from_nanos(7), days(1));
        assert_eq!(window.not_before, at(NOW - 300));
        assert_eq!(window.not_after, at(NOW + DAY_S));
    }

    #[test]
    fn a_leaf_within_its_authority_is_as_long_as_asked() {
        let authority = Window::starting(at(NOW), days(10));
        let (window, warnings) = leaf_window(at(NOW + 5), days(9), authority).unwrap();
        assert_eq!(window.not_after, at(NOW + 5 + 9 * DAY_S));
        assert_eq!(warnings, []);
    }

    #[test]
    fn a_leaf_never_outlives_its_authority() {
        let authority = Window::starting(at(NOW), days(10));
        let (window, warnings) = leaf_window(at(NOW + 5), days(10), authority).unwrap();
        assert_eq!(window.not_after, authority.not_after);
        let not_after = authority.not_after;
        assert_eq!(warnings, [Warning::EndsWithAuthority { not_after }]);
    }

    #[test]
    fn a_leaf_lives_no_longer_than_nodes_accept() {
        let authority = Window::starting(at(NOW), days(36_500));
        assert!(leaf_window(at(NOW), days(3650), authority).is_ok());
        let asked = days(3651);
        let error = ValidityError::LeafTooLong { asked };
        assert_eq!(leaf_window(at(NOW), asked, authority), Err(error));
    }

    #[test]
    fn a_last_day_is_told() {
        let authority = Window::starting(at(NOW), days(10));
        let (_, warnings) = leaf_window(at(NOW + 9 * DAY_S + 1), days(1), authority).unwrap();
        assert!(warnings.contains(&Warning::ShorterThanADay));
    }

    #[test]
    fn a_leaf_never_starts_before_its_authority() {
        let authority = Window::starting(at(NOW), days(10));
        let (window, _) = leaf_window(at(NOW - 100), days(1), authority).unwrap();
        assert_eq!(window.not_before, authority.not_before);
    }

    #[test]
    fn nothing_is_signed_outside_the_authority() {
        let authority = Window::starting(at(NOW), days(10));
        let late = leaf_window(at(NOW + 10 * DAY_S + 1), days(1), authority);
        assert!(matches!(late, Err(ValidityError::AuthorityExpired { .. })));
        let early = leaf_window(at(NOW - 301), days(1), authority);
        assert!(matches!(
            early,
            Err(ValidityError::AuthorityNotYetValid { .. })
        ));
    }

    fn names(name: &str, hosts: &[&str], localhost: Localhost) -> Vec<String> {
        let hosts: Vec<Host> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let names = leaf_names(
            &name.parse().unwrap(),
            &Domain::default(),
            &hosts,
            localhost,
        );
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_node_has_its_name_its_full_name_its_hosts_and_its_machine() {
        let expected = [
            "executor1",
            "executor1.cluster.local",
            "10.0.0.7",
            "e.example",
            "localhost",
            "127.0.0.1",
            "::1",
        ];
        let hosts = ["10.0.0.7", "E.example"];
        assert_eq!(names("Executor1", &hosts, Localhost::Included), expected);
        assert_eq!(
            names("executor1", &hosts, Localhost::Omitted),
            expected[..4]
        );
    }

    #[test]
    fn every_name_is_there_once() {
        let hosts = ["n.cluster.local", "::1", "0:0::1", "localhost"];
        let expected = ["n", "n.cluster.local", "::1", "localhost", "127.0.0.1"];
        assert_eq!(names("n", &hosts, Localhost::Included), expected);
        let full = names("n.cluster.local", &[], Localhost::Omitted);
        assert_eq!(full, ["n.cluster.local"]);
    }

    #[test]
    fn the_uri_states_domain_role_and_name() {
        let uri = identity_uri(&Domain::default(), Role::Scheduler, &"S1".parse().unwrap());
        assert_eq!(uri, "spiffe://cluster.local/scheduler/s1");
    }
}
