//! Who was given which secret, and who was denied what: lines that never hold a value.
//!
//! Where a file or standard output is asked for, a secret is given only once its line is written.

mod file;
mod lock;
mod named;
mod writer;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cluster_scheduler::{NotKept, SecretAnswer};
use cluster_tls::PeerIdentity;
use cluster_tls::tonic::{Decision, Denied};
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use tokio::time::timeout;
use tracing_subscriber::fmt::format::Writer as Text;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

pub(crate) use self::writer::Sink;
use self::writer::Writer;

/// Where audit events go, as the command line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuditTarget {
    /// The log, at the target `audit`. Denied calls are in it already, a line a minute each.
    Log,
    /// Lines of JSON on standard output.
    Stdout,
    /// Lines of JSON at the end of a file.
    File(PathBuf),
}

impl AuditTarget {
    /// From the value of `--audit-log`.
    pub(crate) fn from_flag(path: Option<PathBuf>) -> AuditTarget {
        match path {
            None => AuditTarget::Log,
            Some(path) if path.as_os_str() == "-" => AuditTarget::Stdout,
            Some(path) => AuditTarget::File(path),
        }
    }
}

/// Takes audit events. What could not be written is counted.
pub(crate) struct AuditLog {
    writer: Option<Writer>,
}

impl AuditLog {
    /// Events go to `sink`, or to the log where there is none.
    pub(crate) fn start(sink: Option<Sink>, lost: Counter) -> AuditLog {
        AuditLog {
            writer: sink.map(|sink| Writer::start(sink, lost)),
        }
    }

    /// A scheduler answered a request for a secret with something else than the secret.
    pub(crate) fn secret_refused(&self, answer: &SecretAnswer<'_>, suppressed: u64) {
        match &self.writer {
            Some(writer) => writer.write(Line::of_secret(answer, suppressed).to_text()),
            None => log(answer, suppressed),
        }
    }

    /// A scheduler is about to give a secret, and does so once this is written.
    pub(crate) fn secret_given(
        &self,
        answer: &SecretAnswer<'_>,
    ) -> impl Future<Output = Result<(), NotKept>> + use<> {
        let kept = match &self.writer {
            Some(writer) => Some(writer.keep(Line::of_secret(answer, 0).to_text())),
            None => {
                log(answer, 0);
                None
            }
        };
        async move {
            match kept {
                Some(kept) => match timeout(KEEP_LIMIT, kept).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) | Err(_) => Err(NotKept),
                },
                None => Ok(()),
            }
        }
    }

    /// A call was denied, at either of a node's internal services.
    pub(crate) fn denied(&self, decision: &Decision<'_>, denied: Denied, suppressed: u64) {
        if let Some(writer) = &self.writer {
            let who = (decision.peer, decision.remote);
            let line = Line {
                reason: Some(denied.as_str()),
                suppressed,
                ..Line::of(decision.method, "denied", who)
            };
            writer.write(line.to_text());
        }
    }

    /// Opens the file anew, so that the one which was moved away is no longer written to.
    pub(crate) fn reopen(&self) {
        if let Some(writer) = &self.writer {
            writer.reopen();
        }
    }

    /// Waits, for a bounded time, until what was taken is written.
    pub(crate) async fn finish(&self) {
        if let Some(writer) = &self.writer {
            writer.finish().await;
        }
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").finish_non_exhaustive()
    }
}

/// One event. Fields that an event does not have are left out.
#[derive(Serialize)]
struct Line<'a> {
    /// RFC 3339, in UTC.
    time: String,
    method: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    role: &'a str,
    /// What the peer's certificate says.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// SHA-256 of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// How many events of this peer were left out before this one.
    #[serde(skip_serializing_if = "is_zero")]
    suppressed: u64,
}

impl<'a> Line<'a> {
    fn of_secret(answer: &SecretAnswer<'a>, suppressed: u64) -> Line<'a> {
        let (outcome, who) = (answer.outcome.as_str(), (answer.peer, answer.remote));
        Line {
            store: Some(answer.store),
            key: Some(answer.key),
            executor: Some(answer.executor.to_string()),
            request_id: Some(answer.request_id),
            suppressed,
            ..Line::of(EXPAND_SECRET, outcome, who)
        }
    }

    fn of(
        method: &'a str,
        outcome: &'a str,
        (peer, remote): (Option<&'a PeerIdentity>, Option<SocketAddr>),
    ) -> Line<'a> {
        Line {
            time: now(),
            method,
            outcome,
            reason: None,
            role: peer.map_or("none", |peer| peer.role().as_str()),
            peer: peer.map(ToString::to_string),
            fingerprint: peer.map(PeerIdentity::fingerprint),
            remote,
            executor: None,
            store: None,
            key: None,
            request_id: None,
            suppressed: 0,
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "text under fixed keys always serializes"
    )]
    fn to_text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("plain data serializes");
        text.push('\n');
        text
    }
}

fn log(answer: &SecretAnswer<'_>, suppressed: u64) {
    tracing::info!(
        target: "audit",
        outcome = answer.outcome.as_str(),
        store = answer.store,
        key = answer.key,
        executor = %answer.executor,
        peer = answer.peer.map(ToString::to_string),
        fingerprint = answer.peer.map(PeerIdentity::fingerprint),
        remote = answer.remote.map(tracing::field::display),
        request_id = answer.request_id,
        suppressed = (suppressed > 0).then_some(suppressed),
        "secret asked for"
    );
}

/// The time as the log writes it.
fn now() -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = SystemTime.format_time(&mut Text::new(&mut text));
    text
}

/// As serde asks, by reference.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A disk that takes longer for a line is as good as full; whoever asked asks again.
const KEEP_LIMIT: Duration = Duration::from_secs(2);

const EXPAND_SECRET: &str = "/spice.protobuf.ClusterService/ExpandSecret";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_with_a_time_and_without_what_is_not_known() {
        let line = Line {
            key: Some("a\n\"b\""),
            ..Line::of("/s/M", "denied", (None, None))
        };
        let text = line.to_text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["key"], "a\n\"b\"");
        assert_eq!(object["role"], "none");
        assert!(object.get("peer").is_none() && object.get("store").is_none());
        assert!(object.get("suppressed").is_none());
        let time = object["time"].as_str().unwrap();
        assert_eq!(
            (&time[4..5], &time[10..11], &time[time.len() - 1..]),
            ("-", "T", "Z")
        );
    }

    #[test]
    fn the_flag_names_a_file_standard_output_or_nothing() {
        assert_eq!(AuditTarget::from_flag(None), AuditTarget::Log);
        assert_eq!(
            AuditTarget::from_flag(Some("-".into())),
            AuditTarget::Stdout
        );
        let file = AuditTarget::from_flag(Some("audit.jsonl".into()));
        assert_eq!(file, AuditTarget::File("audit.jsonl".into()));
    }
}
