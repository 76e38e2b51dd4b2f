//! Dialling step by step, with a report of what was found.

mod admission;
mod report;
mod witness;

use std::net::SocketAddr;
use std::time::Duration;

use rustls::CommonState;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use self::report::Report;
use self::witness::Witness;
use crate::address::NodeAddress;
use crate::dial::DialLimits;
use crate::load::LoadError;
use crate::refusal::{Refusal, RefusalReason};
use crate::role::Role;
use crate::snapshot::Snapshot;
use crate::timestamp::Timestamp;

pub use self::report::{Diagnosis, Stage, Step, StepOutcome};

/// Dials the node at `to` as [`Dialer`](crate::Dialer) does, and reports every step on the way:
/// our own credentials, the name, the TCP connection, the handshake, the peer's chain, name, role
/// and dates, and whether the peer admits us.
///
/// `own` is what [`load`](crate::load) gave, a fault included: that is the first step. Without an
/// `expected` role every role will do, and the report names it. Nothing is
/// sent to a peer that is not the expected one, and it is asked for nothing.
///
/// # Cancel safety
///
/// Dropping the future closes the connection; what was found until then is lost.
///
/// # Examples
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn check() -> Result<(), Box<dyn std::error::Error>> {
/// use cluster_tls::{
///     CredentialPaths, DialLimits, PeerPolicy, Role, SystemClock, diagnose, load,
/// };
///
/// let paths = CredentialPaths {
///     ca: "ca.pem".into(),
///     certificate: "executor1.pem".into(),
///     key: "executor1-key.pem".into(),
/// };
/// let own = load(&paths, Arc::new(SystemClock), PeerPolicy::default());
/// let scheduler = "scheduler1.cluster.local:50052".parse()?;
/// let diagnosis = diagnose(own, &scheduler, Role::Scheduler, DialLimits::default()).await;
/// for step in diagnosis.steps() {
///     println!("{}: {} {}", step.stage(), step.outcome(), step.detail());
/// }
/// assert!(diagnosis.is_healthy());
/// # Ok(())
/// # }
/// ```
pub async fn diagnose(
    own: Result<Snapshot, LoadError>,
    to: &NodeAddress,
    expected: impl Into<Option<Role>>,
    limits: DialLimits,
) -> Diagnosis {
    let dial = Dial {
        to,
        expected: expected.into(),
        limits,
    };
    let mut report = Report::new(to.clone());
    // A step that fails has been entered, and ends the way.
    let _ = walk(&mut report, own, dial).await;
    report.finish()
}

/// Whom to dial, and how long that may take.
#[derive(Clone, Copy)]
struct Dial<'a> {
    to: &'a NodeAddress,
    expected: Option<Role>,
    limits: DialLimits,
}

/// The way has ended: the report says where.
struct Ended;

async fn walk(
    report: &mut Report,
    own: Result<Snapshot, LoadError>,
    dial: Dial<'_>,
) -> Result<(), Ended> {
    let own = credentials(report, own)?;
    let addresses = resolve(report, dial).await?;
    let tcp = connect(report, &addresses, dial.limits).await?;
    let (stream, witness) = shake_hands(report, &own, tcp, dial).await?;
    report.pass(Stage::Handshake, witness::agreed(stream.get_ref().1));
    witness.report(report, &own, dial)?;
    match admission::ask(stream, dial.limits.handshake_timeout).await {
        Ok(detail) => {
            report.pass(Stage::Admission, detail);
            Ok(())
        }
        Err(refusal) => Err(report.fail(Stage::Admission, &refusal, admission::remedy(&refusal))),
    }
}

fn credentials(report: &mut Report, own: Result<Snapshot, LoadError>) -> Result<Snapshot, Ended> {
    let own = own.map_err(|error| {
        let remedy = error.remedy();
        report.enter(
            Stage::Credentials,
            StepOutcome::Failed,
            error.description(),
            Some(remedy),
        );
        Ended
    })?;
    let (now, identity) = (own.verifier().now(), own.own());
    let left = identity.not_after().duration_since(now).unwrap_or_default();
    if left < EXPIRES_SOON {
        let detail = format!("{identity}; it ends within a day");
        let remedy = Some("renew it now");
        report.enter(Stage::Credentials, StepOutcome::Warned, detail, remedy);
    } else {
        report.pass(Stage::Credentials, identity.to_string());
    }
    Ok(own)
}

async fn resolve(report: &mut Report, dial: Dial<'_>) -> Result<Vec<SocketAddr>, Ended> {
    let Dial { to, limits, .. } = dial;
    let looked_up = timeout(limits.connect_timeout, lookup_host((to.host(), to.port()))).await;
    let addresses: Vec<_> = match looked_up {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            let refusal = Refusal::new(RefusalReason::Io, error.to_string());
            return Err(report.fail(Stage::Resolve, &refusal, Some(CHECK_THE_NAME)));
        }
        Err(_) => {
            let detail = format!("no answer within {:?}", limits.connect_timeout);
            let refusal = Refusal::new(RefusalReason::Timeout, detail);
            return Err(report.fail(Stage::Resolve, &refusal, Some(CHECK_THE_NAME)));
        }
    };
    let texts: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    report.pass(Stage::Resolve, texts.join(", "));
    Ok(addresses)
}

