//! No internal method on a public port, and no public one on the internal ports.

use anyhow::{Result, ensure};
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, Ticket};
use cluster_test::{Listener, SqlClient, http_post};
use cluster_tls::Role;
use prost::Message;
use tonic::Code;

use super::calls::{Caller, ensure_denied};
use super::rows::{self, FLIGHT};
use super::{Scene, holder_of};

#[tokio::test]
async fn a_public_flight_port_has_no_internal_method() -> Result<()> {
    let scene = Scene::start().await?;
    let address = scene.scheduler.address(Listener::Flight)?;
    let caller = Caller::plaintext(address)?;
    for (path, ..) in rows::scheduler() {
        let status = caller.call(path, "").await?;
        ensure!(status.code() == Code::Unimplemented, "{path}: {status:?}");
    }
    let rows = SqlClient::connect(address).await?.query("SELECT 1").await?;
    ensure!(rows.len() == 1, "the port itself does not answer: {rows:?}");
    Ok(())
}

#[tokio::test]
async fn a_public_flight_port_takes_no_shuffle_ticket() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = Caller::plaintext(scene.scheduler.address(Listener::Flight)?)?;
    let fetch = ballista_core::serde::protobuf::FetchPartition {
        job_id: "0123456789abcdef0123456789abcdef".to_owned(),
        ..Default::default()
    };
    let action = ballista_core::serde::protobuf::Action {
        settings: vec![],
        action_type: Some(
            ballista_core::serde::protobuf::action::ActionType::FetchPartition(fetch),
        ),
    };
    let ticket = Ticket {
        ticket: action.encode_to_vec().into(),
    };
    let method = "/arrow.flight.protocol.FlightService/DoGet";
    let status = caller.call(method, ticket.encode_to_vec()).await?;
    ensure!(
        matches!(status.code(), Code::InvalidArgument | Code::Unimplemented),
        "{status:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_public_http_and_metrics_ports_have_no_internal_method() -> Result<()> {
    let scene = Scene::start().await?;
    for node in [&scene.scheduler, &scene.executor] {
        for listener in [Listener::Http, Listener::Metrics] {
            let address = node.address(listener)?;
            for (path, ..) in rows::scheduler().into_iter().chain(FLIGHT) {
                let reply = http_post(address, path, "").await?;
                ensure!(reply.status == 404, "{path}: {}", reply.status);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_internal_ports_have_no_public_method() -> Result<()> {
    let scene = Scene::start().await?;
    let to_scheduler = scene.to_scheduler(&holder_of(Role::Node))?;
    let to_executor = scene.to_executor(&holder_of(Role::Node))?;
    for (path, ..) in FLIGHT {
        let status = to_scheduler.call(path, "").await?;
        ensure!(status.code() == Code::Unimplemented, "{path}: {status:?}");
    }
    for path in ["/v1/sql", "/v1/ready", "/health", "/metrics"] {
        for caller in [&to_scheduler, &to_executor] {
            let status = caller.call(path, "SELECT 1").await?;
            ensure!(status.code() == Code::Unimplemented, "{path}: {status:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_member_gets_no_sql_answered_by_an_internal_port() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_executor(&holder_of(Role::Node))?;
    let query = CommandStatementQuery {
        query: "SELECT * FROM numbers".to_owned(),
        transaction_id: None,
    };
    let descriptor = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
    for method in ["GetFlightInfo", "GetSchema", "DoPut", "Handshake"] {
        let path = format!("/arrow.flight.protocol.FlightService/{method}");
        let status = caller.call(&path, descriptor.encode_to_vec()).await?;
        ensure_denied(&status, &path)?;
    }
    let ticket = Ticket {
        ticket: query.as_any().encode_to_vec().into(),
    };
    let path = "/arrow.flight.protocol.FlightService/DoGet";
    let status = caller.call(path, ticket.encode_to_vec()).await?;
    ensure!(status.code() == Code::NotFound, "{status:?}");
    Ok(())
}

#[tokio::test]
async fn an_executor_has_no_public_flight_port() -> Result<()> {
    let scene = Scene::start().await?;
    ensure!(scene.executor.address(Listener::Flight).is_err());
    Ok(())
}
