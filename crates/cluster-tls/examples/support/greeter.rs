//! A gRPC service as tonic's generator writes it, so that the examples need no protocol compiler.
//!
//! ```proto
//! package hello;
//! service Greeter { rpc SayHello (HelloRequest) returns (HelloReply); }
//! message HelloRequest { string name = 1; }
//! message HelloReply { string message = 1; }
//! ```

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use cluster_tls::tonic::NodeChannel;
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower_service::Service;

pub(crate) const SAY_HELLO: &str = "/hello.Greeter/SayHello";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HelloRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HelloReply {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
}

/// What a server implements.
pub(crate) trait Greeter: Send + Sync + 'static {
    fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status>;
}

pub(crate) struct GreeterServer<G>(pub(crate) Arc<G>);

impl<G> Clone for GreeterServer<G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<G: Greeter> NamedService for GreeterServer<G> {
    const NAME: &'static str = "hello.Greeter";
}

impl<G: Greeter> Service<http::Request<Body>> for GreeterServer<G> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = SayHello(Arc::clone(&self.0));
        Box::pin(async move {
            if request.uri().path() != SAY_HELLO {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
            Ok(grpc.unary(method, request).await)
        })
    }
}

/// The one method, as tonic's server calls it.
struct SayHello<G>(Arc<G>);

impl<G: Greeter> Service<Request<HelloRequest>> for SayHello<G> {
    type Response = Response<HelloReply>;
    type Error = Status;
    type Future = Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<HelloRequest>) -> Self::Future {
        ready(self.0.say_hello(request))
    }
}

pub(crate) struct GreeterClient(tonic::client::Grpc<NodeChannel>);

impl GreeterClient {
    pub(crate) fn new(channel: NodeChannel) -> Self {
        Self(tonic::client::Grpc::new(channel))
    }

    pub(crate) async fn say_hello(&mut self, name: &str) -> Result<String, Status> {
        let not_ready = |error: tonic::transport::Error| Status::from_error(error.into());
        self.0.ready().await.map_err(not_ready)?;
        let request = Request::new(HelloRequest {
            name: name.to_owned(),
        });
        let path = PathAndQuery::from_static(SAY_HELLO);
        let codec: ProstCodec<HelloRequest, HelloReply> = ProstCodec::default();
        let response = self.0.unary(request, path, codec).await?;
        Ok(response.into_inner().message)
    }
}
