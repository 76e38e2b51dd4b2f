//! Lists that cannot be used are refused when they are loaded, with what is wrong with them.

use cluster_tls::{CredentialBytes, CredentialFile, LoadError, PeerPolicy, Snapshot, load_from};

use std::sync::Arc;

use crate::loaded::{load_texts, texts};
use crate::pki::{Authority, Issued, Mid2024, numbered, pem};

const OWN: u16 = 0x0101;

fn own(authority: &Authority) -> Issued {
    authority.issue(&numbered("node", OWN))
}

fn load_with_crl(authority: &Authority, crl: impl Into<Vec<u8>>) -> Result<Snapshot, LoadError> {
    load_texts(texts(authority, &own(authority)).with_crl(crl))
}

/// The part at fault and the code of the fault.
fn fault(loaded: Result<Snapshot, LoadError>) -> (CredentialFile, &'static str) {
    let error = loaded.unwrap_err();
    (error.file(), error.fault().code())
}

#[test]
fn a_list_of_another_authority_alone_covers_nobody() {
    let (authority, other) = (Authority::new("root"), Authority::new("other root"));
    let refused = load_with_crl(&authority, other.crl(&[]));
    assert_eq!(fault(refused), (CredentialFile::Crl, "root_without_list"));
    let both = format!("{}{}", authority.crl(&[]), other.crl(&[]));
    assert!(load_with_crl(&authority, both).is_ok());
}

#[test]
fn every_root_needs_its_list() {
    let (authority, other) = (Authority::new("root"), Authority::new("other root"));
    let issued = own(&authority);
    let roots = format!("{}{}", authority.pem(), other.pem());
    let load = |crl: String| {
        let texts = CredentialBytes::new(roots.clone(), issued.chain_pem(), issued.key_pem());
        load_texts(texts.with_crl(crl))
    };
    let error = load(authority.crl(&[])).unwrap_err();
    assert_eq!(error.fault().code(), "root_without_list");
    assert!(error.to_string().contains("other root"), "{error}");
    assert!(error.remedy().contains("deny-list"), "{error}");
    let covered = load(format!("{}{}", authority.crl(&[]), other.crl(&[]))).unwrap();
    assert_eq!(covered.revocation_lists().count(), 2);
}

#[test]
fn a_list_whose_next_update_has_passed_is_refused_with_the_date() {
    let authority = Authority::new("root");
    let error = load_with_crl(
        &authority,
        authority.crl_dated(&[], (2024, 4, 1), (2024, 5, 1)),
    )
    .unwrap_err();
    assert_eq!(error.fault().code(), "expired_list");
    assert!(error.to_string().contains("2024-05-01"), "{error}");
    let current = authority.crl_dated(&[], (2024, 4, 1), (2024, 6, 2));
    assert!(load_with_crl(&authority, current).is_ok());
}

/// The newest list has the word, and it has ended: what came before it is no way back.
#[test]
fn an_older_list_that_ends_later_does_not_stand_in_for_a_newer_one_that_has_ended() {
    let authority = Authority::new("root");
    let old = authority.crl_dated(&[], (2024, 4, 1), (2024, 12, 1));
    let ended = authority.crl_dated(&[], (2024, 5, 1), (2024, 5, 20));
    for text in [format!("{old}{ended}"), format!("{ended}{old}")] {
        let refused = load_with_crl(&authority, text);
        assert_eq!(fault(refused), (CredentialFile::Crl, "expired_list"));
    }
}

#[test]
fn a_list_without_a_next_update_is_refused() {
    let authority = Authority::new("root");
    let der = authority.crl_der(&[], (2024, 5, 1), (2024, 12, 1));
    let endless = pem("X509 CRL", &without(&der, b"\x17\x0d241201000000Z"));
    let error = load_with_crl(&authority, endless).unwrap_err();
    assert_eq!(error.fault().code(), "bad_revocation_list");
    assert!(error.to_string().contains("no next update"), "{error}");
}

/// A revocation list without one of its fields: the bytes are taken out and the two sequences
/// around them made shorter. The signature no longer fits, which is looked at only later.
fn without(der: &[u8], field: &[u8]) -> Vec<u8> {
    let at = der.windows(field.len()).position(|part| part == field);
    let (list, to_be_signed) = (header(der), header(&der[header(der)..]));
    let inner = &der[list + to_be_signed..];
    let at = at.unwrap() - list - to_be_signed;
    let end_of_inner = length(&der[list..]);
    let shortened = [&inner[..at], &inner[at + field.len()..end_of_inner]].concat();
    let rest = &inner[end_of_inner..];
    sequence(&[sequence(&shortened), rest.to_vec()].concat())
}

/// How many bytes tag and length of a DER value take.
fn header(der: &[u8]) -> usize {
    match der[1] {
        long if long & 0x80 != 0 => 2 + usize::from(long & 0x7f),
        _ => 2,
    }
}

/// How many bytes the content of a DER value has.
fn length(der: &[u8]) -> usize {
    match header(der) {
        2 => usize::from(der[1]),
        header => der[2..header]
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)),
    }
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82], length.as_slice(), content].concat()
}

#[test]
fn a_list_that_another_key_signed_is_refused_where_it_is_about_ourselves() {
    let authority = Authority::new("root");
    let impostor = Authority::new("root");
    let refused = load_with_crl(&authority, impostor.crl(&[]));
    let unknown = (CredentialFile::Certificate, "revocation_unknown");
    assert_eq!(fault(refused), unknown);
}

#[test]
fn what_is_no_list_is_refused_with_its_kind() {
    let authority = Authority::new("root");
    let crl = CredentialFile::Crl;
    for (text, code) in [
        (String::new(), "empty"),
        (authority.pem(), "wrong_kind"),
        ("nobody".to_owned(), "bad_pem"),
        (pem("X509 CRL", b"nobody"), "bad_revocation_list"),
    ] {
        let refused = load_with_crl(&authority, text.clone());
        assert_eq!(fault(refused), (crl, code), "{text}");
    }
}

#[test]
fn a_node_does_not_start_with_a_certificate_that_is_revoked() {
    let authority = Authority::new("root");
    let issued = own(&authority);
    let revoked = (CredentialFile::Certificate, "revoked");
    let by_list = texts(&authority, &issued).with_crl(authority.crl(&[OWN]));
    assert_eq!(fault(load_texts(by_list)), revoked);
    let by_name = texts(&authority, &issued).with_deny_list("0101");
    assert_eq!(fault(load_texts(by_name)), revoked);
    let other = texts(&authority, &issued).with_deny_list("0102");
    let mut source = Arc::new(other);
    let loaded = load_from(&mut source, Arc::new(Mid2024), PeerPolicy::default()).unwrap();
    assert!(loaded.own_revocation().is_none());
}