async fn connect(
    report: &mut Report,
    addresses: &[SocketAddr],
    limits: DialLimits,
) -> Result<TcpStream, Ended> {
    let connected = timeout(limits.connect_timeout, TcpStream::connect(addresses)).await;
    let failure = match connected {
        Ok(Ok(tcp)) => {
            let remote = tcp.peer_addr().map(|remote| remote.to_string());
            report.pass(Stage::Connect, remote.unwrap_or_default());
            return Ok(tcp);
        }
        Ok(Err(error)) => Refusal::new(RefusalReason::Io, error.to_string()),
        Err(_) => {
            let detail = format!("no answer within {:?}", limits.connect_timeout);
            Refusal::new(RefusalReason::Timeout, detail)
        }
    };
    let remedy = "see whether the node runs, listens on that port, and no firewall is between";
    Err(report.fail(Stage::Connect, &failure, Some(remedy)))
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// The witness sees what the peer shows also where that ends the handshake.
async fn shake_hands(
    report: &mut Report,
    own: &Snapshot,
    tcp: TcpStream,
    dial: Dial<'_>,
) -> Result<(Stream, Witness), Ended> {
    let limits = dial.limits;
    let (witness, config) = Witness::new(own, dial.expected);
    let prepared = config.and_then(|config| {
        let name = dial.to.name().to_server_name();
        name.map(|name| (config, name))
            .map_err(|error| Refusal::new(RefusalReason::WrongName, error.to_string()))
    });
    let (config, name) =
        prepared.map_err(|refusal| report.fail(Stage::Handshake, &refusal, None))?;
    let connecting = TlsConnector::from(config).connect(name, tcp);
    let refusal = match timeout(limits.handshake_timeout, connecting).await {
        Ok(Ok(stream)) => match must_speak(stream.get_ref().1, own) {
            Ok(()) if !witness.verdict().was_asked() => Refusal::not_mutual(),
            Ok(()) => return Ok((stream, witness)),
            Err(refusal) => refusal,
        },
        Ok(Err(error)) => {
            if let Some(Err(_)) = witness.verdict().take() {
                // The peer's certificate is what ended it: the steps about it say which part.
                report.pass(
                    Stage::Handshake,
                    "the peer showed its certificate".to_owned(),
                );
                witness.report(report, own, dial)?;
            }
            // Whoever fails after a good certificate has not proven that it is theirs.
            Refusal::from_handshake(&error)
        }
        Err(_) => {
            let limit = limits.handshake_timeout;
            let detail = format!("the peer did not end the handshake within {limit:?}");
            Refusal::new(RefusalReason::Timeout, detail)
        }
    };
    Err(report.fail(
        Stage::Handshake,
        &refusal,
        handshake_remedy(refusal.reason()),
    ))
}

/// rustls lets a server pass that agrees to no protocol at all, and diallers do not.
fn must_speak(connection: &CommonState, own: &Snapshot) -> Result<(), Refusal> {
    let wanted = own.protocol().as_str();
    if connection.alpn_protocol() == Some(wanted.as_bytes()) {
        return Ok(());
    }
    let detail = format!("the peer did not negotiate {wanted}");
    Err(Refusal::new(RefusalReason::Alpn, detail))
}

fn handshake_remedy(reason: RefusalReason) -> Option<&'static str> {
    match reason {
        RefusalReason::Plaintext => Some("see whether that port is the node's internal one"),
        RefusalReason::ProtocolVersion | RefusalReason::Incompatible => {
            Some("see what listens there: nodes speak TLS 1.3")
        }
        RefusalReason::NotMutual => {
            Some("see what listens there: a node asks for certificates, a proxy may not")
        }
        RefusalReason::Alpn => Some("see what listens there: it speaks another protocol"),
        RefusalReason::Timeout => Some("see whether the node is overloaded, and its log"),
        RefusalReason::BadSignature => {
            Some("see what listens there: its key is not that of the certificate it shows")
        }
        RefusalReason::Closed | RefusalReason::PeerAlert => Some(LOOK_THERE),
        _ => None,
    }
}

fn ends(at: std::time::SystemTime) -> String {
    format!("valid until {}", Timestamp(at))
}

const CHECK_THE_NAME: &str = "check the name, and whether this machine resolves it";

const LOOK_THERE: &str = "the peer's log says why, under the reason of the refused connection";

/// Less than this is left on a certificate that somebody should look after today.
const EXPIRES_SOON: Duration = Duration::from_secs(86_400);
