//! The names a certificate may carry, by one strict grammar.
//!
//! What is accepted here ends up in file names, DNS entries, IP entries and the path of a URI,
//! so the grammar is the intersection of what those four allow. Unicode is refused instead of
//! encoded: two names that look alike must not be two nodes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use cluster_tls::Name;
use serde::{Deserialize, Serialize};

/// The name of one node: the stem of its files, its first DNS name, the end of its URI.
///
/// Letters, digits, `-`, `_` and `.`, at most [`NodeName::LIMIT`] characters. It is kept as it
/// was typed, for the file names; identity uses the lower-case form, and two names that differ
/// only in case are the same node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// The longest node name in characters: X.509 bounds the common name that carries it
    /// (RFC 5280, appendix A.1, `ub-common-name`).
    pub const LIMIT: usize = 64;

    /// The name as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is compared and certified: lower case.
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_dns_name(text, Self::LIMIT)?;
        let canonical = text.to_ascii_lowercase();
        if RESERVED.contains(&canonical.as_str()) {
            return Err(NameError::Reserved(text.to_owned()));
        }
        if TAKEN_SUFFIXES
            .iter()
            .any(|suffix| canonical.ends_with(suffix))
        {
            return Err(NameError::TakenSuffix(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for NodeName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The domain of a cluster: the suffix of its nodes' names and the trust domain of their URIs.
///
/// Always lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

impl Domain {
    /// The domain of a cluster that was given none.
    pub const DEFAULT: &'static str = "cluster.local";

    /// The longest domain in characters: X.509 bounds the organization name that carries it
    /// (RFC 5280, appendix A.1, `ub-organization-name`).
    pub const LIMIT: usize = 64;

    /// The domain, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Domain {
    /// `cluster.local`.
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for Domain {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_dns_name(text, Self::LIMIT)?;
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for Domain {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// One more place where a node may be reached: a DNS name, an IPv4 or an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(Name);

impl Host {
    /// The name as certificates carry it.
    pub fn name(&self) -> &Name {
        &self.0
    }
}

impl FromStr for Host {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            if address.is_unspecified() || address.is_multicast() {
                return Err(NameError::Unreachable(address));
            }
            return Ok(Self(Name::Ip(address)));
        }
        check_dns_name(text, DNS_LIMIT)?;
        Ok(Self(Name::Dns(text.to_ascii_lowercase())))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

/// Why a text is not a name that may be certified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is no text.
    #[error("a name must not be empty")]
    Empty,
    /// The text as a whole is too long.
    #[error("{length} characters are too long, at most {limit} are allowed")]
    TooLong {
        /// Characters in the text.
        length: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// A wildcard: it names no node, and peers refuse it as an identity.
    #[error("`{0}` is a wildcard; a certificate names exactly one node")]
    Wildcard(String),
    /// A character outside the grammar.
    #[error("{found:?} in `{text}` is not allowed; use letters, digits, `-`, `_` and `.`")]
    Character {
        /// The text as given.
        text: String,
        /// The first character outside the grammar.
        found: char,
    },
    /// Two dots in a row, or one at an end.
    #[error("`{0}` starts or ends with a dot, or has two in a row")]
    EmptyLabel(String),
    /// A part between dots is longer than DNS allows.
    #[error("`{0}` has a part of more than 63 characters between dots")]
    LabelTooLong(String),
    /// A part between dots starts or ends with a dash.
    #[error("`{0}` has a part that starts or ends with `-`")]
    LabelEdge(String),
    /// The last part is a number, so that the whole reads like a broken IPv4 address.
    #[error(
        "`{0}` ends like an IPv4 address; what is meant is a name, and addresses are given beside it"
    )]
    NumericEnd(String),
    /// The name of a file that every node has.
    #[error("`{0}` is reserved")]
    Reserved(String),
    /// The certificate file would have the name of another node's key file or bundle.
    #[error("`{0}` ends with `-key` or `-bundle`, which are the ends of other files of a node")]
    TakenSuffix(String),
    /// An address at which no node can be dialled.
    #[error("{0} is not an address of one node")]
    Unreachable(IpAddr),
}

fn check_dns_name(text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.contains('*') {
        return Err(NameError::Wildcard(text.to_owned()));
    }
    if let Some(found) = text.chars().find(|c| !is_allowed(*c)) {
        let text = text.to_owned();
        return Err(NameError::Character { text, found });
    }
    // From here on every character is one byte.
    let length = text.len();
    if length > limit {
        return Err(NameError::TooLong { length, limit });
    }
    text.split('.')
        .try_for_each(|label| check_label(text, label))?;
    let last = text.rsplit('.').next().unwrap_or(text);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NameError::NumericEnd(text.to_owned()));
    }
    Ok(())
}

fn check_label(text: &str, label: &str) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel(text.to_owned()));
    }
    if label.len() > LABEL_LIMIT {
        return Err(NameError::LabelTooLong(text.to_owned()));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(NameError::LabelEdge(text.to_owned()));
    }
    Ok(())
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

