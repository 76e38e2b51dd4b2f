//! An HTTP server that gives every request the same answer, byte for byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Ends with the value.
pub(crate) struct FakeHttp {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl FakeHttp {
    /// Answers with this document.
    pub(crate) fn json(document: &Value) -> Self {
        Self::answer("200 OK", "application/json", &document.to_string())
    }

    /// Answers with an error in the shape of a node's.
    pub(crate) fn error(status: &str, code: &str, message: &str) -> Self {
        let document = serde_json::json!({"error": {"code": code, "message": message}});
        Self::answer(status, "application/json", &document.to_string())
    }

    pub(crate) fn answer(status: &str, content_type: &str, body: &str) -> Self {
        let length = body.len();
        Self::raw(&format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             \r\n{body}"
        ))
    }

    /// Answers with exactly these bytes, and hangs up.
    pub(crate) fn raw(answer: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (heard, answer) = (Arc::clone(&heads), answer.to_owned());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &answer, &heard).await;
            }
        });
        Self {
            address,
            heads,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Reads a request without a body, notes its head, and answers it.
async fn serve(mut stream: TcpStream, answer: &str, heard: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    heard.lock().unwrap().push(String::from_utf8(head).unwrap());
    // Whoever hangs up has heard enough.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
