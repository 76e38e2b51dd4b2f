//! Names by which a node is reached, in the one form in which they are compared.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::str::FromStr;

use rustls_pki_types::{DnsName, ServerName};

/// A DNS name or IP address in canonical form, so that equality is identity.
///
/// DNS names are lower case and carry no trailing dot; addresses are compared by octets.
///
/// # Examples
///
/// ```
/// use cluster_tls::Name;
///
/// let name: Name = "Executor1.Cluster.Local.".parse()?;
/// assert_eq!(name.to_string(), "executor1.cluster.local");
/// # Ok::<(), cluster_tls::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// A DNS name: lower case, without the trailing dot, never a wildcard.
    Dns(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

impl Name {
    /// Reads a DNS subject alternative name, where an address has no place (RFC 5280, 4.2.1.6).
    pub(crate) fn from_dns_san(text: &str) -> Result<Self, NameError> {
        match text.parse()? {
            Self::Ip(_) => Err(NameError::AddressAsDnsName),
            dns => Ok(dns),
        }
    }

    /// The name as rustls wants it, for SNI and for the verifier.
    pub(crate) fn to_server_name(&self) -> Result<ServerName<'static>, NameError> {
        match self {
            Self::Dns(name) => ServerName::try_from(name.clone()).map_err(|_| NameError::Malformed),
            Self::Ip(address) => Ok(ServerName::from(*address)),
        }
    }

    /// The name that rustls was asked to verify.
    pub(crate) fn from_server_name(name: &ServerName<'_>) -> Result<Self, NameError> {
        match name {
            ServerName::DnsName(name) => name.as_ref().parse(),
            ServerName::IpAddress(address) => Ok(Self::Ip((*address).into())),
            _ => Err(NameError::Malformed),
        }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        // One dot at the end is the root of the tree; a second one would make two canonical forms.
        if text.ends_with('.') {
            return Err(NameError::Malformed);
        }
        if text.contains('*') {
            return Err(NameError::Wildcard);
        }
        DnsName::try_from(text)
            .map(|_| Self::Dns(text.to_ascii_lowercase()))
            .map_err(|_| NameError::Malformed)
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Why a text cannot name a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing there.
    #[error("the name is empty")]
    Empty,
    /// A wildcard matches many nodes and therefore identifies none.
    #[error("a wildcard names no single node")]
    Wildcard,
    /// An IP address was written where only a DNS name may stand.
    #[error("an IP address is written as a DNS name")]
    AddressAsDnsName,
    /// Neither an IP address nor a DNS name.
    #[error("the text is neither a DNS name nor an IP address")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_the_trailing_dot_do_not_matter() {
        assert_eq!("A.Example.".parse::<Name>(), "a.example".parse());
        assert_ne!("a.example".parse::<Name>(), "b.example".parse());
    }

    #[test]
    fn addresses_are_compared_by_octets() {
        assert_eq!("0:0::1".parse::<Name>(), "::1".parse());
        assert_ne!("::1".parse::<Name>(), "127.0.0.1".parse());
    }

    #[test]
    fn refuses_what_identifies_no_node() {
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert_eq!(".".parse::<Name>(), Err(NameError::Empty));
        assert_eq!("*.a.example".parse::<Name>(), Err(NameError::Wildcard));
        assert_eq!("a b".parse::<Name>(), Err(NameError::Malformed));
        assert_eq!("a..b".parse::<Name>(), Err(NameError::Malformed));
    }

    #[test]
    fn an_address_is_no_dns_name() {
        assert_eq!(
            Name::from_dns_san("10.0.0.1"),
            Err(NameError::AddressAsDnsName)
        );
        assert!(Name::from_dns_san("a.example").is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_address_passes_for_a_dns_name(address: IpAddr, dot in "\\.?") {
            let text = format!("{address}{dot}");
            prop_assert_eq!(Name::from_dns_san(&text), Err(NameError::AddressAsDnsName));
        }

        #[test]
        fn what_rustls_is_asked_to_verify_is_what_was_dialled(text in "[a-zA-Z0-9.:_-]{1,40}") {
            if let Ok(name) = text.parse::<Name>() {
                let asked = name.to_server_name().unwrap();
                prop_assert_eq!(Name::from_server_name(&asked), Ok(name));
            }
        }
    }
}
