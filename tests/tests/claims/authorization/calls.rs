//! Calls of any method with any bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::{Buf, BufMut, Bytes};
use cluster_test::{Leaf, TestPki};
use cluster_tls::tonic::{ChannelOptions, NodeChannel, NodeTransport};
use cluster_tls::{AcceptLimits, DialLimits, NoEvents, NodeAddress, PeerPolicy, Role, SystemClock};
use futures::{Stream, stream};
use http::uri::PathAndQuery;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use tonic::{Code, Request, Status};

use crate::fixture::PATIENCE;

/// A connection with a certificate, or without any protection.
#[derive(Clone)]
pub(crate) struct Caller(NodeChannel);

impl Caller {
    /// Calls the node at `server`, which must be of role `expected`, as the holder of a
    /// certificate like `leaf`.
    pub(crate) fn new(
        pki: &TestPki,
        leaf: &Leaf,
        server: SocketAddr,
        expected: Role,
    ) -> Result<Self> {
        Self::over(&transport(pki, leaf)?, server, expected)
    }

    /// The same with two connections.
    pub(super) fn pair(
        pki: &TestPki,
        leaf: &Leaf,
        server: SocketAddr,
        expected: Role,
    ) -> Result<[Self; 2]> {
        let transport = transport(pki, leaf)?;
        let one = Self::over(&transport, server, expected)?;
        Ok([one, Self::over(&transport, server, expected)?])
    }

    /// Calls an insecure node.
    pub(super) fn plaintext(server: SocketAddr) -> Result<Self> {
        let transport = cluster_tls::danger::plaintext_transport(DialLimits::default());
        Self::over(&transport, server, Role::Unspecified)
    }

    fn over(transport: &NodeTransport, server: SocketAddr, expected: Role) -> Result<Self> {
        let server = NodeAddress::new(&server.ip().to_string(), server.port())?;
        let channel = transport.channel(&server, expected, &ChannelOptions::default());
        Ok(Self(channel))
    }

    /// The connection, for generated clients.
    pub(crate) fn channel(&self) -> NodeChannel {
        self.0.clone()
    }

    /// Calls `method` with one message, and gives how it ended: for a method that answers with a
    /// stream, how its first message came.
    ///
    /// On the wire, one message is one message: a method that takes a stream of them takes it.
    pub(super) async fn call(&self, method: &str, message: impl Into<Bytes>) -> Result<Status> {
        self.call_with(method, stream::iter([message.into()])).await
    }

    /// The same with a stream of messages, which is read as far as the server lets it be sent.
    pub(super) async fn call_with(
        &self,
        method: &str,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Status> {
        let path: PathAndQuery = method.parse()?;
        let mut client = Grpc::new(self.0.clone());
        client.ready().await?;
        let request = Request::new(messages);
        let answered = async {
            let answer = client.streaming(request, path, Raw).await?;
            answer.into_inner().message().await
        };
        Ok(match timeout(PATIENCE, answered).await? {
            Ok(_) => Status::ok(""),
            Err(status) => status,
        })
    }
}

/// How the holder of a certificate like `leaf` dials.
fn transport(pki: &TestPki, leaf: &Leaf) -> Result<NodeTransport> {
    let paths = pki.write("caller", leaf)?;
    let snapshot = cluster_tls::load(&paths, Arc::new(SystemClock), PeerPolicy::default())?;
    let (_, credentials) = cluster_tls::publish(snapshot);
    Ok(NodeTransport::mutual(
        credentials,
        AcceptLimits::default(),
        DialLimits::default(),
        Arc::new(NoEvents),
    ))
}

/// Denials are all alike: who probes learns nothing from them.
pub(super) fn ensure_denied(status: &Status, what: &str) -> Result<()> {
    ensure!(
        status.code() == Code::PermissionDenied,
        "{what}: {status:?} instead of a denial"
    );
    ensure!(
        status.message() == "permission denied",
        "{what}: {status:?}"
    );
    ensure!(status.details().is_empty(), "{what}: {status:?}");
    Ok(())
}

/// The call reached its handler, whatever that made of it.
pub(super) fn ensure_not_denied(status: &Status, what: &str) -> Result<()> {
    ensure!(
        !matches!(status.code(), Code::PermissionDenied | Code::Unavailable),
        "{what}: {status:?}"
    );
    Ok(())
}

/// Messages as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
