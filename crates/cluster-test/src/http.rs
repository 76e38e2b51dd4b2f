//! HTTP as plain text over a socket: a client whose every byte a test knows.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, put together where it came in chunks.
    pub body: String,
}

/// Sends `GET path`.
///
/// # Errors
///
/// When the server cannot be reached, or does not answer in HTTP within half a minute.
pub async fn http_get(server: SocketAddr, path: &str) -> Result<HttpReply> {
    exchange(server, &request("GET", server, path, ANY_TYPE, "")).await
}

/// Sends `POST path` with `body` as plain text.
///
/// # Errors
///
/// As [`http_get`].
pub async fn http_post(server: SocketAddr, path: &str, body: &str) -> Result<HttpReply> {
    http_post_accepting(server, path, body, ANY_TYPE).await
}

/// As [`http_post`], asking for an answer of the media type `accept`.
///
/// # Errors
///
/// As [`http_get`].
pub async fn http_post_accepting(
    server: SocketAddr,
    path: &str,
    body: &str,
    accept: &str,
) -> Result<HttpReply> {
    exchange(server, &request("POST", server, path, accept, body)).await
}

fn request(method: &str, server: SocketAddr, path: &str, accept: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\
         Accept: {accept}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

async fn exchange(server: SocketAddr, request: &str) -> Result<HttpReply> {
    let answer = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(PATIENCE, answer)
        .await
        .with_context(|| format!("{server} does not answer"))?
        .with_context(|| format!("no answer from {server}"))?;
    parse(&String::from_utf8(answer).context("the answer is not text")?)
}

fn parse(answer: &str) -> Result<HttpReply> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer has no end of its header")?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
        .with_context(|| format!("the answer has no status: {head:?}"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = ("transfer-encoding".to_owned(), "chunked".to_owned());
    let body = if headers.contains(&chunked) {
        join_chunks(body)?
    } else {
        body.to_owned()
    };
    Ok(HttpReply {
        status,
        headers,
        body,
    })
}

fn join_chunks(mut rest: &str) -> Result<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").context("a chunk has no size")?;
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk has no size")?;
        if size == 0 {
            return Ok(body);
        }
        let Some(chunk) = after.get(..size) else {
            bail!("the answer ends within a chunk");
        };
        body.push_str(chunk);
        rest = after[size..].strip_prefix("\r\n").unwrap_or_default();
    }
}

/// What a client sends that does not care.
const ANY_TYPE: &str = "*/*";

/// Longer than any query of a test takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_chunks_is_put_together() {
        let reply = parse(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nspic\r\n2\r\ne!\r\n0\r\n\r\n",
        )
        .unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (200, "spice!"));
    }

    #[test]
    fn an_answer_that_stops_within_a_chunk_is_an_error() {
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nspice";
        assert!(parse(answer).is_err());
        assert!(parse("HTTP/2 200\r\n\r\n").is_err());
    }

    #[test]
    fn a_plain_body_and_its_headers_are_kept() {
        let reply = parse("HTTP/1.1 503 Nope\r\nX-Reason: tired\r\n\r\nnot ready").unwrap();
        assert_eq!(reply.status, 503);
        assert_eq!(reply.headers, [("x-reason".to_owned(), "tired".to_owned())]);
        assert_eq!(reply.body, "not ready");
    }
}
