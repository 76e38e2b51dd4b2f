//! The authorization table of the scheduler's internal port: method x role, deny by default.

use cluster_tls::Role;
use cluster_tls::tonic::{Method, MethodTable, WithoutIdentity};

/// One row of the table, as data: for tests and for showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorizationRow {
    /// Full path of the gRPC method.
    pub path: &'static str,
    /// The roles that may call it.
    pub roles: &'static [Role],
    /// Whether it may be called on a plaintext transport.
    pub without_identity: WithoutIdentity,
}

macro_rules! authorization_table {
    ($($method:ident => $path:literal, $roles:ident, $without_identity:ident;)+) => {
        $(
            #[doc = concat!("`", $path, "`")]
            #[derive(Debug)]
            pub(crate) struct $method;

            impl Method for $method {
                const PATH: &'static str = $path;
                const ROLES: &'static [Role] = $roles;
                const WITHOUT_IDENTITY: WithoutIdentity = WithoutIdentity::$without_identity;
            }
        )+

        /// Every method of the scheduler's internal port, with who may call it.
        pub const AUTHORIZATION_TABLE: &[AuthorizationRow] = &[$(AuthorizationRow {
            path: $path,
            roles: $roles,
            without_identity: WithoutIdentity::$without_identity,
        }),+];

        /// The same rows, for the gate that denies before a message is read.
        pub(crate) fn method_table() -> MethodTable {
            MethodTable::new()$(.method::<$method>())+
        }
    };
}

// A certificate of role `node`, or of no role where that is admitted, stands for both members:
// that is what `Role::may_act_as` says, not something each row repeats.
const EXECUTOR: &[Role] = &[Role::Executor];
const SCHEDULER: &[Role] = &[Role::Scheduler];
const MEMBER: &[Role] = &[Role::Scheduler, Role::Executor];

authorization_table! {
    GetAppDefinition => "/spice.protobuf.ClusterService/GetAppDefinition", EXECUTOR, Admit;
    ExpandSecret => "/spice.protobuf.ClusterService/ExpandSecret", EXECUTOR, Refuse;
    GetSchedulers => "/spice.protobuf.ClusterService/GetSchedulers", MEMBER, Admit;
    AllocateInitialPartitions => "/spice.protobuf.ClusterService/AllocateInitialPartitions", EXECUTOR, Admit;
    ControlStream => "/spice.protobuf.ClusterService/ControlStream", EXECUTOR, Admit;
    GetTaskHistory => "/spice.protobuf.ClusterService/GetTaskHistory", SCHEDULER, Admit;
    GetMetrics => "/spice.protobuf.ClusterService/GetMetrics", SCHEDULER, Admit;

    PollWork => "/ballista.protobuf.SchedulerGrpc/PollWork", EXECUTOR, Admit;
    RegisterExecutor => "/ballista.protobuf.SchedulerGrpc/RegisterExecutor", EXECUTOR, Admit;
    HeartBeatFromExecutor => "/ballista.protobuf.SchedulerGrpc/HeartBeatFromExecutor", EXECUTOR, Admit;
    UpdateTaskStatus => "/ballista.protobuf.SchedulerGrpc/UpdateTaskStatus", EXECUTOR, Admit;
    ExecutorStopped => "/ballista.protobuf.SchedulerGrpc/ExecutorStopped", EXECUTOR, Admit;
    CreateUpdateSession => "/ballista.protobuf.SchedulerGrpc/CreateUpdateSession", SCHEDULER, Admit;
    RemoveSession => "/ballista.protobuf.SchedulerGrpc/RemoveSession", SCHEDULER, Admit;
    ExecuteQueryPush => "/ballista.protobuf.SchedulerGrpc/ExecuteQueryPush", SCHEDULER, Admit;
    ExecuteQuery => "/ballista.protobuf.SchedulerGrpc/ExecuteQuery", SCHEDULER, Admit;
    GetJobStatus => "/ballista.protobuf.SchedulerGrpc/GetJobStatus", SCHEDULER, Admit;
    GetJobMetrics => "/ballista.protobuf.SchedulerGrpc/GetJobMetrics", SCHEDULER, Admit;
    CancelJob => "/ballista.protobuf.SchedulerGrpc/CancelJob", SCHEDULER, Admit;
    CleanJobData => "/ballista.protobuf.SchedulerGrpc/CleanJobData", SCHEDULER, Admit;
}
