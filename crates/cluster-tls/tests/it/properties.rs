//! What holds for every text, and not only for those that somebody thought of.

use std::net::IpAddr;

use cluster_tls::{IdentityRule, Name, NameError, NodeAddress, Role};
use proptest::prelude::*;

use crate::loaded::credentials;
use crate::meeting::{acceptor, meet};
use crate::pki::{Authority, dns, nameless};

/// Host names of a few labels, none of which could be taken for a number.
fn host() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-zA-Z]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9])?", 1..5)
        .prop_map(|labels| labels.join("."))
}

/// Letters that no host name holds.
fn no_letter_of_a_name() -> impl Strategy<Value = char> {
    let strange = any::<char>().prop_filter("a letter of a name or address", |letter| {
        !letter.is_ascii_alphanumeric() && !matches!(letter, '.' | '-' | '_' | ':')
    });
    prop_oneof![
        strange,
        prop::sample::select(vec![
            '*', ' ', '\t', '\n', '\r', '\0', '\u{7f}', '\u{a0}', '/', '%'
        ])
    ]
}

/// Failures are shown with their smallest example, which belongs into a test of its own.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_canonical_form_of_a_name_is_its_own(text in "[a-zA-Z0-9.:_-]{0,40}") {
        if let Ok(name) = text.parse::<Name>() {
            let shown = name.to_string();
            prop_assert_eq!(shown.parse(), Ok(name));
            prop_assert_eq!(shown.to_ascii_lowercase(), shown);
        }
    }

    #[test]
    fn case_and_a_trailing_dot_make_no_other_name(host in host(), upper: Vec<bool>) {
        let name: Result<Name, _> = host.parse();
        prop_assert!(name.is_ok());
        let cases = upper.into_iter().chain(std::iter::repeat(false));
        let written: String = host
            .chars()
            .zip(cases)
            .map(|(letter, upper)| {
                if upper { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
            })
            .collect();
        prop_assert_eq!(format!("{written}.").parse(), name.clone());
        prop_assert_eq!(written.parse(), name);
    }

    #[test]
    fn a_strange_letter_makes_a_name_none(
        host in host(),
        letter in no_letter_of_a_name(),
        place: prop::sample::Index,
    ) {
        let mut letters: Vec<char> = host.chars().collect();
        letters.insert(place.index(letters.len() + 1), letter);
        let strange: String = letters.into_iter().collect();
        prop_assert!(strange.parse::<Name>().is_err(), "{:?}", strange);
        prop_assert!(NodeAddress::new(&strange, 1).is_err(), "{:?}", strange);
    }

    #[test]
    fn a_wildcard_is_no_name_wherever_it_stands(host in host(), label: prop::sample::Index) {
        let mut labels: Vec<&str> = host.split('.').collect();
        *label.get_mut(&mut labels) = "*";
        prop_assert_eq!(labels.join(".").parse::<Name>(), Err(NameError::Wildcard));
    }

    #[test]
    fn addresses_are_names_by_their_octets(address: IpAddr) {
        prop_assert_eq!(address.to_string().parse(), Ok(Name::Ip(address)));
    }

    #[test]
    fn no_text_is_too_strange_to_be_read(text: String) {
        let _ = text.parse::<NodeAddress>();
        let _ = text.parse::<IdentityRule>();
        let _ = text.parse::<Role>();
        if let Ok(name) = text.parse::<Name>() {
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }

    #[test]
    fn a_node_address_reads_back_from_what_it_shows(host in host(), port in 1..=u16::MAX) {
        let address = NodeAddress::new(&host, port).unwrap();
        prop_assert_eq!(address.host(), host.to_ascii_lowercase());
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }

    #[test]
    fn an_ip_node_address_reads_back_from_what_it_shows(host: IpAddr, port in 1..=u16::MAX) {
        let address = NodeAddress::new(&host.to_string(), port).unwrap();
        prop_assert_eq!(address.name(), &Name::Ip(host));
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }
}

/// The same names through certificates and handshakes, a few of them.
#[tokio::test]
async fn a_name_is_the_same_in_a_certificate_and_in_what_is_dialled() {
    let authority = Authority::new("root");
    for (written, dialled, same) in [
        ("LocalHost", "localhost", true),
        ("localhost", "LOCALHOST.", true),
        ("localhost.example", "localhost", false),
        ("xlocalhost", "localhost", false),
    ] {
        let mut params = nameless();
        params.subject_alt_names = vec![dns(written)];
        let node = credentials(&authority, &authority.issue(&params));
        let (_, met) = meet(&acceptor(&node), &node, dialled, Role::Node).await;
        assert_eq!(met.is_ok(), same, "{written} dialled as {dialled}");
    }
}
