//! Somebody who has stolen the key of an executor and stands in front of it: whatever is fetched
//! from it comes through here, and is changed on the way.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use cluster_tls::tonic::{ChannelOptions, NodeChannel, NodeTransport, server_builder};
use cluster_tls::{
    AcceptLimits, CredentialPaths, DialLimits, NoEvents, NodeAddress, PeerPolicy, Role, SystemClock,
};
use futures::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::{Request, Response, Status, Streaming};

/// What becomes of a block that is fetched through a thief.
pub(super) type Lie = fn(&Bytes) -> Bytes;

/// Stands in front of an executor until it is dropped.
pub(super) struct Thief {
    _serving: JoinSet<()>,
}

impl Thief {
    /// Listens on `front` with the port of `node` and its stolen `credentials`.
    pub(super) async fn start(
        credentials: &CredentialPaths,
        front: IpAddr,
        node: SocketAddr,
        lie: Lie,
    ) -> Result<Self> {
        let policy = PeerPolicy::default();
        let snapshot = cluster_tls::load(credentials, Arc::new(SystemClock), policy)?;
        let (_, credentials) = cluster_tls::publish(snapshot);
        let (accept, dial) = (AcceptLimits::default(), DialLimits::default());
        let transport = NodeTransport::mutual(credentials, accept, dial, Arc::new(NoEvents));
        let behind = NodeAddress::new(&node.ip().to_string(), node.port())?;
        let options = ChannelOptions::default();
        let behind = transport.channel(&behind, Role::Executor, &options);
        let service = FlightServiceServer::new(Forger { behind, lie });
        let router = server_builder().add_service(service);
        let listener = TcpListener::bind((front, node.port())).await?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let for_ever = std::future::pending();
            transport.serve(listener, router, for_ever).await;
        });
        Ok(Self { _serving: serving })
    }
}

struct Forger {
    behind: NodeChannel,
    lie: Lie,
}

impl Forger {
    fn client(&self) -> FlightServiceClient<NodeChannel> {
        let client = FlightServiceClient::new(self.behind.clone());
        client.max_decoding_message_size(MESSAGE_LIMIT_BYTES)
    }
}

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

#[tonic::async_trait]
impl FlightService for Forger {
    type DoActionStream = Answer<arrow_flight::Result>;
    type DoExchangeStream = Answer<FlightData>;
    type DoGetStream = Answer<FlightData>;
    type DoPutStream = Answer<PutResult>;
    type HandshakeStream = Answer<HandshakeResponse>;
    type ListActionsStream = Answer<ActionType>;
    type ListFlightsStream = Answer<FlightInfo>;

    /// A block for another executor.
    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let block = self.client().do_action(request.into_inner()).await?;
        let lie = self.lie;
        let changed = block.into_inner().map(move |piece| {
            let body = lie(&piece?.body);
            Ok(arrow_flight::Result { body })
        });
        Ok(Response::new(changed.boxed()))
    }

    /// Rows for a scheduler, and for executors that ask for them so.
    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let rows = self.client().do_get(request.into_inner()).await?;
        let lie = self.lie;
        let changed = rows.into_inner().map(move |data| Ok(changed(lie, data?)));
        Ok(Response::new(changed.boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(unasked())
    }

    async fn list_flights(
        &self,
        _: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(unasked())
    }

    async fn get_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Err(unasked())
    }

    async fn poll_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        Err(unasked())
    }

    async fn get_schema(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        Err(unasked())
    }

    async fn do_put(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        Err(unasked())
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(unasked())
    }

    async fn list_actions(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(unasked())
    }
}

/// `data` as it would be in a block, changed, and back.
fn changed(lie: Lie, data: FlightData) -> FlightData {
    let FlightData {
        data_header,
        data_body,
        ..
    } = &data;
    // A message of gRPC is shorter than four bytes can say.
    let length = u32::try_from(data_header.len()).unwrap_or(u32::MAX);
    let head = [[0xff; 4], length.to_le_bytes()].concat();
    let block = [&head[..], data_header, data_body].concat();
    let block = lie(&block.into());
    let body = head.len() + data_header.len();
    FlightData {
        data_header: block.slice(head.len()..body),
        data_body: block.slice(body..),
        ..data
    }
}

fn unasked() -> Status {
    Status::unimplemented("not in this play")
}

/// As large as an executor's.
const MESSAGE_LIMIT_BYTES: usize = 16 * 1024 * 1024;
