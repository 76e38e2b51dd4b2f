//! The identity URI: `spiffe://<trust domain>/<role>/<name>`.

use super::IdentityRule;
use crate::certificate::printable;
use crate::role::Role;

/// Reads the role out of an identity URI: by the first rule that matches, or else by our own form.
///
/// The grammar is that of the SPIFFE ID specification; our own form has two path segments. The
/// error is a sentence about the fault.
pub(super) fn role(uri: &str, rules: &[IdentityRule]) -> Result<Role, String> {
    let about = |fault: &str| format!("{:?}: {fault}", printable(uri));
    let id = Id::parse(uri).map_err(about)?;
    // Rules first: what an administrator has said about a URI is not overruled by its looks.
    let mapped = rules.iter().find_map(|rule| rule.role_of(&id));
    mapped
        .or_else(|| id.own_role())
        .ok_or_else(|| match id.segments.as_slice() {
            _ if !rules.is_empty() => about("no identity rule matches it"),
            [_, _] => about("the role is none of scheduler, executor, node and client"),
            _ => about("the path is not <role>/<name>"),
        })
}

/// A SPIFFE ID in its parts.
pub(super) struct Id<'a> {
    pub(super) domain: &'a str,
    pub(super) segments: Vec<&'a str>,
}

impl<'a> Id<'a> {
    pub(super) fn parse(uri: &'a str) -> Result<Self, &'static str> {
        if uri.len() > URI_BYTES_MAX {
            return Err("longer than 2048 bytes");
        }
        let rest = uri
            .strip_prefix("spiffe://")
            .ok_or("does not start with spiffe://")?;
        if let Some(fault) = rest.chars().find_map(forbidden) {
            return Err(fault);
        }
        let (domain, path) = rest.split_once('/').ok_or("has no path")?;
        trust_domain(domain)?;
        let segments: Vec<_> = path.split('/').collect();
        for part in &segments {
            segment(part)?;
        }
        Ok(Self { domain, segments })
    }

    /// The role of an ID of our own form, `spiffe://<trust domain>/<role>/<name>`.
    fn own_role(&self) -> Option<Role> {
        let [role, _name] = self.segments.as_slice() else {
            return None;
        };
        match *role {
            "scheduler" => Some(Role::Scheduler),
            "executor" => Some(Role::Executor),
            "node" => Some(Role::Node),
            "client" => Some(Role::Client),
            _ => None,
        }
    }
}

/// Characters that a SPIFFE ID never holds, with the part of a URI they would start.
fn forbidden(letter: char) -> Option<&'static str> {
    match letter {
        '%' => Some("percent-encoding is not allowed"),
        '?' => Some("a query is not allowed"),
        '#' => Some("a fragment is not allowed"),
        '@' => Some("user information is not allowed"),
        ':' => Some("a port is not allowed"),
        _ => None,
    }
}

fn trust_domain(domain: &str) -> Result<(), &'static str> {
    let legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    if domain.is_empty() {
        return Err("the trust domain is empty");
    }
    if domain.len() > TRUST_DOMAIN_BYTES_MAX {
        return Err("the trust domain is longer than 255 bytes");
    }
    if !domain.bytes().all(legal) {
        return Err("the trust domain holds more than a-z, 0-9, '.', '-' and '_'");
    }
    Ok(())
}

fn segment(segment: &str) -> Result<(), &'static str> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    match segment {
        "" => Err("a path segment is empty"),
        "." | ".." => Err("relative path segments are not allowed"),
        _ if segment.bytes().all(legal) => Ok(()),
        _ => Err("a path segment holds more than letters, digits, '.', '-' and '_'"),
    }
}

/// SPIFFE ID, section 2.3: implementations support at least this, and nobody needs more.
const URI_BYTES_MAX: usize = 2048;

