//! Calls through real channels to a real tonic server that sends back what it hears.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use cluster_tls::tonic::{ChannelOptions, NodeChannel, NodeTransport};
use cluster_tls::{AcceptLimits, Credentials, DialLimits, Events, NodeAddress, Role};
use http::uri::PathAndQuery;
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service;

use crate::meeting::{listen, local};
use crate::observed::within;

pub(crate) fn transport(
    credentials: &Credentials,
    accept: AcceptLimits,
    events: Arc<dyn Events>,
) -> NodeTransport {
    NodeTransport::mutual(credentials.clone(), accept, DialLimits::default(), events)
}

/// Serves on a port of its own until the returned set is dropped.
pub(crate) async fn serve(transport: &NodeTransport) -> (NodeAddress, JoinSet<()>) {
    let (listener, address) = listen().await;
    let transport = transport.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let router = Server::builder().add_service(Echo);
        transport
            .serve(listener, router, std::future::pending())
            .await;
    });
    (local("localhost", address), tasks)
}

pub(crate) fn channel(transport: &NodeTransport, to: &NodeAddress) -> NodeChannel {
    transport.channel(to, Role::Executor, &ChannelOptions::default())
}

/// One short call.
pub(crate) async fn call(channel: &NodeChannel) -> Result<(), Status> {
    let mut conversation = Conversation::begin(channel).await?;
    conversation.say().await?;
    conversation.end().await
}

/// A call that lasts for as long as both ends have something to say.
pub(crate) struct Conversation {
    says: Sender<Bytes>,
    hears: Streaming<Bytes>,
}

impl Conversation {
    /// The server answers at once, before anything is said.
    pub(crate) async fn begin(channel: &NodeChannel) -> Result<Self, Status> {
        let (says, spoken) = mpsc::channel(1);
        let request = Request::new(ReceiverStream::new(spoken));
        let mut client = Grpc::new(channel.clone());
        let beginning = async {
            client
                .ready()
                .await
                .map_err(|error| Status::from_error(Box::new(error)))?;
            client
                .streaming(request, PathAndQuery::from_static(PATH), Raw)
                .await
        };
        let hears = within(beginning).await?.into_inner();
        Ok(Self { says, hears })
    }

    /// Says something and hears it back.
    pub(crate) async fn say(&mut self) -> Result<(), Status> {
        let word = Bytes::from_static(b"word");
        // A call that has ended hears nobody; why is for the answer to say.
        let _ = self.says.send(word.clone()).await;
        match within(self.hears.message()).await? {
            Some(heard) if heard == word => Ok(()),
            other => Err(Status::data_loss(format!("heard {other:?}"))),
        }
    }

    /// Waits for the answer to end, which must be because the connection did.
    pub(crate) async fn end_abruptly(mut self) {
        within(self.hears.message()).await.unwrap_err();
    }

    /// Says no more and hears the call end well.
    pub(crate) async fn end(self) -> Result<(), Status> {
        let Self { says, mut hears } = self;
        drop(says);
        match within(hears.message()).await? {
            None => Ok(()),
            Some(more) => Err(Status::data_loss(format!("heard {more:?}"))),
        }
    }
}

/// Sends back what it hears.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut server = tonic::server::Grpc::new(Raw);
            Ok(server.streaming(Returned, request).await)
        })
    }
}

struct Returned;

impl Service<Request<Streaming<Bytes>>> for Returned {
    type Response = Response<Streaming<Bytes>>;
    type Error = Status;
    type Future = std::future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

/// Messages that are just bytes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

const PATH: &str = "/test.Echo/Talk";
