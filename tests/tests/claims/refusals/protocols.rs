//! Peers that do not speak what the internal port speaks: TLS 1.3 with HTTP/2 inside.

use anyhow::{Result, ensure};
use tonic::transport::Endpoint;

use super::stranger::{Answer, Stranger, speak};
use super::{SOURCE, Scene, source};

#[tokio::test]
async fn plaintext_is_closed_without_a_word_and_called_by_its_name_in_the_log() -> Result<()> {
    let scene = Scene::start().await?;
    let spoken: [(u8, &[u8], &str); 4] = [
        (
            2,
            b"GET /v1/ready HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP without TLS",
        ),
        (3, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "gRPC without TLS"),
        (4, b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        (5, b"\0\0\0\x2a\x01\x02\x03", "not TLS"),
    ];
    for (last, words, name) in spoken {
        let heard = speak(source(last), scene.address()?, words).await?;
        ensure!(heard.is_empty(), "the server said {heard:?} to {name}");
        let line = scene.refusal(source(last), "plaintext").await?;
        let detail = line.field("detail").unwrap_or_default();
        ensure!(detail.contains(name), "{}", line.raw());
        scene.serves_members().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_grpc_client_without_tls_does_not_get_through() -> Result<()> {
    let scene = Scene::start().await?;
    let channel = Endpoint::from_shared(format!("http://{}", scene.address()?))?.connect_lazy();
    let mut client = cluster_proto::pb::cluster_service_client::ClusterServiceClient::new(channel);
    let request = cluster_proto::pb::GetSchedulersRequest {};
    let answer = client.get_schedulers(request).await;
    ensure!(answer.is_err(), "plaintext got {answer:?}");
    scene.refusal(SOURCE, "plaintext").await?;
    scene.serves_members().await
}

#[tokio::test]
async fn a_client_of_tls_1_2_is_refused_for_its_version() -> Result<()> {
    let scene = Scene::start().await?;
    let heard = speak(source(2), scene.address()?, &tls12_client_hello()).await?;
    ensure!(heard.get(5..) == Some(PROTOCOL_VERSION_ALERT), "{heard:?}");
    scene.refusal(source(2), "protocol_version").await?;
    scene.serves_members().await
}

#[tokio::test]
async fn a_member_that_does_not_offer_http2_is_refused() -> Result<()> {
    let scene = Scene::start().await?;
    let silent = Stranger::with(&scene.proper()?).offering([]);
    scene.refuses(silent, "alpn").await?;
    let other = Stranger::with(&scene.proper()?).offering([b"http/1.1"]);
    let answer = other.knock(source(2), scene.address()?).await?;
    ensure!(matches!(answer, Answer::Closed(_)), "{answer:?}");
    scene.refusal(source(2), "alpn").await?;
    Ok(())
}

#[tokio::test]
async fn noise_within_a_handshake_record_is_refused_as_malformed() -> Result<()> {
    let scene = Scene::start().await?;
    let noise = [b"\x16\x03\x01\x00\x40".as_slice(), &[0xa5; 64]].concat();
    speak(source(2), scene.address()?, &noise).await?;
    scene.refusal(source(2), "malformed").await?;
    let endless = [b"\x16\x03\x01\xff\xff".as_slice(), &[0xa5; 0xffff]].concat();
    speak(source(3), scene.address()?, &endless).await?;
    scene.refusal(source(3), "malformed").await?;
    scene.serves_members().await
}

#[tokio::test]
async fn a_peer_that_leaves_without_a_word_is_told_from_one_that_breaks_off() -> Result<()> {
    let scene = Scene::start().await?;
    for (last, words) in [(2, b"".as_slice()), (3, b"\x16\x03\x01")] {
        let mut socket = super::stranger::connect(source(last), scene.address()?).await?;
        tokio::io::AsyncWriteExt::write_all(&mut socket, words).await?;
        drop(socket);
    }
    let silent = scene.refusal(source(2), "closed").await?;
    let broken = scene.refusal(source(3), "closed").await?;
    ensure!(silent.field("detail") != broken.field("detail"));
    scene.serves_members().await
}

/// The smallest ClientHello that offers TLS 1.2 and nothing newer (RFC 5246, 7.4.1.2).
fn tls12_client_hello() -> Vec<u8> {
    let extensions: Vec<u8> = [
        b"\x00\x0a\x00\x04\x00\x02\x00\x17".as_slice(), // group P-256
        b"\x00\x0b\x00\x02\x01\x00",                    // uncompressed points
        b"\x00\x0d\x00\x04\x00\x02\x04\x03",            // ECDSA with SHA-256
        b"\x00\x17\x00\x00",                            // extended master secret
    ]
    .concat();
    let hello = [
        b"\x03\x03".as_slice(),
        &[7; 32],            // random
        b"\x00",             // no session
        b"\x00\x02\xc0\x2b", // ECDHE-ECDSA-AES128-GCM-SHA256
        b"\x01\x00",         // no compression
        b"\x00",
        &prefixed(&extensions), // their length is below 256, so its first byte is the zero above
    ]
    .concat();
    let handshake = [b"\x01\x00\x00".as_slice(), &prefixed(&hello)].concat();
    [b"\x16\x03\x01\x00".as_slice(), &prefixed(&handshake)].concat()
}

/// The bytes behind their length in one byte.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    [&[length], bytes].concat()
}

/// Fatal (2), protocol_version (70).
const PROTOCOL_VERSION_ALERT: &[u8] = &[2, 70];
