//! A diagnosis says at which step it ends and what to do about it.

use std::cmp::Ordering;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use cluster_tls::{
    Diagnosis, DialLimits, LoadError, NodeAddress, RefusalReason, RefusedBy, Role, Snapshot, Stage,
    Step, StepOutcome, diagnose,
};
use rcgen::{CertificateParams, date_time_ymd};

use crate::loaded::{Files, credentials, snapshot};
use crate::meeting::{listen, local, saying};
use crate::pki::{Authority, Issued, dns, executor, member};
use crate::port::{listening, serving, serving_raw};
use crate::raw;

const LIMITS: DialLimits = DialLimits {
    connect_timeout: Duration::from_secs(10),
    handshake_timeout: Duration::from_secs(10),
};

/// A node's diagnosis of the executor at `localhost`.
pub(crate) async fn diagnosis_of(own: Snapshot, address: SocketAddr) -> Diagnosis {
    diagnose(
        Ok(own),
        &local("localhost", address),
        Role::Executor,
        LIMITS,
    )
    .await
}

/// The failed step. Whatever came before it has passed and whatever comes after was skipped.
fn failure(diagnosis: &Diagnosis) -> &Step {
    let stages: Vec<_> = diagnosis.steps().iter().map(Step::stage).collect();
    assert_eq!(stages, STAGES);
    let failed = diagnosis.failure().unwrap();
    assert!(!diagnosis.is_healthy());
    for step in diagnosis.steps() {
        let expected = match step.stage().cmp(&failed.stage()) {
            Ordering::Less => StepOutcome::Passed,
            Ordering::Equal => StepOutcome::Failed,
            Ordering::Greater => StepOutcome::Skipped,
        };
        assert_eq!(step.outcome(), expected, "{diagnosis:?}");
    }
    // A peer has proven itself only where the handshake and all that is about its certificate
    // has passed.
    let proven = failed.stage() > Stage::Expiry;
    assert_eq!(diagnosis.peer().is_some(), proven, "{diagnosis:?}");
    failed
}

const STAGES: [Stage; 9] = [
    Stage::Credentials,
    Stage::Resolve,
    Stage::Connect,
    Stage::Handshake,
    Stage::Chain,
    Stage::Name,
    Stage::Role,
    Stage::Expiry,
    Stage::Admission,
];

/// That the diagnosis fails at `stage` for `reason`, with a remedy that has `remedy` in it.
pub(crate) fn assert_fails(
    diagnosis: &Diagnosis,
    stage: Stage,
    reason: RefusalReason,
    remedy: &str,
) {
    let step = failure(diagnosis);
    assert_eq!(step.stage(), stage, "{step:?}");
    assert_eq!(step.reason(), Some(reason), "{step:?}");
    assert!(step.remedy().unwrap().contains(remedy), "{step:?}");
    let by = match (stage, reason) {
        (Stage::Admission, _) => Some(RefusedBy::Peer),
        (Stage::Chain | Stage::Name | Stage::Role, _) => Some(RefusedBy::Us),
        (_, RefusalReason::ProtocolVersion) => Some(RefusedBy::Us),
        // Either side may find that there is no common protocol: see the test of it.
        (_, RefusalReason::Alpn) => step.refused_by(),
        _ => None,
    };
    assert_eq!(step.refused_by(), by, "{step:?}");
}

/// A cluster's authority, and a node that diagnoses.
fn cluster() -> (Authority, Snapshot) {
    let authority = Authority::new("root");
    let own = snapshot(&authority, &authority.issue(&member("scheduler", "s1")));
    (authority, own)
}

#[tokio::test]
async fn a_healthy_node_passes_every_step_and_is_known() {
    let (authority, own) = cluster();
    let node = serving(credentials(&authority, &authority.executor())).await;
    let diagnosis = diagnosis_of(own, node.address).await;
    assert!(diagnosis.is_healthy());
    assert!(diagnosis.failure().is_none());
    let stages: Vec<_> = diagnosis.steps().iter().map(Step::stage).collect();
    assert_eq!(stages, STAGES);
    for step in diagnosis.steps() {
        assert_eq!(step.outcome(), StepOutcome::Passed, "{step:?}");
        assert_eq!((step.reason(), step.remedy()), (None, None), "{step:?}");
    }
    let handshake = diagnosis.steps()[3].detail();
    assert!(handshake.contains("TLSv1_3, X25519MLKEM768"), "{handshake}");
    let peer = diagnosis.peer().unwrap();
    assert_eq!(
        peer.uri(),
        Some("spiffe://cluster.local/executor/executor1")
    );
}

