//! Every kind of key that we take, in both directions: OpenSSL verifies our signature and we
//! verify its.

use std::path::Path;

use cluster_tls::CredentialPaths;
use tempfile::TempDir;

use crate::node::{Node, credentials, loaded, talk};
use crate::openssl::{Authority, EXECUTOR, Leaf, SCHEDULER};
use crate::openssl_client::s_client;
use crate::{certtool, openssl};

async fn meet(place: &Path, node: &CredentialPaths, client: &CredentialPaths) {
    let node = Node::listen(&credentials(node)).await;
    let (certificate, key) = (client.certificate.display(), client.key.display());
    let arguments = format!("-tls1_3 -alpn h2 -cert {certificate} -key {key}");
    let mut client = s_client(place, &node, &arguments);
    let mut stream = node.meet().await.unwrap();
    talk(&mut stream, &mut client).await;
    client.must_say(&["Verification: OK"]).await;
}

#[tokio::test]
async fn keys_made_by_openssl_serve_both_ends() {
    let place = TempDir::new().unwrap();
    let root = Authority::new(place.path(), "root");
    for key in [
        openssl::P256,
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-521",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:4096",
        "-algorithm ED25519",
    ] {
        let node = root.issue(Leaf { key, ..SCHEDULER });
        let client = root.issue(Leaf { key, ..EXECUTOR });
        meet(place.path(), &node, &client).await;
    }
}

#[tokio::test]
async fn keys_made_by_certtool_serve_both_ends() {
    let place = TempDir::new().unwrap();
    let root = certtool::Authority::new(place.path(), "root");
    for key in [
        "--key-type ecdsa --curve secp256r1",
        "--key-type ecdsa --curve secp384r1",
        "--key-type rsa --bits 2048",
        "--key-type ed25519",
    ] {
        let node = root.issue(certtool::Leaf {
            key,
            ..certtool::SCHEDULER
        });
        let client = root.issue(certtool::Leaf {
            key,
            ..certtool::EXECUTOR
        });
        meet(place.path(), &node, &client).await;
    }
}

/// The kinds that OpenSSL makes as readily and that nobody here should use.
#[test]
fn weak_and_outlandish_keys_are_refused_at_load() {
    let place = TempDir::new().unwrap();
    let root = Authority::new(place.path(), "root");
    for (key, code) in [
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
            "unusable_key",
        ),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
            "unusable_key",
        ),
        ("-algorithm ED448", "unusable_key"),
    ] {
        let error = loaded(&root.issue(Leaf { key, ..EXECUTOR })).unwrap_err();
        assert_eq!(error.fault().code(), code, "{key}: {error}");
    }
    assert!(loaded(&root.issue(EXECUTOR)).is_ok());
}
