//! Files that change while a node runs: what is good is swapped in whole, what is not changes
//! nothing.

use std::fs;

use cluster_tls::{AcceptLimits, CredentialFile, FileSource, RefusalReason, Role};
use rcgen::date_time_ymd;

use crate::following::{BRISK, Following, follow};
use crate::loaded::{Files, credentials, replace};
use crate::meeting::{accept_refusal, acceptor, meet, meet_by};
use crate::observed::{Told, silent};
use crate::pki::{Authority, Issued, executor, member};

/// An authority, the files of `executor1`, and the node that follows them.
fn node() -> (Authority, Files, Following) {
    let authority = Authority::new("root");
    let files = Files::of(&authority, &authority.executor());
    let node = follow(FileSource::new(files.paths.clone()), BRISK);
    (authority, files, node)
}

fn renamed(authority: &Authority) -> Issued {
    authority.issue(&member("executor", "executor2"))
}

const FIRST: &str = "spiffe://cluster.local/executor/executor1";
const RENAMED: &str = "spiffe://cluster.local/executor/executor2";

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_those_who_dial_and_to_those_who_are_dialled() {
    let (authority, files, mut node) = node();
    let peer = credentials(&authority, &authority.executor());
    // Made before the reload: nothing of the old snapshot sticks to them.
    let (accepting, dialling) = (node.acceptor(AcceptLimits::default()), node.dialer());
    files.replace_with(&authority.pem(), &renamed(&authority));
    assert_eq!(node.swapped().await, 2);
    assert_eq!(node.uri(), RENAMED);

    let (accepted, dialled) = meet(&accepting, &peer, "localhost", Role::Executor).await;
    assert_eq!(accepted.unwrap().peer().generation(), 2);
    assert_eq!(dialled.unwrap().peer().uri(), Some(RENAMED));
    let (accepted, dialled) = meet_by(&acceptor(&peer), &dialling, Role::Executor).await;
    assert_eq!(accepted.unwrap().peer().uri(), Some(RENAMED));
    assert_eq!(dialled.unwrap().peer().generation(), 2);
}

#[tokio::test]
async fn new_roots_let_their_peers_in_and_roots_that_are_gone_let_nobody_in() {
    let (old, files, mut node) = node();
    let new = Authority::new("new root");
    let old_peer = credentials(&old, &old.executor());
    let both_roots = format!("{}{}", old.pem(), new.pem());
    // A peer that knows both and shows a certificate of the new one.
    let overlapping = new.executor();
    let overlapping = Files::write(
        &both_roots,
        &overlapping.chain_pem(),
        &overlapping.key_pem(),
    );
    let overlapping = cluster_tls::publish(overlapping.load().unwrap()).1;
    let accepting = node.acceptor(AcceptLimits::default());

    let (accepted, _) = meet(&accepting, &overlapping, "localhost", Role::Executor).await;
    let refusal = accept_refusal(accepted.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::UnknownIssuer);

    replace(&files.paths.ca, &both_roots);
    assert_eq!(node.swapped().await, 2);
    for peer in [&overlapping, &old_peer] {
        let (accepted, _) = meet(&accepting, peer, "localhost", Role::Executor).await;
        assert_eq!(accepted.unwrap().peer().generation(), 2);
    }

    files.replace_with(&new.pem(), &new.executor());
    while node.credentials.current().roots().len() > 1 {
        node.swapped().await;
    }
    let (accepted, _) = meet(&accepting, &overlapping, "localhost", Role::Executor).await;
    assert!(accepted.is_ok());
    let (accepted, _) = meet(&accepting, &old_peer, "localhost", Role::Executor).await;
    // The peer does not know our new root either, and says so before we can look at it.
    let refusal = accept_refusal(accepted.unwrap_err());
    assert_eq!(refusal.reason(), RefusalReason::PeerAlert);
}

