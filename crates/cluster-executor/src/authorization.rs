//! The authorization table of the executor's internal port: method x role, deny by default.

use cluster_tls::Role;
use cluster_tls::tonic::{Method, MethodTable, WithoutIdentity};

/// One row of the table, as data: for tests and for showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorizationRow {
    /// Full path of the gRPC method.
    pub path: &'static str,
    /// The roles that may call it; an empty list closes the method to everybody.
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

        /// Every method of the executor's internal port, with who may call it.
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

const MEMBER: &[Role] = &[Role::Scheduler, Role::Executor];
/// Methods of Arrow Flight that no member needs for shuffling.
const NOBODY: &[Role] = &[];

authorization_table! {
    DoGet => "/arrow.flight.protocol.FlightService/DoGet", MEMBER, Admit;
    DoAction => "/arrow.flight.protocol.FlightService/DoAction", MEMBER, Admit;
    Handshake => "/arrow.flight.protocol.FlightService/Handshake", NOBODY, Refuse;
    ListFlights => "/arrow.flight.protocol.FlightService/ListFlights", NOBODY, Refuse;
    GetFlightInfo => "/arrow.flight.protocol.FlightService/GetFlightInfo", NOBODY, Refuse;
    PollFlightInfo => "/arrow.flight.protocol.FlightService/PollFlightInfo", NOBODY, Refuse;
    GetSchema => "/arrow.flight.protocol.FlightService/GetSchema", NOBODY, Refuse;
    DoPut => "/arrow.flight.protocol.FlightService/DoPut", NOBODY, Refuse;
    DoExchange => "/arrow.flight.protocol.FlightService/DoExchange", NOBODY, Refuse;
    ListActions => "/arrow.flight.protocol.FlightService/ListActions", NOBODY, Refuse;
}
