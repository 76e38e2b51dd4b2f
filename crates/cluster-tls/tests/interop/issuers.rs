//! Certificates of three other issuers, with an intermediate between root and leaf.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cluster_tls::{
    CredentialPaths, LoadFault, PeerPolicy, RefusalReason, Role, SystemClock, UnspecifiedRole, load,
};
use tempfile::TempDir;

use crate::node::{Node, credentials, credentials_under, loaded, talk};
use crate::openssl_client::s_client;
use crate::{certtool, cfssl, openssl};

/// Lets OpenSSL and a node of ours meet under one certificate with its chain; then shows that
/// neither the load nor a peer has to believe the leaf alone.
async fn chain_is_believed_whole_and_not_without_its_intermediate(
    place: &Path,
    paths: &CredentialPaths,
    role: Role,
) {
    let node = Node::listen(&credentials(paths)).await;
    let (certificate, key) = (paths.certificate.display(), paths.key.display());
    let common = format!("-tls1_3 -alpn h2 -key {key}");
    let whole = format!("{common} -cert {certificate} -cert_chain {certificate}");
    let mut client = s_client(place, &node, &whole);
    let mut stream = node.meet().await.unwrap();
    assert_eq!(stream.peer().role(), role);
    talk(&mut stream, &mut client).await;
    client.must_say(&["Verification: OK"]).await;

    // s_client fills in what it finds in the CA file, which is the root and not what is missing.
    let alone = format!("{common} -cert {certificate}");
    let _client = s_client(place, &node, &alone);
    let refusal = node.meet().await.unwrap_err();
    assert_eq!(refusal.reason(), RefusalReason::UnknownIssuer, "{refusal}");

    let text = fs::read_to_string(&paths.certificate).unwrap();
    let (leaf, rest) = text.split_once(END).unwrap();
    assert!(rest.contains(END), "there is no intermediate");
    let leaf_alone = CredentialPaths {
        certificate: place.join("alone.pem"),
        ..paths.clone()
    };
    fs::write(&leaf_alone.certificate, format!("{leaf}{END}")).unwrap();
    let error = loaded(&leaf_alone).unwrap_err();
    assert_eq!(error.fault().code(), "unknown_issuer", "{error}");
}

#[tokio::test]
async fn a_chain_made_by_openssl_is_believed() {
    let place = TempDir::new().unwrap();
    let root = openssl::Authority::new(place.path(), "root");
    let paths = root.intermediate("middle").issue(openssl::EXECUTOR);
    chain_is_believed_whole_and_not_without_its_intermediate(place.path(), &paths, Role::Executor)
        .await;
}

#[tokio::test]
async fn a_chain_made_by_certtool_is_believed() {
    let place = TempDir::new().unwrap();
    let root = certtool::Authority::new(place.path(), "root");
    let paths = root.intermediate("middle").issue(certtool::EXECUTOR);
    chain_is_believed_whole_and_not_without_its_intermediate(place.path(), &paths, Role::Executor)
        .await;
}

#[tokio::test]
async fn a_chain_made_by_cfssl_is_believed_and_has_no_role() {
    let place = TempDir::new().unwrap();
    for kind in [cfssl::P256, cfssl::RSA] {
        let paths = cfssl::executor_below_an_intermediate(place.path(), kind);
        let role = Role::Unspecified;
        chain_is_believed_whole_and_not_without_its_intermediate(place.path(), &paths, role).await;
    }
}

#[test]
fn a_certificate_without_a_role_is_loaded_unless_policy_asks_for_one() {
    let place = TempDir::new().unwrap();
    let paths = cfssl::executor_below_an_intermediate(place.path(), cfssl::P256);
    assert_eq!(loaded(&paths).unwrap().own().role(), Role::Unspecified);

    let strict = PeerPolicy {
        unspecified_role: UnspecifiedRole::Refuse,
        ..PeerPolicy::default()
    };
    let error = load(&paths, Arc::new(SystemClock), strict.clone()).unwrap_err();
    let LoadFault::Refused(refusal) = error.fault() else {
        panic!("{error}");
    };
    assert_eq!(refusal.reason(), RefusalReason::RoleMissing);

    let root = openssl::Authority::new(place.path(), "root");
    let own = credentials_under(&root.issue(openssl::EXECUTOR), strict);
    assert_eq!(own.current().own().role(), Role::Executor);
}

const END: &str = "-----END CERTIFICATE-----\n";
