//! An executor's key in the wrong hands: what it sends as metrics stays its own.

use anyhow::{Context, Result, ensure};
use cluster_proto::pb;
use cluster_test::{Leaf, Listener, LogLine, Node};
use cluster_tls::Role;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use pb::cluster_service_client::ClusterServiceClient;
use pb::executor_control_message::Message as Report;
use pb::scheduler_control_message::Message as Command;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::{cluster_page, ensure_missing, has};
use crate::authorization::calls::Caller;
use crate::fixture::{Fixture, PATIENCE};

const ID: &str = "127.0.0.1:9";

/// The control stream of a thief.
struct Thief {
    reports: mpsc::Sender<pb::ExecutorControlMessage>,
    commands: Streaming<pb::SchedulerControlMessage>,
}

impl Thief {
    async fn connect(fixture: &Fixture, scheduler: &Node) -> Result<Self> {
        let leaf = Leaf::new("executor9").with_role(Role::Executor);
        let server = scheduler.address(Listener::Internal)?;
        let caller = Caller::new(fixture.pki(), &leaf, server, Role::Scheduler)?;
        let (reports, outgoing) = mpsc::channel(4);
        let heartbeat = Report::Heartbeat(pb::Heartbeat { timestamp_ms: 1 });
        reports.try_send(message(heartbeat))?;
        let mut client = ClusterServiceClient::new(caller.channel());
        let opened = client.control_stream(ReceiverStream::new(outgoing)).await?;
        let connected = |line: &LogLine| {
            line.message() == "executor connected" && line.field("executor") == Some(ID)
        };
        scheduler.log().wait_for(connected, PATIENCE).await?;
        Ok(Self {
            reports,
            commands: opened.into_inner(),
        })
    }

    /// Waits until it is asked for metrics, and answers with these.
    async fn answer(&mut self, otlp_metrics: Vec<u8>) -> Result<()> {
        let asked = async {
            loop {
                let command = self.commands.message().await?.context("the stream ended")?;
                if let Some(Command::RequestMetrics(request)) = command.message {
                    return anyhow::Ok(request.request_id);
                }
            }
        };
        let request_id = timeout(PATIENCE, asked).await.context("nobody asks")??;
        self.say(&request_id, otlp_metrics).await
    }

    async fn say(&self, request_id: &str, otlp_metrics: Vec<u8>) -> Result<()> {
        let metrics = pb::ExecutorMetrics {
            request_id: request_id.to_owned(),
            otlp_metrics,
        };
        let said = self.reports.send(message(Report::Metrics(metrics))).await;
        said.context("the stream takes no more messages")
    }

    /// How the scheduler ends the stream.
    async fn end(&mut self) -> Result<Status> {
        let ended = async {
            loop {
                match self.commands.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::ok(""),
                    Err(status) => return status,
                }
            }
        };
        timeout(PATIENCE, ended).await.context("it is still open")
    }
}

fn message(report: Report) -> pb::ExecutorControlMessage {
    pb::ExecutorControlMessage {
        executor_id: ID.to_owned(),
        message: Some(report),
        instance_id: String::new(),
        build_version: String::new(),
    }
}

fn gauge(name: &str, labels: &[(&str, &str)]) -> Metric {
    let attribute = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue((*value).to_owned())),
        }),
        ..KeyValue::default()
    };
    let point = NumberDataPoint {
        attributes: labels.iter().map(attribute).collect(),
        value: Some(number_data_point::Value::AsInt(4711)),
        ..NumberDataPoint::default()
    };
    Metric {
        name: name.to_owned(),
        description: "x\n# EOF\nfake 4711".to_owned(),
        data: Some(metric::Data::Gauge(Gauge {
            data_points: vec![point],
        })),
        ..Metric::default()
    }
}

fn otlp(metrics: Vec<Metric>) -> Vec<u8> {
    let scope = ScopeMetrics {
        metrics,
        ..ScopeMetrics::default()
    };
    let resource = ResourceMetrics {
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![resource],
    };
    request.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_metrics_are_shown_under_their_senders_id_or_not_at_all() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let own = scheduler.address(Listener::Internal)?.to_string();
    let mut thief = Thief::connect(&fixture, &scheduler).await?;
    let evil = "\"} 1\nfake{node_id=\"x\"} 4711\n# EOF\n";
    let forged = otlp(vec![
        gauge("scheduler_active_executors_count", &[("node_id", &own)]),
        gauge(
            "scheduler_active_executors_count",
            &[("node_role", "scheduler")],
        ),
        gauge("node_tasks", &[]),
        gauge("node_tasks_total", &[]),
        gauge(evil, &[]),
        gauge("spice_cluster_scrape_missing", &[("reason", "timeout")]),
        gauge("odd", &[(evil, "x")]),
        gauge("own", &[("name", evil)]),
    ]);
    let (page, answered) = tokio::join!(cluster_page(&scheduler), thief.answer(forged));
    answered?;
    let page = page?;
    let shown: Vec<&str> = page
        .text()
        .lines()
        .filter(|line| !line.starts_with('#') && line.ends_with(" 4711"))
        .collect();
    let [line] = shown.as_slice() else {
        anyhow::bail!("{shown:?}");
    };
    let label = format!("own{{node_id=\"{ID}\",node_role=\"executor\",name=");
    ensure!(line.starts_with(&label), "{line}");
    ensure!(has(&page, "node_tasks_total", &own), "{}", page.text());
    let rejected = page.sum("spice_cluster_scrape_rejected_series");
    ensure!(rejected == Some(7.0), "{rejected:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_and_silence_are_marked_and_an_answer_that_nobody_asked_for_ends_the_stream()
-> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let mut thief = Thief::connect(&fixture, &scheduler).await?;
    let nonsense = thief.answer(vec![0xff; 100]);
    let (page, answered) = tokio::join!(cluster_page(&scheduler), nonsense);
    answered?;
    ensure_missing(&page?, ID, "malformed")?;

    thief
        .say("nobody asked", otlp(vec![gauge("a", &[])]))
        .await?;
    let end = thief.end().await?;
    ensure!(end.code() == Code::InvalidArgument, "{end:?}");
    ensure!(end.message().contains("nobody asked"), "{end:?}");
    Ok(())
}
