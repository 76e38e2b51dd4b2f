//! Messages that are nothing but bytes, and the calls that send them.
//!
//! Arrow Flight would be the real thing, and is no dependency of this crate. What matters to the
//! transport is kept: as prost does with the body of a `FlightData`, a message is copied once into
//! the buffer that is sent, and is a slice of the buffer that was received.

use bytes::{Buf, BufMut, Bytes};
use cluster_tls::tonic::NodeChannel;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

pub(crate) const SERVICE: &str = "bench.Transport";
pub(crate) const ECHO: &str = "/bench.Transport/Echo";
pub(crate) const DOWNLOAD: &str = "/bench.Transport/Download";
pub(crate) const UPLOAD: &str = "/bench.Transport/Upload";

/// The size of a message of a stream, which is about what a record batch of a shuffle is.
pub(crate) const FRAME_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames;

impl Codec for Frames {
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

impl Encoder for Frames {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, frame: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(frame);
        Ok(())
    }
}

impl Decoder for Frames {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A client of the service.
#[derive(Clone)]
pub(crate) struct Client(Grpc<NodeChannel>);

impl Client {
    pub(crate) fn new(channel: NodeChannel) -> Self {
        Self(Grpc::new(channel))
    }

    /// A small call and its answer.
    pub(crate) async fn echo(&mut self) -> Result<(), Status> {
        let request = Request::new(Bytes::from_static(&[b'x'; ECHO_BYTES]));
        self.ready().await?;
        let path = PathAndQuery::from_static(ECHO);
        self.0.unary(request, path, Frames).await.map(drop)
    }

    /// Receives `frames` messages and returns how many bytes they had.
    pub(crate) async fn download(&mut self, frames: usize) -> Result<u64, Status> {
        let request = Request::new(number(frames as u64));
        self.ready().await?;
        let path = PathAndQuery::from_static(DOWNLOAD);
        let answer = self.0.server_streaming(request, path, Frames).await?;
        let mut stream = answer.into_inner();
        let mut received = 0;
        while let Some(frame) = stream.message().await? {
            received += frame.len() as u64;
        }
        Ok(received)
    }

    /// Sends `frames` messages and returns how many bytes have arrived.
    pub(crate) async fn upload(&mut self, frames: usize) -> Result<u64, Status> {
        let frames = std::iter::repeat_n(frame(), frames);
        let request = Request::new(tokio_stream::iter(frames));
        self.ready().await?;
        let path = PathAndQuery::from_static(UPLOAD);
        let answer = self.0.client_streaming(request, path, Frames).await?;
        read_number(answer.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.0.ready().await;
        ready.map_err(|error| Status::from_error(error.into()))
    }
}

/// One message of a stream.
pub(crate) fn frame() -> Bytes {
    vec![0x5a; FRAME_BYTES].into()
}

pub(crate) fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

pub(crate) fn read_number(mut bytes: Bytes) -> Result<u64, Status> {
    bytes
        .try_get_u64()
        .map_err(|_| Status::invalid_argument("not a number"))
}

/// What a small request has, such as the poll of an executor.
const ECHO_BYTES: usize = 128;
