//! What a request asks for, sorted into what may be certified and what never will be.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use x509_parser::certification_request::X509CertificationRequestInfo;
use x509_parser::cri_attributes::{ParsedCriAttribute, X509CriAttribute};
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};

use crate::name::{Host, NodeName};
use crate::text::{object_name, printable, printable_octets};
use crate::usages::{extended_key_usages, key_usages};

/// A name that a request asks for and no certificate will carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedName {
    /// What kind of name it is: `DNS name`, `IP address`, `URI`, `e-mail address`, `other name`.
    pub kind: &'static str,
    /// The name, safe to show.
    pub value: String,
    /// Why it is refused.
    pub reason: String,
}

impl RefusedName {
    fn new(kind: &'static str, value: String, reason: impl fmt::Display) -> Self {
        Self {
            kind,
            value,
            reason: printable(&reason.to_string()),
        }
    }
}

impl fmt::Display for RefusedName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            value,
            reason,
        } = self;
        write!(out, "{kind} {value}: {reason}")
    }
}

/// Everything that a request asks for.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Each once, in the request's order.
    pub(crate) names: Vec<Host>,
    pub(crate) refused: Vec<RefusedName>,
    /// Other things asked for, safe to show.
    pub(crate) ignored: Vec<String>,
    /// How many names were asked for.
    pub(crate) count: usize,
    /// Whether an extension could not be read.
    pub(crate) is_damaged: bool,
    common_names: Vec<String>,
}

impl Contents {
    pub(crate) fn read(info: &X509CertificationRequestInfo<'_>) -> Self {
        let common_names = info.subject.iter_common_name();
        let mut contents = Self {
            common_names: common_names
                .map(|name| name.as_str().unwrap_or_default().to_owned())
                .collect(),
            ..Self::default()
        };
        for attribute in info.iter_attributes() {
            contents.attribute(attribute);
        }
        contents
    }

    /// The node's name as the request suggests it: its one common name if that is a node's name,
    /// else the first DNS name that is.
    pub(crate) fn suggestion(&self) -> Option<NodeName> {
        if let [only] = self.common_names.as_slice()
            && let Ok(name) = only.parse()
        {
            return Some(name);
        }
        // An address is no node's name by the grammar of those.
        let mut texts = self.names.iter().map(ToString::to_string);
        texts.find_map(|text| text.parse().ok())
    }

    fn attribute(&mut self, attribute: &X509CriAttribute<'_>) {
        match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(request) => {
                request
                    .extensions
                    .iter()
                    .for_each(|extension| self.extension(extension));
            }
            // Its value is a secret between the requester and whoever revokes.
            ParsedCriAttribute::ChallengePassword(_) => {
                self.ignored.push("challenge password".to_owned());
            }
            ParsedCriAttribute::UnsupportedAttribute => {
                let name = object_name(&attribute.oid);
                self.ignored.push(format!("attribute {name}"));
            }
        }
    }

    fn extension(&mut self, extension: &X509Extension<'_>) {
        let text = match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(asked) => {
                asked.general_names.iter().for_each(|name| self.name(name));
                return;
            }
            ParsedExtension::ParseError { .. } => {
                self.is_damaged = true;
                return;
            }
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
                "basic constraints: to be an authority".to_owned()
            }
            ParsedExtension::BasicConstraints(_) => "basic constraints".to_owned(),
            ParsedExtension::KeyUsage(usage) => {
                format!("key usage: {}", key_usages(usage).join(", "))
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                format!(
                    "extended key usage: {}",
                    extended_key_usages(usage).join(", ")
                )
            }
            _ => format!("extension {}", object_name(&extension.oid)),
        };
        self.ignored.push(text);
    }

    fn name(&mut self, name: &GeneralName<'_>) {
        self.count += 1;
        match host(name) {
            Ok(host) if self.names.contains(&host) => {}
            Ok(host) => self.names.push(host),
            Err(refused) => self.refused.push(refused),
        }
    }
}

/// The name as one that may be certified, or why it is none.
fn host(name: &GeneralName<'_>) -> Result<Host, RefusedName> {
    let refuse = |kind, value, reason: &str| Err(RefusedName::new(kind, value, reason));
    match name {
        GeneralName::DNSName(text) => dns_name(text),
        GeneralName::IPAddress(octets) => address(octets),
        GeneralName::URI(text) => refuse(
            "URI",
            printable(text),
            "the authority alone gives identities and roles",
        ),
        GeneralName::RFC822Name(text) => refuse(
            "e-mail address",
            printable(text),
            "it means nothing between nodes",
        ),
        GeneralName::DirectoryName(_) => refuse(
            "other name",
            "(directory name)".to_owned(),
            "it means nothing between nodes",
        ),
        GeneralName::Invalid(_, octets) => refuse(
            "other name",
            printable_octets(octets),
            "it cannot be decoded",
        ),
        _ => refuse(
            "other name",
            "(not text)".to_owned(),
            "it means nothing between nodes",
        ),
    }
}

fn dns_name(text: &str) -> Result<Host, RefusedName> {
    let refuse = |reason: String| RefusedName::new("DNS name", printable(text), reason);
    if text.parse::<IpAddr>().is_ok() {
        return Err(refuse("an IP address is written as a DNS name".to_owned()));
    }
    text.parse::<Host>()
        .map_err(|error| refuse(error.to_string()))
}

fn address(octets: &[u8]) -> Result<Host, RefusedName> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
    let Ok(address) = address else {
        let value = format!("({} octets)", octets.len());
        return Err(RefusedName::new("IP address", value, "it is no address"));
    };
    let text = address.to_string();
    text.parse::<Host>()
        .map_err(|error| RefusedName::new("IP address", text, error))
}
