//! The service that is called, by hand: three methods are not worth a generated one.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::iter::RepeatN;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service;

use crate::wire::{self, Frames};

/// Answers the paths of [`wire`].
#[derive(Clone)]
pub(crate) struct Transport;

impl NamedService for Transport {
    const NAME: &'static str = wire::SERVICE;
}

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Frames);
            Ok(match request.uri().path() {
                wire::ECHO => grpc.unary(Echo, request).await,
                wire::DOWNLOAD => grpc.server_streaming(Download, request).await,
                wire::UPLOAD => grpc.client_streaming(Upload, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

struct Echo;

impl Service<Request<Bytes>> for Echo {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

struct Download;

/// The same frame again and again; its clones share their bytes.
type SameFrames = tokio_stream::Iter<RepeatN<Result<Bytes, Status>>>;

impl Service<Request<Bytes>> for Download {
    type Response = Response<SameFrames>;
    type Error = Status;
    type Future = Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let frames = wire::read_number(request.into_inner());
        ready(frames.map(|frames| {
            let frames = std::iter::repeat_n(Ok(wire::frame()), frames as usize);
            Response::new(tokio_stream::iter(frames))
        }))
    }
}

struct Upload;

impl Service<Request<Streaming<Bytes>>> for Upload {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = Boxed<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let mut stream = request.into_inner();
            let mut received = 0;
            while let Some(frame) = stream.message().await? {
                received += frame.len() as u64;
            }
            Ok(Response::new(wire::number(received)))
        })
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