/// RFC 1035, section 2.3.4.
const LABEL_LIMIT: usize = 63;
const DNS_LIMIT: usize = 253;

/// `ca.pem` is the file of the roots, `crl.pem` that of the revocation list.
const RESERVED: [&str; 2] = ["ca", "crl"];

/// `NAME-key.pem` and `NAME-bundle.pem` are files of another node.
const TAKEN_SUFFIXES: [&str; 2] = ["-key", "-bundle"];

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Result<NodeName, NameError> {
        text.parse()
    }

    #[test]
    fn accepts_what_the_grammar_names() {
        let longest = format!("{}.x", "a".repeat(62));
        for text in [
            "a",
            "scheduler1",
            "rack-3.node_7",
            "7a",
            "_x",
            "CA1",
            &longest,
        ] {
            assert_eq!(node(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_the_grammar_does_not_name() {
        let own = str::to_owned;
        let character = |text: &str, found| NameError::Character {
            text: own(text),
            found,
        };
        let long_label = "a".repeat(64);
        let table = [
            ("", NameError::Empty),
            ("*", NameError::Wildcard(own("*"))),
            ("*.example", NameError::Wildcard(own("*.example"))),
            ("a b", character("a b", ' ')),
            ("a/b", character("a/b", '/')),
            ("../ca", character("../ca", '/')),
            ("a:1", character("a:1", ':')),
            ("a\0", character("a\0", '\0')),
            ("nöde", character("nöde", 'ö')),
            ("ｎode", character("ｎode", 'ｎ')),
            (".a", NameError::EmptyLabel(own(".a"))),
            ("a.", NameError::EmptyLabel(own("a."))),
            ("a..b", NameError::EmptyLabel(own("a..b"))),
            ("-a", NameError::LabelEdge(own("-a"))),
            ("a-.b", NameError::LabelEdge(own("a-.b"))),
            ("10.0.0.1", NameError::NumericEnd(own("10.0.0.1"))),
            ("node.7", NameError::NumericEnd(own("node.7"))),
            ("ca", NameError::Reserved(own("ca"))),
            ("CA", NameError::Reserved(own("CA"))),
            ("crl", NameError::Reserved(own("crl"))),
            ("ca-key", NameError::TakenSuffix(own("ca-key"))),
            ("n1-KEY", NameError::TakenSuffix(own("n1-KEY"))),
            ("n1-bundle", NameError::TakenSuffix(own("n1-bundle"))),
            (&long_label, NameError::LabelTooLong(long_label.clone())),
        ];
        for (text, error) in table {
            assert_eq!(node(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn refuses_a_node_name_longer_than_a_common_name() {
        let text = format!("{}.{}", "a".repeat(40), "b".repeat(40));
        let error = NameError::TooLong {
            length: 81,
            limit: 64,
        };
        assert_eq!(node(&text), Err(error));
    }

    #[test]
    fn names_that_differ_in_case_are_one_node() {
        assert_eq!(node("Node1").unwrap().canonical(), "node1");
    }

    #[test]
    fn domains_are_lower_case_and_follow_the_same_grammar() {
        let domain: Domain = "Spice.Example".parse().unwrap();
        assert_eq!(domain.as_str(), "spice.example");
        assert!("*.example".parse::<Domain>().is_err());
        assert!("10.0.0.0".parse::<Domain>().is_err());
        assert!("".parse::<Domain>().is_err());
    }

    #[test]
    fn hosts_are_dns_names_or_addresses() {
        let host = |text: &str| text.parse::<Host>().unwrap().name().clone();
        assert_eq!(
            host("A.Example"),
            Name::Dns("a.example".to_owned()),
            "lower case"
        );
        assert_eq!(host("10.0.0.7"), Name::Ip([10, 0, 0, 7].into()));
        assert_eq!(host("2001:DB8::1"), host("2001:db8:0::1"));
    }

    #[test]
    fn refuses_hosts_that_name_no_single_place() {
        for text in [
            "a.example:50052",
            "https://a.example",
            "[::1]",
            "fe80::1%eth0",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "10.0.0.256",
            "*.example",
            "a.example.",
            "",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text:?}");
        }
    }
}
