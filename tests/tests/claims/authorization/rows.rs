//! Every method of the internal ports, with who may call it: written down once more, so that a
//! change of the tables in the code is a change here too.

use cluster_tls::Role;
use cluster_tls::tonic::WithoutIdentity;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callers {
    Executors,
    Schedulers,
    Members,
    Nobody,
}

impl Callers {
    /// Whether a certificate of this role may call it. `node` is both, and a certificate that
    /// names no role is taken for any member.
    pub(super) fn include(self, role: Role) -> bool {
        match self {
            Self::Nobody => false,
            Self::Executors => matches!(role, Role::Executor | Role::Node | Role::Unspecified),
            Self::Schedulers => matches!(role, Role::Scheduler | Role::Node | Role::Unspecified),
            Self::Members => role != Role::Client,
        }
    }

    /// The roles of the row in the code.
    pub(super) fn roles(self) -> &'static [Role] {
        match self {
            Self::Nobody => &[],
            Self::Executors => &[Role::Executor],
            Self::Schedulers => &[Role::Scheduler],
            Self::Members => &[Role::Scheduler, Role::Executor],
        }
    }
}

pub(super) const ROLES: [Role; 5] = [
    Role::Scheduler,
    Role::Executor,
    Role::Client,
    Role::Node,
    Role::Unspecified,
];

use Callers::{Executors, Members, Nobody, Schedulers};
use WithoutIdentity::{Admit, Refuse};

/// Path, who may call it, and whether an insecure node serves it.
pub(super) type Row = (&'static str, Callers, WithoutIdentity);

pub(super) const CLUSTER_SERVICE: [Row; 7] = [
    (
        "/spice.protobuf.ClusterService/GetAppDefinition",
        Executors,
        Admit,
    ),
    (
        "/spice.protobuf.ClusterService/ExpandSecret",
        Executors,
        Refuse,
    ),
    (
        "/spice.protobuf.ClusterService/GetSchedulers",
        Members,
        Admit,
    ),
    (
        "/spice.protobuf.ClusterService/AllocateInitialPartitions",
        Executors,
        Admit,
    ),
    (
        "/spice.protobuf.ClusterService/ControlStream",
        Executors,
        Admit,
    ),
    (
        "/spice.protobuf.ClusterService/GetTaskHistory",
        Schedulers,
        Admit,
    ),
    (
        "/spice.protobuf.ClusterService/GetMetrics",
        Schedulers,
        Admit,
    ),
];

/// All of them: the guard in the code implements the trait that is generated from the same
/// service, and a method more there does not compile.
pub(super) const BALLISTA_SCHEDULER: [Row; 13] = [
    (
        "/ballista.protobuf.SchedulerGrpc/PollWork",
        Executors,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/RegisterExecutor",
        Executors,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/HeartBeatFromExecutor",
        Executors,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/UpdateTaskStatus",
        Executors,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/ExecutorStopped",
        Executors,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/CreateUpdateSession",
        Schedulers,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/RemoveSession",
        Schedulers,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/ExecuteQueryPush",
        Schedulers,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/ExecuteQuery",
        Schedulers,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/GetJobStatus",
        Schedulers,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/GetJobMetrics",
        Schedulers,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/CancelJob",
        Schedulers,
        Admit,
    ),
    (
        "/ballista.protobuf.SchedulerGrpc/CleanJobData",
        Schedulers,
        Admit,
    ),
];

/// All of Arrow Flight; see above.
pub(super) const FLIGHT: [Row; 10] = [
    ("/arrow.flight.protocol.FlightService/DoGet", Members, Admit),
    (
        "/arrow.flight.protocol.FlightService/DoAction",
        Members,
        Admit,
    ),
    (
        "/arrow.flight.protocol.FlightService/Handshake",
        Nobody,
        Refuse,
    ),
    (
        "/arrow.flight.protocol.FlightService/ListFlights",
        Nobody,
        Refuse,
    ),
    (
        "/arrow.flight.protocol.FlightService/GetFlightInfo",
        Nobody,
        Refuse,
    ),
    (
        "/arrow.flight.protocol.FlightService/PollFlightInfo",
        Nobody,
        Refuse,
    ),
    (
        "/arrow.flight.protocol.FlightService/GetSchema",
        Nobody,
        Refuse,
    ),
    ("/arrow.flight.protocol.FlightService/DoPut", Nobody, Refuse),
    (
        "/arrow.flight.protocol.FlightService/DoExchange",
        Nobody,
        Refuse,
    ),
    (
        "/arrow.flight.protocol.FlightService/ListActions",
        Nobody,
        Refuse,
    ),
];

/// What a scheduler's internal port serves.
pub(super) fn scheduler() -> Vec<Row> {
    [&CLUSTER_SERVICE[..], &BALLISTA_SCHEDULER].concat()
}
