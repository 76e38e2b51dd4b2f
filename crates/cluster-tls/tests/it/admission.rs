//! A diagnosis says why a node does not admit us, where only its alert tells.

use std::sync::Arc;
use std::time::Duration;

use cluster_tls::{
    Clock, CredentialBytes, Diagnosis, PeerPolicy, RefusalReason, Snapshot, Stage, UnspecifiedRole,
    load_from, publish,
};
use rcgen::date_time_ymd;

use crate::diagnose::{assert_fails, diagnosis_of};
use crate::loaded::{load_texts, snapshot, texts};
use crate::pki::{Authority, ManualClock, Mid2024, dns, member, nameless, numbered};
use crate::port::serving;

/// The diagnosis of a node under `policy` and `clock` that has what `texts` say.
async fn diagnosis_of_strict(
    own: Snapshot,
    texts: CredentialBytes,
    clock: Arc<dyn Clock>,
    policy: PeerPolicy,
) -> Diagnosis {
    let loaded = load_from(&mut Arc::new(texts), clock, policy);
    let node = serving(publish(loaded.unwrap()).1).await;
    diagnosis_of(own, node.address).await
}

#[tokio::test]
async fn a_node_that_does_not_know_our_authority_does_not_admit_us() {
    let (ours, theirs) = (Authority::new("our root"), Authority::new("their root"));
    let issued = ours.issue(&member("scheduler", "s1"));
    let bundle = ours.pem() + &theirs.pem();
    let own = CredentialBytes::new(bundle, issued.chain_pem(), issued.key_pem());
    let node = texts(&theirs, &theirs.executor());
    let policy = PeerPolicy::default();
    let own = load_texts(own).unwrap();
    let diagnosis = diagnosis_of_strict(own, node, Arc::new(Mid2024), policy).await;
    let (stage, reason) = (Stage::Admission, RefusalReason::PeerAlert);
    assert_fails(&diagnosis, stage, reason, "does not trust our issuer");
}

#[tokio::test]
async fn a_node_that_has_revoked_us_does_not_admit_us() {
    let authority = Authority::new("root");
    let own = snapshot(&authority, &authority.issue(&numbered("executor7", 0x5f3a)));
    let node = texts(&authority, &authority.executor()).with_deny_list("5f3a");
    let policy = PeerPolicy::default();
    let diagnosis = diagnosis_of_strict(own, node, Arc::new(Mid2024), policy).await;
    let (stage, reason) = (Stage::Admission, RefusalReason::PeerAlert);
    assert_fails(&diagnosis, stage, reason, "revoked there");
}

#[tokio::test]
async fn a_node_that_asks_for_a_role_does_not_admit_us_without_one() {
    let authority = Authority::new("root");
    let mut roleless = nameless();
    roleless.subject_alt_names = vec![dns("localhost")];
    let own = snapshot(&authority, &authority.issue(&roleless));
    let node = texts(&authority, &authority.executor());
    let policy = PeerPolicy {
        unspecified_role: UnspecifiedRole::Refuse,
        ..PeerPolicy::default()
    };
    let diagnosis = diagnosis_of_strict(own, node, Arc::new(Mid2024), policy).await;
    let (stage, reason) = (Stage::Admission, RefusalReason::PeerAlert);
    assert_fails(
        &diagnosis,
        stage,
        reason,
        "a role that our certificate lacks",
    );
}

#[tokio::test]
async fn a_node_whose_clock_is_past_our_dates_does_not_admit_us() {
    let authority = Authority::new("root");
    let mut brief = member("scheduler", "s1");
    brief.not_after = date_time_ymd(2024, 7, 1);
    let own = snapshot(&authority, &authority.issue(&brief));
    let clock = ManualClock::mid_2024();
    clock.jump_to(Mid2024.now() + 60 * DAY);
    let node = texts(&authority, &authority.executor());
    let policy = PeerPolicy::default();
    let diagnosis = diagnosis_of_strict(own, node, Arc::new(clock), policy).await;
    let (stage, reason) = (Stage::Admission, RefusalReason::PeerAlert);
    assert_fails(&diagnosis, stage, reason, "compare the clocks");
}

const DAY: Duration = Duration::from_secs(86_400);
