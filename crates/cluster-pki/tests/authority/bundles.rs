//! A node's files in other forms: only what a node would start with, and all of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use cluster_pki::{
    BundleError, Days, Existing, NodeBundle, NodeName, OutputError, Passphrase, SecretForm,
    SecretTarget,
};
use p12_keystore::{Certificate, KeyStore, Pkcs12ImportPolicy};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::fixture::{Fixture, der, mode, names_in, now};

fn with_node(name: &str) -> Fixture {
    let fixture = Fixture::new();
    fixture.init().issue(&fixture.request(name), now()).unwrap();
    fixture
}

fn read(fixture: &Fixture, name: &str) -> Result<NodeBundle, BundleError> {
    let name: NodeName = name.parse().unwrap();
    NodeBundle::read(&fixture.out(), &name, now())
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::chosen(Zeroizing::new(text.to_owned())).unwrap()
}

fn refusal(fixture: &Fixture, name: &str) -> String {
    match read(fixture, name).err().unwrap() {
        BundleError::Refused(error) => error.fault().code().to_owned(),
        error => error.to_string(),
    }
}

#[test]
fn pem_has_certificate_then_key_then_roots() {
    let fixture = with_node("n1");
    let pem = read(&fixture, "n1").unwrap().pem().unwrap();
    let text = std::str::from_utf8(pem.as_bytes()).unwrap();
    let labels: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("-----BEGIN "))
        .collect();
    let expected = ["CERTIFICATE-----", "PRIVATE KEY-----", "CERTIFICATE-----"];
    assert_eq!(labels, expected);
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(Result::unwrap)
        .collect();
    let out = fixture.out();
    assert_eq!(
        certificates,
        [der(&out.join("n1.pem")), der(&out.join("ca.pem"))]
    );
    let key = PrivateKeyDer::from_pem_file(out.join("n1-key.pem")).unwrap();
    assert_eq!(PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap(), key);
}

#[test]
fn pkcs12_opens_with_its_passphrase_and_with_no_other() {
    let fixture = with_node("rack-1_n1");
    let node = read(&fixture, "rack-1_n1").unwrap();
    let file = node.pkcs12(&passphrase("correct horse")).unwrap();
    let open = |text| KeyStore::from_pkcs12(file.as_bytes(), text, Pkcs12ImportPolicy::Strict);
    assert!(open("correct Horse").is_err());
    let store = open("correct horse").unwrap();
    let (alias, chain) = store.private_key_chain().unwrap();
    assert_eq!(alias, "rack-1_n1");
    let out = fixture.out();
    let key = PrivateKeyDer::from_pem_file(out.join("rack-1_n1-key.pem")).unwrap();
    assert_eq!(chain.key().as_der(), key.secret_der());
    let certificates: Vec<_> = chain.certs().iter().map(Certificate::as_der).collect();
    let (leaf, root) = (der(&out.join("rack-1_n1.pem")), der(&out.join("ca.pem")));
    assert_eq!(certificates, [leaf.as_ref(), root.as_ref()]);
}

#[test]
fn a_passphrase_that_pkcs12_cannot_express_is_refused() {
    let fixture = with_node("n1");
    let node = read(&fixture, "n1").unwrap();
    let refused = node.pkcs12(&passphrase("\u{1F511} eight more"));
    assert!(matches!(refused, Err(BundleError::Pkcs12 { .. })));
}

#[test]
fn both_roots_of_a_rotation_are_in_every_form() {
    let fixture = with_node("n1");
    let other = Fixture::new();
    other.init();
    let ca = fixture.out().join("ca.pem");
    let second = fs::read_to_string(other.pki().join("ca-1.pem")).unwrap();
    let both = fs::read_to_string(&ca).unwrap() + &second;
    fs::write(&ca, both).unwrap();
    let node = read(&fixture, "n1").unwrap();
    assert_eq!(node.root_count(), 2);
    let pem = node.pem().unwrap();
    assert_eq!(CertificateDer::pem_slice_iter(pem.as_bytes()).count(), 3);
    let file = node.pkcs12(&passphrase("correct horse")).unwrap();
    let archive = p12_keystore::Pkcs12Archive::from_pkcs12(file.as_bytes(), "correct horse");
    assert_eq!(archive.unwrap().certs.len(), 3);
}

