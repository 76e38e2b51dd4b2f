use cluster_tls::NodeAddress;

/// What protects the connection to a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Https,
    Http,
}

impl From<bool> for Scheme {
    fn from(plaintext: bool) -> Self {
        if plaintext { Self::Http } else { Self::Https }
    }
}

/// Reads `[https://]HOST[:PORT]`. A scheme that says otherwise than the flags is a fault and
/// never wins over them.
pub(super) fn scheduler(text: &str, expected: Scheme) -> Result<NodeAddress, String> {
    let rest = match (text.split_once("://"), expected) {
        (None, _) => text,
        (Some(("https", rest)), Scheme::Https) | (Some(("http", rest)), Scheme::Http) => rest,
        (Some(("http", rest)), Scheme::Https) => {
            return Err(format!(
                "--scheduler-address {text} asks for plaintext while this node is set up for mutual TLS; \
                 write https://{rest}"
            ));
        }
        (Some(("https", rest)), Scheme::Http) => {
            return Err(format!(
                "--scheduler-address {text} asks for TLS while --allow-insecure-connections turns it off; \
                 write http://{rest}, or give the --node-mtls files instead"
            ));
        }
        (Some((scheme, _)), _) => {
            return Err(format!(
                "--scheduler-address {text}: unknown scheme {scheme}; use https://HOST[:50052]"
            ));
        }
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let fault = |reason: &dyn std::fmt::Display| {
        format!("--scheduler-address {text} is no HOST[:PORT]: {reason}")
    };
    let (host, port) = split_port(rest).map_err(|reason| fault(&reason))?;
    NodeAddress::new(host, port.unwrap_or(INTERNAL_PORT)).map_err(|error| fault(&error))
}

/// Splits an optional port off a host; an IPv6 address with a port needs its brackets.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
        return match rest.strip_prefix(':') {
            None if rest.is_empty() => Ok((host, None)),
            None => Err("only :PORT may follow the bracket"),
            Some(port) => Ok((
                host,
                Some(
                    port.parse()
                        .map_err(|_| "the port is no number up to 65535")?,
                ),
            )),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        // Several colons and no brackets: an IPv6 address by itself.
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((
            host,
            Some(
                port.parse()
                    .map_err(|_| "the port is no number up to 65535")?,
            ),
        )),
    }
}

/// The internal port, on every node.
pub(super) const INTERNAL_PORT: u16 = 50052;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_address_with_and_without_scheme_and_port() {
        for text in [
            "https://s1",
            "https://s1:50052",
            "s1",
            "s1:50052",
            "https://s1/",
        ] {
            let address = scheduler(text, Scheme::Https).unwrap();
            assert_eq!((address.host(), address.port()), ("s1", 50052), "{text}");
        }
        let address = scheduler("https://[::1]:7", Scheme::Https).unwrap();
        assert_eq!(address.port(), 7);
        assert!(scheduler("http://s1:1", Scheme::Http).is_ok());
    }

    #[test]
    fn a_scheme_never_wins_over_the_flags() {
        let fault = scheduler("http://s1", Scheme::Https).unwrap_err();
        assert!(fault.contains("write https://s1"), "{fault}");
        let fault = scheduler("https://s1", Scheme::Http).unwrap_err();
        assert!(fault.contains("write http://s1"), "{fault}");
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "https://",
            "ftp://s1",
            "s1:0",
            "s1:x",
            "s1:70000",
            "[::1",
            "[::1]x",
            "https://s1/path",
        ] {
            assert!(scheduler(text, Scheme::Https).is_err(), "{text:?}");
        }
    }
}
