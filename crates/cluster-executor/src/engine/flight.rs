//! Ballista's shuffle service behind the authorizer.
//!
//! A ticket carries ids. Upstream joins the job id into a path, so the guard lets through only
//! ids of the form that schedulers make, and only of jobs that this executor worked for: no
//! ticket can name a file elsewhere.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use ballista_core::serde::protobuf;
use ballista_executor::flight_service::BallistaFlightService;
use cluster_tls::tonic::Authorizer;
use futures::Stream;
use prost::Message;
use protobuf::action::ActionType as BallistaAction;
use tonic::{Request, Response, Status, Streaming};

use super::jobs::is_job_id;
use crate::authorization as method;

#[derive(Clone)]
pub(crate) struct GuardedShuffleService {
    inner: BallistaFlightService,
    work_dir: PathBuf,
    authorizer: Authorizer,
}

impl GuardedShuffleService {
    pub(super) fn new(work_dir: PathBuf, authorizer: Authorizer) -> Self {
        Self {
            inner: BallistaFlightService::new(work_dir.to_string_lossy().into_owned()),
            work_dir,
            authorizer,
        }
    }

    async fn check_ticket(&self, ticket: &[u8]) -> Result<(), Status> {
        let job_id = job_of(ticket).ok_or_else(unknown_ticket)?;
        if works_for(&self.work_dir, &job_id).await {
            Ok(())
        } else {
            Err(unknown_ticket())
        }
    }
}

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

#[tonic::async_trait]
impl FlightService for GuardedShuffleService {
    type DoActionStream = Answer<arrow_flight::Result>;
    type DoExchangeStream = Answer<FlightData>;
    type DoGetStream = Answer<FlightData>;
    type DoPutStream = Answer<PutResult>;
    type HandshakeStream = Answer<HandshakeResponse>;
    type ListActionsStream = Answer<ActionType>;
    type ListFlightsStream = Answer<FlightInfo>;

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        self.authorizer.permit::<method::DoGet, _>(&request)?;
        self.check_ticket(&request.get_ref().ticket).await?;
        self.inner.do_get(request).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        self.authorizer.permit::<method::DoAction, _>(&request)?;
        if request.get_ref().r#type != BLOCK_TRANSPORT {
            return Err(not_served());
        }
        self.check_ticket(&request.get_ref().body).await?;
        self.inner.do_action(request).await
    }

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.authorizer.permit::<method::Handshake, _>(&request)?;
        Err(not_served())
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.authorizer.permit::<method::ListFlights, _>(&request)?;
        Err(not_served())
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.authorizer
            .permit::<method::GetFlightInfo, _>(&request)?;
        Err(not_served())
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        self.authorizer
            .permit::<method::PollFlightInfo, _>(&request)?;
        Err(not_served())
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        self.authorizer.permit::<method::GetSchema, _>(&request)?;
        Err(not_served())
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        self.authorizer.permit::<method::DoPut, _>(&request)?;
        Err(not_served())
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.authorizer.permit::<method::DoExchange, _>(&request)?;
        Err(not_served())
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.authorizer.permit::<method::ListActions, _>(&request)?;
        Err(not_served())
    }
}

/// The job that a ticket belongs to, if the ticket has the form that this cluster's schedulers
/// and executors make.
fn job_of(ticket: &[u8]) -> Option<String> {
    let action = protobuf::Action::decode(ticket).ok()?;
    let BallistaAction::FetchPartition(fetch) = action.action_type?;
    is_job_id(&fetch.job_id).then_some(fetch.job_id)
}

async fn works_for(work_dir: &Path, job_id: &str) -> bool {
    tokio::fs::metadata(work_dir.join(job_id))
        .await
        .is_ok_and(|metadata| metadata.is_dir())
}

/// The same answer for a malformed ticket, a foreign one and one whose job has gone.
fn unknown_ticket() -> Status {
    Status::not_found("no such ticket")
}

fn not_served() -> Status {
    Status::unimplemented("this port serves shuffle blocks only")
}

pub(super) const BLOCK_TRANSPORT: &str = "IO_BLOCK_TRANSPORT";

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(job_id: &str) -> Vec<u8> {
        let fetch = protobuf::FetchPartition {
            job_id: job_id.to_owned(),
            ..Default::default()
        };
        protobuf::Action {
            action_type: Some(BallistaAction::FetchPartition(fetch)),
            settings: vec![],
        }
        .encode_to_vec()
    }

    #[test]
    fn reads_the_job_of_a_well_formed_ticket() {
        assert_eq!(job_of(&ticket("0a1b2c")).as_deref(), Some("0a1b2c"));
    }

    #[test]
    fn refuses_tickets_that_could_become_paths() {
        for job_id in [
            "",
            ".",
            "..",
            "../secret",
            "a/b",
            "/etc",
            "a\\b",
            "a\0b",
            "a b",
            &"a".repeat(65),
        ] {
            assert_eq!(job_of(&ticket(job_id)), None, "{job_id:?}");
        }
        assert_eq!(job_of(b"garbage"), None);
        assert_eq!(job_of(b""), None);
    }
}