/// SPIFFE ID, section 2.1.
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn role(uri: &str) -> Result<Role, String> {
        super::role(uri, &[])
    }

    #[test]
    fn reads_each_role() {
        assert_eq!(
            role("spiffe://cluster.local/scheduler/s1"),
            Ok(Role::Scheduler)
        );
        assert_eq!(
            role("spiffe://cluster.local/executor/e.1-a_B"),
            Ok(Role::Executor)
        );
        assert_eq!(role("spiffe://cluster.local/node/n1"), Ok(Role::Node));
        assert_eq!(role("spiffe://cluster.local/client/c1"), Ok(Role::Client));
    }

    #[test]
    fn refuses_what_the_grammar_forbids() {
        let long = format!("spiffe://d/node/{}", "x".repeat(2048));
        let long_domain = format!("spiffe://{}/node/x", "d".repeat(256));
        for uri in [
            "",
            "https://d/node/x",
            "SPIFFE://d/node/x",
            "spiffe://d",
            "spiffe://d/",
            "spiffe://d/node",
            "spiffe://d/node/",
            "spiffe://d//x",
            "spiffe:///node/x",
            "spiffe://d/node/x/",
            "spiffe://d/node/x/y",
            "spiffe://d/node/..",
            "spiffe://d/../node",
            "spiffe://d/node/.",
            "spiffe://d/node/%61",
            "spiffe://d/node/x?y",
            "spiffe://d/node/x#y",
            "spiffe://d:1/node/x",
            "spiffe://u@d/node/x",
            "spiffe://D/node/x",
            "spiffe://d/node/x y",
            "spiffe://d/node/\u{e4}",
            "spiffe://d/Node/x",
            "spiffe://d/unspecified/x",
            "spiffe://d/admin/x",
            long.as_str(),
            long_domain.as_str(),
        ] {
            assert!(role(uri).is_err(), "{uri}");
        }
    }

    const MEMBERS: [(&str, Role); 4] = [
        ("scheduler", Role::Scheduler),
        ("executor", Role::Executor),
        ("node", Role::Node),
        ("client", Role::Client),
    ];

    /// Whether the grammar has a place for `letter` in a path segment.
    fn is_path_letter(letter: char) -> bool {
        letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_')
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_identity_of_our_form_has_the_role_that_it_names(
            domain in "[a-z0-9._-]{1,255}",
            member in 0..MEMBERS.len(),
            name in "[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,60}",
        ) {
            let (text, named) = MEMBERS[member];
            prop_assert_eq!(role(&format!("spiffe://{domain}/{text}/{name}")), Ok(named));
        }

        #[test]
        fn a_letter_outside_of_the_grammar_is_refused_wherever_it_stands(
            domain in "[a-z0-9._-]{1,20}",
            member in 0..MEMBERS.len(),
            name in "[a-zA-Z0-9_-]{1,20}",
            letter in any::<char>().prop_filter("a letter of a path", |it| !is_path_letter(*it)),
            place: prop::sample::Index,
        ) {
            let uri = format!("spiffe://{domain}/{}/{name}", MEMBERS[member].0);
            let mut letters: Vec<char> = uri.chars().collect();
            let at = place.index(letters.len());
            prop_assume!(letters[at] != letter);
            letters[at] = letter;
            let mutated: String = letters.into_iter().collect();
            prop_assert!(role(&mutated).is_err(), "{}", mutated);
        }

        #[test]
        fn another_letter_of_the_grammar_never_gives_another_role(
            member in 0..MEMBERS.len(),
            letter in prop::char::ranges(vec!['-'..='.', '0'..='9', 'A'..='Z', 'a'..='z'].into()),
            place: prop::sample::Index,
        ) {
            let (text, named) = MEMBERS[member];
            let uri = format!("spiffe://cluster.local/{text}/n1");
            let mut letters: Vec<char> = uri.chars().collect();
            letters[place.index(uri.len())] = letter;
            let mutated: String = letters.into_iter().collect();
            let refused_or_the_same = role(&mutated).ok().is_none_or(|it| it == named);
            prop_assert!(refused_or_the_same, "{}", mutated);
        }

        #[test]
        fn no_text_is_too_strange_to_be_judged(text: String, tail in ".{0,3000}") {
            let _ = role(&text);
            let _ = role(&format!("spiffe://{tail}"));
        }
    }
}
