//! What role the identity URIs of other issuers give.

use std::str::FromStr;

use super::spiffe;
use crate::role::Role;

/// A pattern of identity URIs and the role that they give, written `<pattern>=<role>`.
///
/// The pattern is a SPIFFE ID in which a whole path segment may be `*`, which stands for any one
/// segment; the trust domain is always spelled out. It matches nothing but URIs of exactly as many
/// segments.
///
/// # Examples
///
/// ```
/// use cluster_tls::IdentityRule;
///
/// let rule: IdentityRule = "spiffe://corp.example/ns/*/sa/spice-executor=executor".parse()?;
/// assert!("spiffe://*/ns=executor".parse::<IdentityRule>().is_err());
/// # Ok::<(), cluster_tls::IdentityRuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRule {
    domain: String,
    segments: Vec<Segment>,
    role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Any,
    Exactly(String),
}

impl Segment {
    fn read(text: &str) -> Self {
        match text {
            "*" => Self::Any,
            exactly => Self::Exactly(exactly.to_owned()),
        }
    }
}

impl IdentityRule {
    /// The role of a URI that the pattern matches.
    pub(super) fn role_of(&self, id: &spiffe::Id<'_>) -> Option<Role> {
        let fits = self.domain == id.domain
            && self.segments.len() == id.segments.len()
            && self
                .segments
                .iter()
                .zip(&id.segments)
                .all(|(wanted, found)| match wanted {
                    Segment::Any => true,
                    Segment::Exactly(wanted) => wanted == found,
                });
        fits.then_some(self.role)
    }
}

impl FromStr for IdentityRule {
    type Err = IdentityRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pattern, role) = text
            .rsplit_once('=')
            .ok_or_else(|| IdentityRuleError::NoRole(text.to_owned()))?;
        let role = match role.parse() {
            Ok(role @ (Role::Scheduler | Role::Executor | Role::Node | Role::Client)) => role,
            _ => return Err(IdentityRuleError::Role(role.to_owned())),
        };
        // A star is no character of a SPIFFE ID: where a whole segment is one, a letter stands in
        // while the rest is checked.
        let segments: Vec<_> = pattern.split('/').skip(PATH_STARTS).collect();
        let beginning: Vec<_> = pattern.split('/').take(PATH_STARTS).collect();
        let letters = segments.iter().map(|it| if *it == "*" { "x" } else { it });
        let readable: Vec<_> = beginning.into_iter().chain(letters).collect();
        let readable = readable.join("/");
        let id = spiffe::Id::parse(&readable).map_err(|fault| IdentityRuleError::Pattern {
            pattern: pattern.to_owned(),
            fault,
        })?;
        Ok(Self {
            domain: id.domain.to_owned(),
            segments: segments.into_iter().map(Segment::read).collect(),
            role,
        })
    }
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityRuleError {
    /// There is no `=role` at the end.
    #[error("{0:?} names no role: write spiffe://<trust domain>/<path>=<role>")]
    NoRole(String),
    /// What follows the `=` is no role that a certificate can give.
    #[error("{0:?} is no role: expected scheduler, executor, node or client")]
    Role(String),
    /// The pattern could match no identity URI.
    #[error("{pattern:?} is no pattern: {fault} (`*` stands for one whole path segment)")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// `spiffe:`, nothing, and the trust domain stand before the path.
const PATH_STARTS: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn role(rule: &str, uri: &str) -> Option<Role> {
        let rule: IdentityRule = rule.parse().unwrap();
        rule.role_of(&spiffe::Id::parse(uri).unwrap())
    }

    #[test]
    fn a_star_stands_for_one_segment_and_nothing_else() {
        let rule = "spiffe://corp.example/ns/*/sa/executor=executor";
        let matching = "spiffe://corp.example/ns/prod/sa/executor";
        assert_eq!(role(rule, matching), Some(Role::Executor));
        for uri in [
            "spiffe://corp.example/ns/prod/x/sa/executor",
            "spiffe://corp.example/ns/sa/executor",
            "spiffe://other.example/ns/prod/sa/executor",
            "spiffe://corp.example/ns/prod/sa/executor2",
        ] {
            assert_eq!(role(rule, uri), None, "{uri}");
        }
    }

    #[test]
    fn a_rule_that_could_match_too_much_or_nothing_is_refused() {
        for text in [
            "",
            "spiffe://corp.example/ns",
            "spiffe://corp.example/ns=",
            "spiffe://corp.example/ns=admin",
            "spiffe://corp.example/ns=unspecified",
            "spiffe://*/ns=node",
            "spiffe://corp.example/ns*=node",
            "spiffe://corp.example/*x=node",
            "spiffe://corp.example/../x=node",
            "spiffe://corp.example=node",
            "https://corp.example/x=node",
        ] {
            assert!(text.parse::<IdentityRule>().is_err(), "{text}");
        }
    }

    /// Whether a rule gives a role to a URI of these parts.
    fn matches(rule: &IdentityRule, domain: &str, path: &[String]) -> bool {
        let uri = format!("spiffe://{domain}/{}", path.join("/"));
        rule.role_of(&spiffe::Id::parse(&uri).unwrap()).is_some()
    }

    fn path() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-zA-Z0-9_-]{1,8}", 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_rule_matches_its_own_domain_and_number_of_segments_and_no_other(
            domain in "[a-z0-9.-]{1,12}",
            other_domain in "[a-z0-9.-]{1,12}",
            path in path(),
            other_path in path(),
            stars: [bool; 5],
        ) {
            let pattern: Vec<&str> = path
                .iter()
                .zip(stars)
                .map(|(segment, star)| if star { "*" } else { segment.as_str() })
                .collect();
            let rule = format!("spiffe://{domain}/{}=node", pattern.join("/"));
            let rule: IdentityRule = rule.parse().unwrap();
            prop_assert!(matches(&rule, &domain, &path));
            if other_domain != domain {
                prop_assert!(!matches(&rule, &other_domain, &path));
            }
            if other_path.len() != path.len() {
                prop_assert!(!matches(&rule, &domain, &other_path));
            }
        }

        #[test]
        fn a_segment_that_is_spelled_out_matches_itself_alone(
            path in path(),
            segment in "[a-zA-Z0-9_-]{1,8}",
            place: prop::sample::Index,
        ) {
            let rule = format!("spiffe://corp.example/{}=node", path.join("/"));
            let rule: IdentityRule = rule.parse().unwrap();
            let mut other = path.clone();
            *place.get_mut(&mut other) = segment;
            prop_assert_eq!(matches(&rule, "corp.example", &other), other == path);
        }
    }
}
