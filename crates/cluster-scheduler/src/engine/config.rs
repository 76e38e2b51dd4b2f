use std::sync::Arc;

use ballista_core::config::{BALLISTA_CLIENT_IO_RETRY_WAIT_TIME_MS, TaskSchedulingPolicy};
use ballista_core::extension::SessionConfigExt;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_server::JobIdGenerator;
use cluster_proto::NodeId;
use cluster_tls::Role;
use cluster_tls::tonic::{NodeTransport, Security};
use datafusion::prelude::SessionConfig;

use super::codec::TaskCodec;

/// The scheduler's settings, with `work_available` called whenever an executor should poll.
pub(super) fn scheduler(
    node_id: &NodeId,
    transport: &NodeTransport,
    work_available: impl Fn() + Send + Sync + 'static,
) -> SchedulerConfig {
    let endpoint_transport = transport.clone();
    SchedulerConfig {
        scheduler_id: node_id.to_string(),
        external_host: node_id.host().to_owned(),
        bind_port: node_id.port(),
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        // Shuffle files go when the client has its rows (see job.rs), not after a guess of
        // how long that may take.
        finished_job_data_clean_up_interval_seconds: 0,
        grpc_server_max_decoding_message_size: MESSAGE_LIMIT_BYTES as u32,
        grpc_server_max_encoding_message_size: MESSAGE_LIMIT_BYTES as u32,
        grpc_client_max_message_size: MESSAGE_LIMIT_BYTES as u32,
        executor_timeout_seconds: EXECUTOR_TIMEOUT_SECONDS,
        expire_dead_executor_interval_seconds: EXECUTOR_REAPER_SECONDS,
        no_executors_grace_period_seconds: EXECUTOR_TIMEOUT_SECONDS,
        // Whatever the engine itself may dial goes through our transport or not at all.
        override_create_grpc_client_endpoint: Some(Arc::new(move |endpoint| {
            Ok(endpoint_transport.endpoint(endpoint, Role::Executor)?)
        })),
        use_tls: transport.security() == Security::Mutual,
        job_id_generator: Some(Arc::new(RandomJobIds)),
        override_physical_codec: Some(Arc::new(TaskCodec::default())),
        on_work_available: Some(Arc::new(move |_| work_available())),
        ..SchedulerConfig::default()
    }
}

/// The settings of one distributed query over `task_slots` slots.
pub(super) fn query(
    base: &SessionConfig,
    transport: &NodeTransport,
    task_slots: usize,
) -> SessionConfig {
    base.clone()
        // The state of a query shares its catalog with the node; building it with this on would
        // put an empty catalog in the place of the one with the datasets.
        .with_create_default_catalog_and_schema(false)
        .upgrade_for_ballista()
        .with_target_partitions(task_slots.clamp(1, PARTITION_LIMIT))
        .with_ballista_use_tls(transport.security() == Security::Mutual)
        .with_ballista_grpc_client_max_message_size(MESSAGE_LIMIT_BYTES)
        .set_u64(BALLISTA_CLIENT_IO_RETRY_WAIT_TIME_MS, FETCH_RETRY_WAIT_MS)
}

/// Job ids are part of shuffle tickets, so they are not guessable: upstream's own count up.
struct RandomJobIds;

#[async_trait::async_trait]
impl JobIdGenerator for RandomJobIds {
    async fn next_id(&self) -> String {
        uuid::Uuid::new_v4().simple().to_string()
    }
}

/// Plans travel whole; a wide query over many files passes gRPC's usual 4 MiB. So do the reports of
/// a poll: one for each task that ended since the last, with a line for each of up to a thousand
/// partitions. A poll that does not fit is lost with its reports, and their query waits for ever.
/// Ballista's own default, and the same on every node.
pub(super) const MESSAGE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Upstream waits 180 s before it believes that a silent executor is dead. Three missed
/// heartbeats of ten seconds are enough, and a query waits no longer than it must.
const EXECUTOR_TIMEOUT_SECONDS: u64 = 30;

/// How often silence is looked for; upstream's 15 s would add half of itself to every loss.
const EXECUTOR_REAPER_SECONDS: u64 = 5;

/// Between two tries to fetch a shuffle block. Upstream waits three seconds, three times, which
/// a query feels whenever an executor dies; a peer that is alive answers within this.
const FETCH_RETRY_WAIT_MS: u64 = 200;

/// Every partition costs planning time and a file for each reader; past this, more slots do not
/// make one query faster.
const PARTITION_LIMIT: usize = 1024;

#[cfg(test)]
mod tests {
    use ballista_core::serde::protobuf::{
        PollWorkParams, ShuffleWritePartition, SuccessfulTask, TaskStatus, task_status,
    };
    use prost::Message;

    use super::*;

    /// A report about a task of the widest query, with numbers of a large one.
    fn widest_report(task_id: u32) -> TaskStatus {
        let partition = |partition_id: usize| ShuffleWritePartition {
            partition_id: partition_id as u64,
            num_batches: 1000,
            num_rows: 100_000_000,
            num_bytes: 10_000_000_000,
            file_id: Some(u64::from(task_id)),
            is_sort_shuffle: true,
        };
        let done = SuccessfulTask {
            executor_id: format!("executor1.cluster.local:50052#{}", "0".repeat(32)),
            partitions: (0..PARTITION_LIMIT).map(partition).collect(),
            ..Default::default()
        };
        TaskStatus {
            task_id,
            job_id: "0".repeat(32),
            status: Some(task_status::Status::Successful(done)),
            ..Default::default()
        }
    }

    #[test]
    fn five_hundred_of_the_widest_tasks_may_end_between_two_polls_and_two_thousand_may_not() {
        let poll_bytes = |tasks: u32| {
            let task_status = (0..tasks).map(widest_report).collect();
            let poll = PollWorkParams {
                task_status,
                ..Default::default()
            };
            poll.encoded_len()
        };
        let usual_limit_bytes = 4 * 1024 * 1024;
        assert!((usual_limit_bytes..MESSAGE_LIMIT_BYTES).contains(&poll_bytes(512)));
        assert!(poll_bytes(2048) > MESSAGE_LIMIT_BYTES);
    }

    #[test]
    fn a_poll_grows_a_hundredfold_when_it_is_read_as_the_security_page_says() {
        let smallest = PollWorkParams {
            task_status: vec![TaskStatus::default()],
            ..Default::default()
        };
        let reports = MESSAGE_LIMIT_BYTES / smallest.encoded_len();
        let read_mib = reports * size_of::<TaskStatus>() / (1024 * 1024);
        assert!((1500..1700).contains(&read_mib), "{read_mib} MiB");
    }
}