#[tokio::test]
async fn a_fault_in_our_own_files_is_the_first_step() {
    let authority = Authority::new("root");
    let files = Files::of(&authority, &authority.executor());
    fs::remove_file(&files.paths.key).unwrap();
    let own: Result<Snapshot, LoadError> = files.load();
    let remedy = own.as_ref().unwrap_err().remedy();
    let to: NodeAddress = "localhost:1".parse().unwrap();
    let diagnosis = diagnose(own, &to, Role::Executor, LIMITS).await;
    let step = failure(&diagnosis);
    assert_eq!((step.stage(), step.reason()), (Stage::Credentials, None));
    assert_eq!(step.remedy(), Some(remedy));
    assert!(step.detail().contains("node-key.pem"), "{step:?}");
}

#[tokio::test]
async fn a_certificate_in_its_last_hours_is_a_warning_on_either_side() {
    let authority = Authority::new("root");
    let mut ending = executor();
    // The clock of the tests stands at midnight of the first of June.
    ending.not_after = date_time_ymd(2024, 6, 1) + Duration::from_secs(3600);
    let ending = authority.issue(&ending);
    let node = serving(credentials(&authority, &ending)).await;
    let diagnosis = diagnosis_of(snapshot(&authority, &ending), node.address).await;
    assert!(diagnosis.is_healthy(), "{diagnosis:?}");
    for step in diagnosis.steps() {
        let warned = matches!(step.stage(), Stage::Credentials | Stage::Expiry);
        assert_eq!(step.outcome() == StepOutcome::Warned, warned, "{step:?}");
        assert_eq!(step.remedy().is_some(), warned, "{step:?}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_ends_it() {
    let (_, own) = cluster();
    let to: NodeAddress = "nowhere.invalid:1".parse().unwrap();
    let diagnosis = diagnose(Ok(own), &to, Role::Executor, LIMITS).await;
    let step = failure(&diagnosis);
    assert_eq!(step.stage(), Stage::Resolve, "{step:?}");
    assert!(
        step.remedy().unwrap().contains("check the name"),
        "{step:?}"
    );
}

#[tokio::test]
async fn a_port_where_nobody_listens_ends_it() {
    let (_, own) = cluster();
    let (listener, address) = listen().await;
    drop(listener);
    let diagnosis = diagnosis_of(own, address).await;
    let remedy = "whether the node runs";
    assert_fails(&diagnosis, Stage::Connect, RefusalReason::Io, remedy);
}

#[tokio::test]
async fn a_port_that_speaks_plaintext_ends_it() {
    let (_, own) = cluster();
    let node = listening(|tcp| saying(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())(tcp)).await;
    let diagnosis = diagnosis_of(own, node.address).await;
    let (stage, reason) = (Stage::Handshake, RefusalReason::Plaintext);
    assert_fails(&diagnosis, stage, reason, "internal one");
}

#[tokio::test]
async fn a_server_that_is_older_than_tls_1_3_ends_it() {
    let (_, own) = cluster();
    let node = listening(|tcp| saying(raw::tls12_server_hello())(tcp)).await;
    let diagnosis = diagnosis_of(own, node.address).await;
    let (stage, reason) = (Stage::Handshake, RefusalReason::ProtocolVersion);
    assert_fails(&diagnosis, stage, reason, "TLS 1.3");
}

#[tokio::test]
async fn a_server_of_another_protocol_ends_it_whether_it_names_one_or_none() {
    let other = vec![b"http/1.1".to_vec()];
    for (protocols, by) in [(vec![], RefusedBy::Us), (other, RefusedBy::Peer)] {
        let (authority, own) = cluster();
        let mut server = raw::server(&authority.executor());
        server.alpn_protocols = protocols;
        let node = serving_raw(server).await;
        let diagnosis = diagnosis_of(own, node.address).await;
        let (stage, reason) = (Stage::Handshake, RefusalReason::Alpn);
        assert_fails(&diagnosis, stage, reason, "another protocol");
        assert_eq!(failure(&diagnosis).refused_by(), Some(by));
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_ends_it_in_time() {
    let (_, own) = cluster();
    let (_listener, address) = listen().await;
    let limits = DialLimits {
        handshake_timeout: Duration::from_millis(100),
        ..LIMITS
    };
    let to = local("localhost", address);
    let diagnosis = diagnose(Ok(own), &to, Role::Executor, limits).await;
    let (stage, reason) = (Stage::Handshake, RefusalReason::Timeout);
    assert_fails(&diagnosis, stage, reason, "overloaded");
}

#[tokio::test]
async fn a_peer_that_only_shows_a_certificate_of_another_has_proven_nothing() {
    let (authority, own) = cluster();
    let stolen = Issued {
        chain: authority.executor().chain,
        key: authority.executor().key,
    };
    let node = serving_raw(raw::server(&stolen)).await;
    let diagnosis = diagnosis_of(own, node.address).await;
    let step = failure(&diagnosis);
    assert_eq!(step.stage(), Stage::Handshake);
    assert_eq!(step.reason(), Some(RefusalReason::BadSignature));
}

#[tokio::test]
async fn a_peer_of_another_authority_fails_at_its_chain() {
    for (subject, reason) in [
        ("another root", RefusalReason::UnknownIssuer),
        ("root", RefusalReason::BadSignature),
    ] {
        let (_, own) = cluster();
        let node = serving_raw(raw::server(&Authority::new(subject).executor())).await;
        let diagnosis = diagnosis_of(own, node.address).await;
        assert_fails(&diagnosis, Stage::Chain, reason, "share a root");
    }
}

/// The diagnosis of a server whose certificate has `params`.
async fn diagnosis_of_server(params: &CertificateParams) -> Diagnosis {
    let (authority, own) = cluster();
    let node = serving_raw(raw::server(&authority.issue(params))).await;
    diagnosis_of(own, node.address).await
}

#[tokio::test]
async fn a_peer_outside_its_dates_fails_at_its_chain() {
    let mut expired = executor();
    expired.not_after = date_time_ymd(2024, 2, 1);
    let mut early = executor();
    early.not_before = date_time_ymd(2024, 12, 1);
    for (params, reason) in [
        (expired, RefusalReason::Expired),
        (early, RefusalReason::NotYetValid),
    ] {
        let diagnosis = diagnosis_of_server(&params).await;
        assert_fails(&diagnosis, Stage::Chain, reason, "clocks right");
    }
}

#[tokio::test]
async fn a_peer_under_another_name_fails_at_its_name() {
    let mut params = executor();
    params.subject_alt_names = vec![dns("elsewhere.cluster.local")];
    let diagnosis = diagnosis_of_server(&params).await;
    let (stage, reason) = (Stage::Name, RefusalReason::WrongName);
    assert_fails(&diagnosis, stage, reason, "dial one of these names");
    let detail = failure(&diagnosis).detail();
    assert!(detail.contains("elsewhere.cluster.local"), "{detail}");
}

#[tokio::test]
async fn a_peer_in_another_role_fails_at_its_role() {
    let diagnosis = diagnosis_of_server(&member("scheduler", "s1")).await;
    let (stage, reason) = (Stage::Role, RefusalReason::WrongRole);
    assert_fails(&diagnosis, stage, reason, "right node");
}

#[tokio::test]
async fn a_peer_that_is_not_the_one_dialled_never_sees_our_certificate() {
    let (authority, _) = cluster();
    let mut renamed = executor();
    renamed.subject_alt_names = vec![dns("elsewhere.cluster.local")];
    let stranger = Authority::new("another root").executor();
    for (issued, seen) in [
        (stranger, 0),
        (authority.issue(&renamed), 0),
        (authority.issue(&member("scheduler", "s2")), 0),
        // The control: this server asks, and one that passes is answered.
        (authority.executor(), 1),
    ] {
        let (server, shown) = raw::server_asking(&issued);
        let node = serving_raw(server).await;
        let own = snapshot(&authority, &authority.issue(&member("scheduler", "s1")));
        let limits = DialLimits {
            // The control waits for an answer to its first words, which that server never gives.
            handshake_timeout: Duration::from_secs(1),
            ..LIMITS
        };
        let to = local("localhost", node.address);
        let diagnosis = diagnose(Ok(own), &to, Role::Executor, limits).await;
        assert!(!diagnosis.is_healthy());
        assert_eq!(shown.all().len(), seen, "{diagnosis:?}");
    }
}
