//! One GET over HTTP/1.1, within limits of time and size.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::endpoint::PublicEndpoint;
use crate::http::fetch_error::FetchError;

/// How long a node may take and how much it may say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    connect: Duration,
    whole: Duration,
    body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            whole: WHOLE_TIMEOUT,
            body_bytes: BODY_BYTES_MAX,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Asks for `path`. Redirects are not followed: this is the one address that its user chose.
pub(crate) async fn get(
    endpoint: &PublicEndpoint,
    path: &'static str,
    limits: Limits,
) -> Result<Reply, FetchError> {
    let exchange = async {
        let stream = connect(endpoint, limits.connect).await?;
        let response = send(stream, request(endpoint, path)?).await?;
        let status = response.status();
        let body = read(response, limits.body_bytes).await?;
        Ok(Reply { status, body })
    };
    let within = timeout(limits.whole, exchange).await;
    within.unwrap_or(Err(FetchError::Slow(limits.whole)))
}

async fn connect(endpoint: &PublicEndpoint, limit: Duration) -> Result<TcpStream, FetchError> {
    let dialling = TcpStream::connect(endpoint.host_and_port());
    match timeout(limit, dialling).await {
        Ok(connected) => connected.map_err(FetchError::Unreachable),
        Err(_) => {
            let seconds = limit.as_secs_f64();
            let silent = format!("no answer within {seconds} s");
            let silent = io::Error::new(io::ErrorKind::TimedOut, silent);
            Err(FetchError::Unreachable(silent))
        }
    }
}

fn request(endpoint: &PublicEndpoint, path: &str) -> Result<Request<Empty<Bytes>>, FetchError> {
    Request::get(path)
        .header(header::HOST, endpoint.authority())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .body(Empty::new())
        .map_err(|error| FetchError::Unreachable(io::Error::other(error)))
}

async fn send(
    stream: TcpStream,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, FetchError> {
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(FetchError::NotHttp)?;
    // Ends with the runtime; what is wrong with it the sender and the body say, too.
    tokio::spawn(connection);
    sender
        .send_request(request)
        .await
        .map_err(FetchError::NotHttp)
}

async fn read(response: Response<Incoming>, limit_bytes: usize) -> Result<Bytes, FetchError> {
    let body = Limited::new(response.into_body(), limit_bytes);
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge(limit_bytes)),
        Err(_) => Err(FetchError::BrokenOff),
    }
}

/// Longer than any network takes that one would ask a node over.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A node answers from memory, or looks at its datasets for at most ten seconds.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A thousand members are less than that with the longest identities and reasons that there can be.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

const USER_AGENT: &str = concat!("spice/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::task::JoinSet;

    use super::*;

    fn url(listener: &TcpListener) -> PublicEndpoint {
        let address = listener.local_addr().unwrap();
        format!("http://{address}").parse().unwrap()
    }

    fn impatient() -> Limits {
        Limits {
            whole: Duration::from_millis(50),
            ..Limits::default()
        }
    }

    /// The listener takes the connection and the request, and says nothing.
    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = url(&listener);
        let silent = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_to_end(&mut Vec::new()).await
        };
        let asked = get(&endpoint, "/v1/status", impatient());
        let (answer, _) = tokio::join!(asked, silent);
        let error = answer.unwrap_err();
        assert!(matches!(error, FetchError::Slow(_)), "{error:?}");
    }

    /// The queue of a listener that accepts nobody is full, so that further calls get no answer.
    #[tokio::test]
    async fn an_address_that_takes_no_connection_is_given_up() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = JoinSet::new();
        for _ in 0..4 {
            waiting.spawn(TcpStream::connect(address));
        }
        let limits = Limits {
            connect: Duration::from_millis(50),
            ..Limits::default()
        };
        // Two get in, and their places are not given back as long as they are held.
        let _first = waiting.join_next().await;
        let _second = waiting.join_next().await;
        let error = get(&url(&listener), "/v1/status", limits)
            .await
            .unwrap_err();
        let told = error.to_string();
        assert!(told.contains("no answer within 0.05 s"), "{error:?}");
    }

    #[test]
    fn nobody_waits_longer_than_the_node_may_take() {
        let limits = Limits::default();
        assert!(limits.connect < limits.whole);
    }
}
