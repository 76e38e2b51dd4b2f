//! HTTP/2 by hand, for what no library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::observed::within;

/// Begins HTTP/2 on a connection.
pub(crate) async fn begin(stream: TlsStream<TcpStream>) -> (Heard, Flood) {
    let (read, mut write) = split(stream);
    write.write_all(PREFACE).await.unwrap();
    write.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    (Heard(read), Flood(write))
}

/// The attacker's sending half.
pub(crate) struct Flood(WriteHalf<TlsStream<TcpStream>>);

/// How far a flood got.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything was taken.
    All,
    /// The connection ended.
    Cut,
    /// The other end stopped reading.
    Stalled,
}

impl Flood {
    /// Says that nothing more comes.
    pub(crate) async fn end(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Sends `frames` again and again.
    pub(crate) async fn send(&mut self, frames: &[u8], times: usize) -> Reach {
        for _ in 0..times {
            match timeout(STALLED, self.0.write_all(frames)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Reach::Cut,
                Err(_) => return Reach::Stalled,
            }
        }
        Reach::All
    }
}

/// A writer that has waited for so long is not being read.
const STALLED: Duration = Duration::from_secs(1);

/// The attacker's receiving half.
pub(crate) struct Heard(ReadHalf<TlsStream<TcpStream>>);

impl Heard {
    /// The kind and payload of the next frame; none once the connection has ended.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], payload))
    }

    /// Reads until the connection ends; the error code of the GOAWAY that it ended with.
    pub(crate) async fn out(mut self) -> Option<u32> {
        let mut code = None;
        while let Some((kind, payload)) = self.frame().await {
            if kind == GOAWAY {
                code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        code
    }

    /// The header block of the first answer to a call.
    pub(crate) async fn answer(mut self) -> Vec<u8> {
        loop {
            match within(self.frame()).await.unwrap() {
                (HEADERS, block) => return block,
                (SETTINGS | WINDOW_UPDATE, _) => {}
                (kind, payload) => panic!("frame {kind}: {payload:?}"),
            }
        }
    }
}

/// One HTTP/2 frame (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of a call (RFC 7541: indexed fields, and literals without Huffman coding).
pub(crate) fn call_headers() -> Vec<u8> {
    let mut block = vec![0x83, 0x86]; // POST, http
    for (name, value) in [(0x04, "/test.Service/Method"), (0x01, "node")] {
        block.push(name);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    }
    block
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;
pub(crate) const CANCEL: [u8; 4] = [0, 0, 0, 8];
