//! PEM as it comes: with texts around it, with the line ends of Windows, with two roots.

use std::fs;
use std::path::Path;

use cluster_tls::{CredentialFile, CredentialPaths, RefusalReason};
use tempfile::TempDir;

use crate::node::{Node, credentials, loaded};
use crate::openssl::{Authority, EXECUTOR, Leaf, SCHEDULER};
use crate::openssl_client::s_client;
use crate::tool::run;

fn cluster(place: &Path) -> CredentialPaths {
    Authority::new(place, "root").issue(EXECUTOR)
}

/// Rewrites a file of `paths` in place.
fn rewrite(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, change(text)).unwrap();
}

#[test]
fn certificates_with_their_contents_in_words_before_them_are_read() {
    let place = TempDir::new().unwrap();
    let paths = cluster(place.path());
    for path in [&paths.ca, &paths.certificate] {
        let from = path.display();
        let text = run(place.path(), &format!("openssl x509 -text -in {from}"));
        assert!(text.starts_with("Certificate:\n"), "{text}");
        fs::write(path, text).unwrap();
    }
    assert_eq!(loaded(&paths).unwrap().roots().len(), 1);
}

#[test]
fn what_openssl_unpacks_from_a_pkcs12_file_is_read_with_its_attributes() {
    let place = TempDir::new().unwrap();
    let paths = cluster(place.path());
    for command in [
        "openssl pkcs12 -export -in executor1.pem -inkey executor1-key.pem -name node \
         -passout pass:secret -out node.p12",
        "openssl pkcs12 -in node.p12 -passin pass:secret -nokeys -out unpacked.pem",
        "openssl pkcs12 -in node.p12 -passin pass:secret -nocerts -noenc -out unpacked-key.pem",
    ] {
        run(place.path(), command);
    }
    let unpacked = CredentialPaths {
        certificate: place.path().join("unpacked.pem"),
        key: place.path().join("unpacked-key.pem"),
        ca: paths.ca,
    };
    for path in [&unpacked.certificate, &unpacked.key] {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("Bag Attributes\n"), "{text}");
    }
    assert!(loaded(&unpacked).is_ok());
}

#[test]
fn line_ends_of_windows_do_no_harm() {
    let place = TempDir::new().unwrap();
    let paths = cluster(place.path());
    for path in [&paths.ca, &paths.certificate, &paths.key] {
        rewrite(path, |text| text.replace('\n', "\r\n"));
    }
    assert!(loaded(&paths).is_ok());
    // Nor do they hide an encrypted key, which says so on a line of its own.
    run(
        place.path(),
        "openssl ec -aes256 -passout pass:secret -in executor1-key.pem -out encrypted.pem",
    );
    let encrypted = CredentialPaths {
        key: place.path().join("encrypted.pem"),
        ..paths
    };
    rewrite(&encrypted.key, |text| text.replace('\n', "\r\n"));
    let error = loaded(&encrypted).unwrap_err();
    assert_eq!(error.fault().code(), "encrypted_key", "{error}");
}

/// OpenSSL and GnuTLS read such files.
#[test]
fn the_byte_order_mark_of_a_windows_editor_does_no_harm() {
    let place = TempDir::new().unwrap();
    let paths = cluster(place.path());
    let from = paths.certificate.display();
    for path in [&paths.ca, &paths.certificate, &paths.key] {
        rewrite(path, |text| format!("\u{feff}{text}"));
    }
    assert!(loaded(&paths).is_ok());
    run(place.path(), &format!("openssl x509 -noout -in {from}"));
    let command = format!("certtool --certificate-info --infile {from}");
    run(place.path(), &command);
}

/// The decoder takes a section for a comment where anything stands before it on its line: one
/// root of two would be missing, and nobody would know before its members are refused.
#[test]
fn a_root_that_would_be_skipped_is_an_error() {
    let place = TempDir::new().unwrap();
    let paths = cluster(place.path());
    Authority::new(place.path(), "second");
    let second = fs::read_to_string(place.path().join("second.pem")).unwrap();
    let indented = second.replace("-----BEGIN", "  -----BEGIN");
    let first = fs::read_to_string(&paths.ca).unwrap();
    for hidden in [format!("\u{feff}{second}"), indented] {
        fs::write(&paths.ca, format!("{first}{hidden}")).unwrap();
        let error = loaded(&paths).unwrap_err();
        assert_eq!(error.file(), CredentialFile::Ca, "{error}");
        assert_eq!(error.fault().code(), "bad_pem", "{error}");
    }
    fs::write(&paths.ca, format!("{first}{second}")).unwrap();
    assert_eq!(loaded(&paths).unwrap().roots().len(), 2);
}

#[test]
fn der_is_told_from_pem_with_the_command_that_helps() {
    let place = TempDir::new().unwrap();
    let paths = cluster(place.path());
    let from = paths.certificate.display();
    run(
        place.path(),
        &format!("openssl x509 -outform der -in {from} -out node.der"),
    );
    let der = CredentialPaths {
        certificate: place.path().join("node.der"),
        ..paths.clone()
    };
    let error = loaded(&der).unwrap_err();
    assert_eq!(error.fault().code(), "bad_pem");
    assert!(error.to_string().contains("openssl"), "{error}");

    run(
        place.path(),
        "openssl x509 -inform der -in node.der -out executor1.pem",
    );
    assert!(loaded(&paths).is_ok());
}

#[tokio::test]
async fn members_of_either_root_of_a_bundle_are_let_in_and_of_a_third_are_not() {
    let place = TempDir::new().unwrap();
    let old = Authority::new(place.path(), "root");
    let node = old.issue(SCHEDULER);
    let members = [
        old.issue(named("old-member")),
        Authority::new(place.path(), "new").issue(named("new-member")),
        Authority::new(place.path(), "third").issue(named("stranger")),
    ];
    let bundle = CredentialPaths {
        ca: place.path().join("bundle.pem"),
        ..node
    };
    let text = |name: &str| run(place.path(), &format!("openssl x509 -text -in {name}.pem"));
    fs::write(&bundle.ca, text("root") + &text("new")).unwrap();
    assert_eq!(loaded(&bundle).unwrap().roots().len(), 2);

    let node = Node::listen(&credentials(&bundle)).await;
    let mut answers = Vec::new();
    for member in members {
        let (certificate, key) = (member.certificate.display(), member.key.display());
        let arguments = format!("-tls1_3 -alpn h2 -cert {certificate} -key {key}");
        let _client = s_client(place.path(), &node, &arguments);
        answers.push(node.meet().await.err().map(|refusal| refusal.reason()));
    }
    assert_eq!(answers, [None, None, Some(RefusalReason::UnknownIssuer)]);
}

fn named(name: &'static str) -> Leaf {
    Leaf { name, ..EXECUTOR }
}