#[test]
fn names_that_yaml_reads_as_something_else_stay_names() {
    let fixture = with_node("n1");
    let target = SecretTarget {
        name: "1".parse().unwrap(),
        namespace: Some("true".parse().unwrap()),
    };
    let node = read(&fixture, "n1").unwrap();
    let yaml = node.kubernetes_secret(&target, SecretForm::Yaml).unwrap();
    let text = std::str::from_utf8(yaml.as_bytes()).unwrap();
    assert!(
        text.contains("  name: \"1\"\n  namespace: \"true\"\n"),
        "{text}"
    );
}

#[test]
fn the_key_of_another_node_is_refused() {
    let fixture = with_node("n1");
    let mut authority = cluster_pki::Authority::open(&fixture.pki()).unwrap();
    authority.issue(&fixture.request("n2"), now()).unwrap();
    let out = fixture.out();
    assert!(read(&fixture, "n2").is_ok());
    fs::copy(out.join("n1-key.pem"), out.join("n2-key.pem")).unwrap();
    assert_eq!(refusal(&fixture, "n2"), "key_mismatch");
}

#[test]
fn roots_of_another_authority_are_refused() {
    let fixture = with_node("n1");
    let other = Fixture::new();
    other.init();
    fs::copy(other.pki().join("ca-1.pem"), fixture.out().join("ca.pem")).unwrap();
    assert_eq!(refusal(&fixture, "n1"), "unknown_issuer");
}

#[test]
fn a_certificate_is_handed_over_until_it_ends() {
    let fixture = with_node("n1");
    let name: NodeName = "n1".parse().unwrap();
    let at = |time| NodeBundle::read(&fixture.out(), &name, time);
    let end = now() + Days::LEAF_DEFAULT.duration();
    assert!(at(end - Duration::from_secs(60 * 60)).is_ok());
    let expired = at(end + Duration::from_secs(60 * 60));
    assert!(matches!(expired, Err(BundleError::Refused(_))));
}

#[test]
fn a_key_that_others_may_read_is_refused_and_so_is_a_link() {
    let fixture = with_node("n1");
    let key = fixture.out().join("n1-key.pem");
    for bits in [0o640, 0o604] {
        fs::set_permissions(&key, fs::Permissions::from_mode(bits)).unwrap();
        assert!(matches!(read(&fixture, "n1"), Err(BundleError::File(_))));
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(read(&fixture, "n1").is_ok());
    let elsewhere = fixture.out().join("elsewhere");
    fs::rename(&key, &elsewhere).unwrap();
    symlink(&elsewhere, &key).unwrap();
    assert!(matches!(read(&fixture, "n1"), Err(BundleError::File(_))));
}

#[test]
fn a_bundle_is_its_owners_alone_and_replaces_nothing_unasked() {
    let fixture = with_node("n1");
    let bundle = read(&fixture, "n1").unwrap().pem().unwrap();
    let (path, link) = (fixture.out().join("a.pem"), fixture.out().join("link.pem"));
    bundle.write(&path, Existing::Refuse).unwrap();
    assert_eq!(mode(&path), 0o600);
    fs::write(&path, "mine").unwrap();
    symlink(fixture.out().join("nowhere"), &link).unwrap();
    for taken in [&path, &link] {
        let refused = bundle.write(taken, Existing::Refuse);
        assert!(matches!(refused, Err(OutputError::Exists { .. })));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    bundle.write(&path, Existing::Replace).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bundle.as_bytes());
    assert_eq!(mode(&path), 0o600);
    let directory = bundle.write(&fixture.out(), Existing::Replace);
    assert!(matches!(directory, Err(OutputError::Directory { .. })));
    let left = ["a.pem", "ca.pem", "link.pem", "n1-key.pem", "n1.pem"];
    assert_eq!(names_in(&fixture.out()), left);
}
