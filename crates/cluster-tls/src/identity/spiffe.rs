//! The identity URI: `spiffe://<trust domain>/<role>/<name>`.

use crate::certificate::printable;
use crate::role::Role;

/// Reads the role out of an identity URI.
///
/// The grammar is that of the SPIFFE ID specification, narrowed to two path segments. The error is
/// a sentence about the fault.
pub(crate) fn role(uri: &str) -> Result<Role, String> {
    let (role, _name) = segments(uri).map_err(|fault| format!("{:?}: {fault}", printable(uri)))?;
    match role {
        "scheduler" => Ok(Role::Scheduler),
        "executor" => Ok(Role::Executor),
        "node" => Ok(Role::Node),
        "client" => Ok(Role::Client),
        _ => Err(format!(
            "{:?}: the role is none of scheduler, executor, node and client",
            printable(uri)
        )),
    }
}

fn segments(uri: &str) -> Result<(&str, &str), &'static str> {
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
    let (role, name) = path
        .split_once('/')
        .ok_or("the path is not <role>/<name>")?;
    if name.contains('/') {
        return Err("the path is not <role>/<name>");
    }
    segment(role)?;
    segment(name)?;
    Ok((role, name))
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
    use super::*;

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
}
