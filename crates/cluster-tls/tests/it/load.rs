//! What is refused before the first connection, and how it is put.

use std::fs;

use cluster_tls::{CredentialFile, LoadError, LoadFault, RefusalReason, Role};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData, SignatureAlgorithm, date_time_ymd,
};

use crate::loaded::{Files, set_mode};
use crate::pki::{Authority, Issued, authority, dns, executor, nameless, pem, uri};

#[test]
fn good_files_become_a_snapshot() {
    let root = Authority::new("root");
    let snapshot = Files::of(&root, &root.executor()).load().unwrap();
    assert_eq!(snapshot.generation(), 0);
    assert_eq!(snapshot.own().role(), Role::Executor);
    assert!(snapshot.own().has_name("executor1.cluster.local"));
    assert_eq!(snapshot.roots().len(), 1);
    assert_eq!(snapshot.roots()[0].subject, "CN=root");
}

#[test]
fn a_chain_with_its_intermediate_is_loaded_and_one_without_is_not() {
    let root = Authority::new("root");
    let intermediate = root.intermediate("intermediate");
    let whole = intermediate.executor().with(intermediate.der());
    assert!(Files::of(&root, &whole).load().is_ok());
    let error = Files::of(&root, &intermediate.executor())
        .load()
        .unwrap_err();
    assert_eq!(reason(&error), Some(RefusalReason::UnknownIssuer));
}

#[test]
fn a_bundle_of_roots_is_loaded_whole() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let issued = old.executor();
    let bundle = format!("# overlap\n{}\n{}", old.pem(), new.pem());
    let files = Files::write(&bundle, &issued.chain_pem(), &issued.key_pem());
    assert_eq!(files.load().unwrap().roots().len(), 2);
}

/// What each file holds in a case of the table, where it is not good.
#[derive(Default)]
struct Case {
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Case {
    fn ca(text: impl Into<String>) -> Self {
        Self {
            ca: Some(text.into()),
            ..Self::default()
        }
    }

    fn certificate(text: impl Into<String>) -> Self {
        Self {
            certificate: Some(text.into()),
            ..Self::default()
        }
    }

    fn key(text: impl Into<String>) -> Self {
        Self {
            key: Some(text.into()),
            ..Self::default()
        }
    }

    /// Loads the case beside good files and checks what every error must have.
    fn error(self) -> LoadError {
        let root = Authority::new("root");
        let good = root.executor();
        let files = Files::write(
            &self.ca.unwrap_or_else(|| root.pem()),
            &self.certificate.unwrap_or_else(|| good.chain_pem()),
            &self.key.unwrap_or_else(|| good.key_pem()),
        );
        let error = files.load().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&error.path().unwrap().display().to_string()),
            "{text}"
        );
        assert!(text.ends_with(error.remedy()), "{text}");
        assert!(!error.remedy().is_empty(), "{text}");
        assert!(!text.contains(SECRET), "{text}");
        error
    }
}

/// Stands for key material in damaged files.
const SECRET: &str = "c2VjcmV0";

#[test]
fn what_is_not_pem_of_the_right_kind_is_called_by_its_name() {
    let root = Authority::new("root");
    let good = root.executor();
    let request = executor()
        .serialize_request(&good.key)
        .unwrap()
        .pem()
        .unwrap();
    let encrypted = pem("ENCRYPTED PRIVATE KEY", b"secret");
    let old_encrypted = format!(
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n{SECRET}\n\
         -----END EC PRIVATE KEY-----\n"
    );
    let cut = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n");
    let both = good.chain_pem() + &good.key_pem();
    for (case, file, expected) in [
        (Case::ca(""), CredentialFile::Ca, "empty"),
        (
            Case::certificate(" \n"),
            CredentialFile::Certificate,
            "empty",
        ),
        (Case::key(""), CredentialFile::Key, "empty"),
        (Case::ca("hello"), CredentialFile::Ca, "not PEM"),
        (
            Case::certificate("0\u{1}"),
            CredentialFile::Certificate,
            "looks like DER",
        ),
        (
            Case::ca(good.key_pem()),
            CredentialFile::Ca,
            "holds a private key",
        ),
        (
            Case::certificate(good.key_pem()),
            CredentialFile::Certificate,
            "holds a private key",
        ),
        (
            Case::certificate(both),
            CredentialFile::Certificate,
            "holds a private key",
        ),
        (
            Case::certificate(request),
            CredentialFile::Certificate,
            "a certificate request",
        ),
        (
            Case::key(good.chain_pem()),
            CredentialFile::Key,
            "holds a certificate",
        ),
        (Case::key(encrypted), CredentialFile::Key, "encrypted"),
        (Case::key(old_encrypted), CredentialFile::Key, "encrypted"),
        (Case::key(cut), CredentialFile::Key, "does not end"),
        (
            Case::key(pem("PRIVATE KEY", b"secret")),
            CredentialFile::Key,
            "cannot be used",
        ),
        (
            Case::key(good.key_pem() + &good.key_pem()),
            CredentialFile::Key,
            "2 private keys",
        ),
        (
            Case::ca(pem("CERTIFICATE", b"secret")),
            CredentialFile::Ca,
            "does not parse",
        ),
        (
            Case::ca(root.pem() + &pem("CERTIFICATE", b"x")),
            CredentialFile::Ca,
            "does not parse",
        ),
        (
            Case::ca("x".repeat(1024 * 1024 + 1)),
            CredentialFile::Ca,
            "larger than",
        ),
    ] {
        let error = case.error();
        assert_eq!(error.file(), file, "{error}");
        assert!(
            error.to_string().contains(expected),
            "{error} should say {expected}"
        );
    }
}