#[tokio::test]
async fn a_rewrite_of_the_same_is_no_swap_and_a_trigger_answers_unchanged() {
    let (_, files, mut node) = node();
    let certificate = fs::read_to_string(&files.paths.certificate).unwrap();
    replace(&files.paths.certificate, &certificate);
    node.looks_again().await;
    silent(&mut node.observed.reloads);
    node.trigger.reload();
    assert_eq!(node.told().await, Told::Unchanged);
    assert_eq!(node.generation(), 1);
}

#[tokio::test]
async fn a_certificate_cut_in_the_middle_keeps_the_old_until_it_is_whole() {
    let (authority, files, mut node) = node();
    let issued = renamed(&authority);
    let whole = issued.chain_pem();
    replace(&files.paths.certificate, &whole[..whole.len() / 2]);
    let damaged = Told::Rejected(CredentialFile::Certificate, "bad_pem");
    assert_eq!(node.told().await, damaged);
    assert_eq!((node.generation(), node.uri().as_str()), (1, FIRST));
    let accepting = node.acceptor(AcceptLimits::default());
    let peer = credentials(&authority, &authority.executor());
    let (accepted, dialled) = meet(&accepting, &peer, "localhost", Role::Executor).await;
    assert!(accepted.is_ok() && dialled.is_ok());

    files.replace_with(&authority.pem(), &issued);
    assert_eq!(node.swapped().await, 2);
    assert_eq!(node.uri(), RENAMED);
}

#[tokio::test]
async fn a_certificate_with_the_key_of_another_node_keeps_the_old_and_is_told_once() {
    let (authority, files, mut node) = node();
    replace(&files.paths.certificate, &renamed(&authority).chain_pem());
    let mismatch = Told::Rejected(CredentialFile::Key, "key_mismatch");
    assert_eq!(node.told().await, mismatch);
    node.looks_again().await;
    silent(&mut node.observed.reloads);
    assert_eq!((node.generation(), node.uri().as_str()), (1, FIRST));
    // Whoever asks gets an answer all the same.
    node.trigger.reload();
    assert_eq!(node.told().await, mismatch);
}

#[tokio::test]
async fn a_file_that_is_gone_and_comes_back_changes_nothing() {
    let (_, files, mut node) = node();
    let away = files.paths.key.with_extension("away");
    fs::rename(&files.paths.key, &away).unwrap();
    let missing = Told::Rejected(CredentialFile::Key, "missing");
    assert_eq!(node.told().await, missing);
    node.looks_again().await;
    silent(&mut node.observed.reloads);
    fs::rename(&away, &files.paths.key).unwrap();
    assert_eq!(node.told().await, Told::Unchanged);
    node.looks_again().await;
    silent(&mut node.observed.reloads);
    assert_eq!(node.generation(), 1);
}

#[tokio::test]
async fn a_change_while_another_file_is_gone_is_told_and_not_swallowed() {
    let (authority, files, mut node) = node();
    let away = files.paths.key.with_extension("away");
    fs::rename(&files.paths.key, &away).unwrap();
    let missing = Told::Rejected(CredentialFile::Key, "missing");
    assert_eq!(node.told().await, missing);
    // The fault is the same and the files are not: somebody waits for the new roots to be used.
    let both = format!("{}{}", authority.pem(), Authority::new("second root").pem());
    replace(&files.paths.ca, &both);
    assert_eq!(node.told().await, missing);
    node.looks_again().await;
    silent(&mut node.observed.reloads);
    fs::rename(&away, &files.paths.key).unwrap();
    assert_eq!(node.told().await, Told::Swapped(2));
}

