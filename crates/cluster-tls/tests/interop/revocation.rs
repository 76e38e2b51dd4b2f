//! Revocation lists that OpenSSL and certtool have made.

use std::fs;
use std::path::{Path, PathBuf};

use cluster_tls::{CredentialPaths, RefusalReason};
use tempfile::TempDir;

use crate::node::{Node, loaded_with, revoking};
use crate::openssl::{EXECUTOR, Leaf, Register, SCHEDULER};
use crate::openssl_client::s_client;
use crate::{certtool, openssl};

fn written(place: &Path, text: &str) -> PathBuf {
    let path = place.join("lists.pem");
    fs::write(&path, text).unwrap();
    path
}

/// The reason for which `node` refuses a peer; none if it lets it in.
async fn answer(place: &Path, node: &Node, peer: &CredentialPaths) -> Option<RefusalReason> {
    let (certificate, key) = (peer.certificate.display(), peer.key.display());
    let arguments =
        format!("-tls1_3 -alpn h2 -cert {certificate} -cert_chain {certificate} -key {key}");
    let _client = s_client(place, node, &arguments);
    node.meet().await.err().map(|refusal| refusal.reason())
}

fn named(name: &'static str) -> Leaf {
    Leaf { name, ..EXECUTOR }
}

#[tokio::test]
async fn a_list_made_by_openssl_shuts_out_whom_it_names_and_nobody_else() {
    let place = TempDir::new().unwrap();
    let root = openssl::Authority::new(place.path(), "root");
    let node = root.issue(SCHEDULER);
    let (revoked, other) = (root.issue(named("revoked")), root.issue(named("other")));
    let register = Register::of(&root);
    let before = revoking(&node, &written(place.path(), &register.list()));
    register.revoke(&revoked.certificate);
    let after = revoking(&node, &written(place.path(), &register.list()));

    let (before, after) = (Node::listen(&before).await, Node::listen(&after).await);
    assert_eq!(answer(place.path(), &before, &revoked).await, None);
    let refused = answer(place.path(), &after, &revoked).await;
    assert_eq!(refused, Some(RefusalReason::Revoked));
    assert_eq!(answer(place.path(), &after, &other).await, None);
}

#[tokio::test]
async fn a_list_made_by_certtool_shuts_out_whom_it_names_and_nobody_else() {
    let place = TempDir::new().unwrap();
    let root = certtool::Authority::new(place.path(), "root");
    let issue = |name| {
        root.issue(certtool::Leaf {
            name,
            ..certtool::EXECUTOR
        })
    };
    let node = root.issue(certtool::SCHEDULER);
    let (revoked, other) = (issue("revoked"), issue("other"));
    let before = revoking(&node, &written(place.path(), &root.list(&[])));
    let list = root.list(&[&revoked.certificate]);
    let after = revoking(&node, &written(place.path(), &list));

    let (before, after) = (Node::listen(&before).await, Node::listen(&after).await);
    assert_eq!(answer(place.path(), &before, &revoked).await, None);
    let refused = answer(place.path(), &after, &revoked).await;
    assert_eq!(refused, Some(RefusalReason::Revoked));
    assert_eq!(answer(place.path(), &after, &other).await, None);
}

#[tokio::test]
async fn an_intermediate_on_the_list_of_its_root_takes_its_leaves_with_it() {
    let place = TempDir::new().unwrap();
    let root = openssl::Authority::new(place.path(), "root");
    let node = root.issue(SCHEDULER);
    let (good, bad) = (root.intermediate("good"), root.intermediate("bad"));
    let (below_good, below_bad) = (good.issue(named("member")), bad.issue(named("gone")));
    let of_root = Register::of(&root);
    of_root.revoke(&bad.certificate());
    let lists = [&of_root, &Register::of(&good), &Register::of(&bad)].map(Register::list);

    let whole = revoking(&node, &written(place.path(), &lists.concat()));
    let whole = Node::listen(&whole).await;
    assert_eq!(answer(place.path(), &whole, &below_good).await, None);
    let refused = answer(place.path(), &whole, &below_bad).await;
    assert_eq!(refused, Some(RefusalReason::Revoked));

    // Without the list of an intermediate nobody knows about its leaves.
    let root_alone = revoking(&node, &written(place.path(), &lists[0]));
    let root_alone = Node::listen(&root_alone).await;
    let refused = answer(place.path(), &root_alone, &below_good).await;
    assert_eq!(refused, Some(RefusalReason::RevocationUnknown));
}

/// `openssl ca` writes version 1 where its configuration names no file for the list's number:
/// such a list can say nothing about why and when, and is not of RFC 5280.
#[test]
fn a_list_of_the_first_version_is_refused_at_load() {
    let place = TempDir::new().unwrap();
    let root = openssl::Authority::new(place.path(), "root");
    let node = root.issue(SCHEDULER);
    let register = Register::of(&root);
    let second = register.list();
    let first = register.without_numbers().list();
    let error = loaded_with(&node, &written(place.path(), &first)).unwrap_err();
    assert_eq!(error.fault().code(), "bad_revocation_list", "{error}");
    assert!(loaded_with(&node, &written(place.path(), &second)).is_ok());
}