#[test]
fn a_missing_file_and_one_that_is_none_are_told_apart() {
    let root = Authority::new("root");
    let files = Files::of(&root, &root.executor());
    fs::remove_file(&files.paths.key).unwrap();
    let error = files.load().unwrap_err();
    assert!(matches!(error.fault(), LoadFault::Missing), "{error}");
    fs::create_dir(&files.paths.key).unwrap();
    set_mode(&files.paths.key, 0o700);
    let error = files.load().unwrap_err();
    assert!(matches!(error.fault(), LoadFault::NotAFile), "{error}");
}

/// To open a pipe waits for its other end: who reads one is stopped for ever.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let root = Authority::new("root");
    let files = Files::of(&root, &root.executor());
    fs::remove_file(&files.paths.certificate).unwrap();
    let mkfifo = std::process::Command::new("mkfifo")
        .arg(&files.paths.certificate)
        .status();
    assert!(mkfifo.unwrap().success());
    let error = files.load().unwrap_err();
    assert!(matches!(error.fault(), LoadFault::NotAFile), "{error}");
}

#[cfg(unix)]
#[test]
fn a_key_open_to_the_world_is_refused_and_one_open_to_the_group_is_not() {
    let root = Authority::new("root");
    let files = Files::of(&root, &root.executor());
    for (mode, accepted) in [(0o600, true), (0o440, true), (0o644, false), (0o602, false)] {
        set_mode(&files.paths.key, mode);
        assert_eq!(files.load().is_ok(), accepted, "{mode:o}");
    }
    set_mode(&files.paths.key, 0o644);
    let error = files.load().unwrap_err().to_string();
    assert!(error.contains("mode 0644"), "{error}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let stranger = Authority::new("root").executor();
    let error = Case::key(stranger.key_pem()).error();
    assert!(matches!(error.fault(), LoadFault::KeyMismatch), "{error}");
}

#[test]
fn a_chain_that_starts_with_another_nodes_certificate_is_out_of_order() {
    let root = Authority::new("root");
    let (first, own) = (root.executor(), root.executor());
    let chain = first.chain_pem() + &own.chain_pem();
    let error = Files::write(&root.pem(), &chain, &own.key_pem())
        .load()
        .unwrap_err();
    assert!(
        matches!(error.fault(), LoadFault::ChainOutOfOrder { position: 2 }),
        "{error}"
    );
}

#[test]
fn a_root_that_is_no_authority_is_refused() {
    let mut leaf = executor();
    leaf.is_ca = IsCa::NoCa;
    let error = Case::ca(Authority::root(leaf).pem()).error();
    assert!(
        error.to_string().contains("the CA flag is missing"),
        "{error}"
    );

    let mut powerless = authority("root");
    powerless.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let error = Case::ca(Authority::root(powerless).pem()).error();
    assert!(
        error.to_string().contains("keyCertSign is missing"),
        "{error}"
    );
}

#[test]
fn roots_outside_their_dates_are_refused_with_dates_and_clock() {
    let mut expired = authority("root");
    expired.not_after = date_time_ymd(2024, 2, 1);
    let root = Authority::root(expired);
    let error = Files::of(&root, &root.executor()).load().unwrap_err();
    assert_eq!(error.file(), CredentialFile::Ca);
    for date in [
        "2024-01-01T00:00:00Z",
        "2024-02-01T00:00:00Z",
        "2024-06-01T00:00:00Z",
    ] {
        assert!(error.to_string().contains(date), "{error}");
    }
}

/// The error for a node whose certificate has `params`.
fn error_for(params: &CertificateParams) -> LoadError {
    let root = Authority::new("root");
    Files::of(&root, &root.issue(params)).load().unwrap_err()
}

fn reason(error: &LoadError) -> Option<RefusalReason> {
    match error.fault() {
        LoadFault::Refused(refusal) => Some(refusal.reason()),
        _ => None,
    }
}

#[test]
fn dates_and_clock_are_shown_for_a_leaf_outside_its_dates() {
    let mut expired = executor();
    expired.not_after = date_time_ymd(2024, 2, 1);
    let mut early = executor();
    early.not_before = date_time_ymd(2024, 12, 1);
    for (params, expected, date) in [
        (expired, RefusalReason::Expired, "2024-02-01T00:00:00Z"),
        (early, RefusalReason::NotYetValid, "2024-12-01T00:00:00Z"),
    ] {
        let error = error_for(&params);
        assert_eq!(reason(&error), Some(expected));
        assert!(error.to_string().contains(date), "{error}");
        assert!(
            error.to_string().contains("2024-06-01T00:00:00Z"),
            "{error}"
        );
    }
}

#[test]
fn a_certificate_that_peers_would_refuse_is_refused_at_home() {
    let changed = |change: fn(&mut CertificateParams)| {
        let mut params = executor();
        change(&mut params);
        params
    };
    for (params, expected) in [
        (nameless(), RefusalReason::NoNames),
        (
            changed(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            RefusalReason::WrongUsage,
        ),
        (
            changed(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
            RefusalReason::WrongUsage,
        ),
        (
            changed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            RefusalReason::SigningLeaf,
        ),
        (
            changed(|params| params.key_usages.push(KeyUsagePurpose::KeyCertSign)),
            RefusalReason::SigningLeaf,
        ),
        (
            changed(|params| params.subject_alt_names.push(dns("*.cluster.local"))),
            RefusalReason::BadName,
        ),
        (
            changed(|params| params.subject_alt_names.push(uri("spiffe://a/node/b"))),
            RefusalReason::BadIdentity,
        ),
        (
            changed(|params| params.not_after = date_time_ymd(2100, 1, 1)),
            RefusalReason::ExcessiveLifetime,
        ),
    ] {
        let error = error_for(&params);
        assert_eq!(reason(&error), Some(expected), "{error}");
        assert_eq!(error.file(), CredentialFile::Certificate);
    }
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    for (subject, expected) in [
        ("another root", RefusalReason::UnknownIssuer),
        ("root", RefusalReason::BadSignature),
    ] {
        let stranger = Authority::new(subject).executor();
        let case = Case {
            certificate: Some(stranger.chain_pem()),
            key: Some(stranger.key_pem()),
            ..Case::default()
        };
        assert_eq!(reason(&case.error()), Some(expected));
    }
}

/// A public key for which nobody needs the private one.
struct ShortRsa(Vec<u8>);

impl ShortRsa {
    /// 1024 bits: SEQUENCE { INTEGER modulus, INTEGER 65537 }.
    fn new() -> Self {
        let mut der = vec![0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00];
        der.extend([0xc5; 128]);
        der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        Self(der)
    }
}

impl PublicKeyData for ShortRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

#[test]
fn a_weak_key_is_refused() {
    let root = Authority::new("root");
    let weak = root.certify(&executor(), &ShortRsa::new());
    let good = root.executor();
    let chain = pem("CERTIFICATE", &weak);
    let error = Files::write(&root.pem(), &chain, &good.key_pem())
        .load()
        .unwrap_err();
    assert_eq!(reason(&error), Some(RefusalReason::WeakKey));
    assert!(error.to_string().contains("1024 bits"), "{error}");
}

#[test]
fn a_signature_with_sha1_is_refused_and_with_sha256_is_not() {
    let root = Authority::rsa("root");
    let good = root.executor();
    assert!(Files::of(&root, &good).load().is_ok());

    // sha256WithRSAEncryption and sha1WithRSAEncryption differ in their last octet.
    let sha256 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    let mut der = good.chain[0].to_vec();
    let places: Vec<_> = der
        .windows(sha256.len())
        .enumerate()
        .filter(|(_, window)| *window == sha256)
        .map(|(start, _)| start + sha256.len() - 1)
        .collect();
    assert_eq!(places.len(), 2);
    for place in places {
        der[place] = 0x05;
    }
    let weak = Issued {
        chain: vec![der.into()],
        key: good.key,
    };
    let error = Files::of(&root, &weak).load().unwrap_err();
    assert_eq!(
        reason(&error),
        Some(RefusalReason::WeakSignature),
        "{error}"
    );
}