#[tokio::test]
async fn every_fault_is_told_once_as_it_comes() {
    let (authority, files, mut node) = node();
    let mut expired = executor();
    expired.not_after = date_time_ymd(2024, 2, 1);
    let elsewhere = Authority::new("elsewhere");
    let paths = files.paths.clone();
    let certificate = CredentialFile::Certificate;
    let faults = [
        (&paths.certificate, String::new(), (certificate, "empty")),
        (
            &paths.certificate,
            authority.issue(&expired).chain_pem(),
            (certificate, "expired"),
        ),
        (
            &paths.certificate,
            elsewhere.executor().chain_pem(),
            (certificate, "unknown_issuer"),
        ),
        (
            &paths.ca,
            "-----BEGIN".to_owned(),
            (CredentialFile::Ca, "bad_pem"),
        ),
    ];
    for (path, text, (file, code)) in faults {
        replace(path, &text);
        assert_eq!(node.told().await, Told::Rejected(file, code));
        node.looks_again().await;
        silent(&mut node.observed.reloads);
    }
    assert_eq!((node.generation(), node.uri().as_str()), (1, FIRST));
    files.replace_with(&authority.pem(), &renamed(&authority));
    assert_eq!(node.swapped().await, 2);
}

#[tokio::test]
async fn files_written_over_in_place_are_swapped_in_when_they_fit() {
    let (authority, files, mut node) = node();
    let issued = renamed(&authority);
    fs::write(&files.paths.certificate, issued.chain_pem()).unwrap();
    fs::write(&files.paths.key, issued.key_pem()).unwrap();
    assert_eq!(node.swapped().await, 2);
    assert_eq!(node.uri(), RENAMED);
}

#[tokio::test]
async fn a_key_that_everybody_may_read_keeps_the_old() {
    let (authority, files, mut node) = node();
    files.replace_with(&authority.pem(), &renamed(&authority));
    node.swapped().await;
    crate::loaded::set_mode(&files.paths.key, 0o644);
    let exposed = Told::Rejected(CredentialFile::Key, "exposed");
    assert_eq!(node.told().await, exposed);
    assert_eq!((node.generation(), node.uri().as_str()), (2, RENAMED));
}

#[cfg(unix)]
mod mounted {
    use super::*;
    use crate::mounted::Mounted;

    /// A mounted secret and the authority behind it.
    fn secret() -> (Authority, Mounted) {
        let authority = Authority::new("root");
        let mounted = Mounted::new(&authority.pem(), &authority.executor());
        (authority, mounted)
    }

    #[tokio::test]
    async fn a_mounted_secret_that_changes_in_one_step_is_noticed_by_polling() {
        let (authority, mut secret) = secret();
        let mut node = follow(secret.source(), BRISK);
        secret.publish(&authority.pem(), &renamed(&authority));
        // No fault in between: never was there a moment with half of it.
        assert_eq!(node.told().await, Told::Swapped(2));
        assert_eq!(node.uri(), RENAMED);
    }

    /// A poll would come in an hour, so that whatever is noticed here was told.
    #[cfg(feature = "notify")]
    const UNPOLLED: cluster_tls::ReloadTiming = cluster_tls::ReloadTiming {
        poll_interval: std::time::Duration::from_secs(3600),
        ..BRISK
    };

    #[cfg(feature = "notify")]
    #[tokio::test]
    async fn a_mounted_secret_is_noticed_by_notification_alone_again_and_again() {
        let (authority, mut secret) = secret();
        let watched = cluster_tls::WatchedFiles::new(secret.source());
        let mut node = follow(watched, UNPOLLED);
        for generation in 2..5 {
            secret.publish(&authority.pem(), &renamed(&authority));
            assert_eq!(node.told().await, Told::Swapped(generation));
        }
    }

    #[cfg(feature = "notify")]
    #[tokio::test]
    async fn files_that_are_replaced_or_written_over_are_noticed_by_notification_alone() {
        let authority = Authority::new("root");
        let files = Files::of(&authority, &authority.executor());
        let source = FileSource::new(files.paths.clone());
        let mut node = follow(cluster_tls::WatchedFiles::new(source), UNPOLLED);
        files.replace_with(&authority.pem(), &renamed(&authority));
        assert_eq!(node.swapped().await, 2);
        let issued = authority.executor();
        fs::write(&files.paths.certificate, issued.chain_pem()).unwrap();
        fs::write(&files.paths.key, issued.key_pem()).unwrap();
        assert_eq!(node.swapped().await, 3);
        assert_eq!(node.uri(), FIRST);
    }
}
