//! Credentials that do not come from files.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster_tls::{
    AcceptLimits, CredentialBytes, CredentialFile, CredentialSource, LoadError, PeerPolicy,
    ReloadTiming, Role, open,
};
use tokio::sync::watch;

use crate::following::{BRISK, follow};
use crate::loaded::{credentials, texts};
use crate::meeting::meet;
use crate::observed::{Told, silent};
use crate::pki::{Authority, Mid2024, member};

/// A poll would come in an hour, so that whatever is noticed under it was told.
const UNPOLLED: ReloadTiming = ReloadTiming {
    poll_interval: Duration::from_secs(3600),
    ..BRISK
};

/// What the credentials of `name` are made of.
fn bytes(authority: &Authority, name: &str) -> Arc<CredentialBytes> {
    let issued = authority.issue(&member("executor", name));
    Arc::new(texts(authority, &issued))
}

fn uri(name: &str) -> String {
    format!("spiffe://cluster.local/executor/{name}")
}

#[tokio::test]
async fn what_is_sent_over_a_channel_is_swapped_in_without_a_poll() {
    let authority = Authority::new("root");
    let (sender, receiver) = watch::channel(bytes(&authority, "executor1"));
    let mut node = follow(receiver, UNPOLLED);
    let accepting = node.acceptor(AcceptLimits::default());
    sender.send_replace(bytes(&authority, "executor2"));
    assert_eq!(node.told().await, Told::Swapped(2));

    let peer = credentials(&authority, &authority.executor());
    let (_, dialled) = meet(&accepting, &peer, "localhost", Role::Executor).await;
    assert_eq!(
        dialled.unwrap().peer().uri(),
        Some(uri("executor2").as_str())
    );
}

#[tokio::test]
async fn what_is_sent_and_does_not_fit_is_told_and_changes_nothing() {
    let authority = Authority::new("root");
    let (sender, receiver) = watch::channel(bytes(&authority, "executor1"));
    let mut node = follow(receiver, UNPOLLED);
    let (issued, other) = (authority.executor(), authority.executor());
    let mixed = CredentialBytes::new(authority.pem(), issued.chain_pem(), other.key_pem());
    sender.send_replace(Arc::new(mixed));
    let mismatch = Told::Rejected(CredentialFile::Key, "key_mismatch");
    assert_eq!(node.told().await, mismatch);
    assert_eq!((node.generation(), node.uri()), (1, uri("executor1")));
}

#[tokio::test]
async fn a_channel_whose_sender_is_gone_keeps_its_last_word() {
    let authority = Authority::new("root");
    let (sender, receiver) = watch::channel(bytes(&authority, "executor1"));
    let mut node = follow(receiver, BRISK);
    drop(sender);
    // Were the closed channel taken for news, this would be told once for each look.
    node.looks_again().await;
    silent(&mut node.observed.reloads);
    node.trigger.reload();
    assert_eq!(node.told().await, Told::Unchanged);
    assert_eq!(node.uri(), uri("executor1"));
}

#[tokio::test]
async fn constant_credentials_stay_what_they_are() {
    let authority = Authority::new("root");
    let mut node = follow(bytes(&authority, "executor1"), BRISK);
    node.looks_again().await;
    silent(&mut node.observed.reloads);
    node.trigger.reload();
    assert_eq!(node.told().await, Told::Unchanged);
    assert_eq!(node.generation(), 1);
}

/// A store that answers for as long as it is up.
struct Store {
    up: Arc<AtomicBool>,
    holds: watch::Receiver<Arc<CredentialBytes>>,
}

impl CredentialSource for Store {
    fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        if self.up.load(Ordering::SeqCst) {
            return Ok(Arc::clone(&self.holds.borrow()));
        }
        let error = io::Error::new(io::ErrorKind::ConnectionRefused, "the store is down");
        Err(LoadError::unavailable(error))
    }
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_is_told_of_once_and_believed_again() {
    let authority = Authority::new("root");
    let up = Arc::new(AtomicBool::new(true));
    let (sender, holds) = watch::channel(bytes(&authority, "executor1"));
    let source = Store {
        up: Arc::clone(&up),
        holds,
    };
    let mut node = follow(source, BRISK);
    up.store(false, Ordering::SeqCst);
    let told = node.told().await;
    assert!(matches!(told, Told::Rejected(_, "unavailable")), "{told:?}");
    node.looks_again().await;
    silent(&mut node.observed.reloads);
    assert_eq!(node.generation(), 1);

    sender.send_replace(bytes(&authority, "executor2"));
    up.store(true, Ordering::SeqCst);
    assert_eq!(node.told().await, Told::Swapped(2));
    assert_eq!(node.uri(), uri("executor2"));
}

#[test]
fn a_store_that_fails_at_the_start_is_an_error_with_its_cause() {
    let authority = Authority::new("root");
    let (_sender, holds) = watch::channel(bytes(&authority, "executor1"));
    let source = Store {
        up: Arc::default(),
        holds,
    };
    let opened = open(source, Arc::new(Mid2024), PeerPolicy::default());
    let error = opened.unwrap_err();
    assert_eq!(error.fault().code(), "unavailable");
    assert!(error.to_string().contains("the store is down"), "{error}");
}
