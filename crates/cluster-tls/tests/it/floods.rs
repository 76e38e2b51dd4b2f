//! Members that flood: HTTP/2 by hand, spoken by somebody whom the node lets in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_tls::Role;
use cluster_tls::tonic::NodeChannel;
use rustls::ClientConfig;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tonic::transport::Server;

use crate::door::shake_hands;
use crate::frames::{
    CANCEL, CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Flood, HEADERS, Heard, PING,
    RST_STREAM, Reach, SETTINGS, WINDOW_UPDATE, begin, call_headers, frame,
};
use crate::loaded::credentials;
use crate::observed::within;
use crate::pki::Authority;
use crate::raw;
use crate::tonic::{WhoAmI, ask, channel, serve_router, transport};

/// A server as nodes run it, a member that misbehaves and one that works.
struct Scene {
    address: SocketAddr,
    member: Arc<ClientConfig>,
    channel: NodeChannel,
    _server: JoinSet<()>,
}

impl Scene {
    async fn new() -> Self {
        Self::under(Server::builder()).await
    }

    /// The same with a server that was configured by whoever runs it.
    async fn under(mut server: Server) -> Self {
        let authority = Authority::new("root");
        let node = credentials(&authority, &authority.executor());
        let router = server.add_service(WhoAmI);
        let (address, server) = serve_router(&transport(&node), router).await;
        let channel = channel(&transport(&node), address, Role::Executor);
        ask(channel.clone()).await.unwrap();
        Self {
            address,
            member: Arc::new(raw::client(Some(&authority.executor()))),
            channel,
            _server: server,
        }
    }

    /// Connects as a member, with a receive buffer of a few frames, and begins HTTP/2.
    async fn connect(&self) -> (Heard, Flood) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let tcp = socket.connect(self.address).await.unwrap();
        begin(shake_hands(&self.member, tcp).await).await
    }

    /// Calls of the member that works, one after the other, until `attack` is over, and at least
    /// twenty; what came of the attack. No call may take long.
    async fn calls_beside<T: Send + 'static>(
        &self,
        attack: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let mut attacking = JoinSet::new();
        attacking.spawn(attack);
        let mut attacked = None;
        let mut calls = 0;
        let mut slowest = Duration::ZERO;
        while calls < 20 || attacked.is_none() {
            let started = Instant::now();
            ask(self.channel.clone()).await.unwrap();
            slowest = slowest.max(started.elapsed());
            calls += 1;
            attacked = attacked.or_else(|| attacking.try_join_next());
        }
        assert!(slowest < SLOW, "{slowest:?}");
        attacked.unwrap().unwrap()
    }
}

/// A call takes a millisecond here; a busy machine may make that many more, but not this many.
const SLOW: Duration = Duration::from_secs(2);

/// Calls that are taken back at once, on streams of their own, `count` at a time.
fn resets(first: u32, count: u32, taken_back: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let streams = (first..).step_by(2).take(usize::try_from(count).unwrap());
    let pairs = streams.map(|stream| {
        let mut pair = frame(HEADERS, END_HEADERS, stream, &call_headers());
        pair.extend(taken_back(stream));
        pair
    });
    pairs.collect::<Vec<_>>().concat()
}

/// That the connection ended, and for the flood where the reason could be read: what is under way
/// when a connection is closed may overtake its last words.
fn assert_told_to_calm_down(reach: &Reach, goaway: Option<u32>) {
    assert_eq!(*reach, Reach::Cut);
    assert!(
        matches!(goaway, None | Some(ENHANCE_YOUR_CALM)),
        "{goaway:?}"
    );
}

/// A hundred thousand calls that are taken back at once, or as many as the node puts up with.
async fn reset_rapidly(mut flood: Flood, taken_back: fn(u32) -> Vec<u8>) -> Reach {
    for batch in 0..1000 {
        let frames = resets(1 + batch * 200, 100, taken_back);
        match flood.send(&frames, 1).await {
            Reach::All => {}
            ended => return ended,
        }
    }
    Reach::All
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_reset_ends_the_connection_and_nobody_elses() {
    let scene = Scene::new().await;
    let (heard, flood) = scene.connect().await;
    let attack = async {
        let cancel = |stream| frame(RST_STREAM, 0, stream, &CANCEL);
        tokio::join!(reset_rapidly(flood, cancel), heard.out())
    };
    let (reach, goaway) = scene.calls_beside(within(attack)).await;
    assert_told_to_calm_down(&reach, goaway);
}

/// tonic lifts two bounds of hyper's unless they are asked for: on streams that are reset for an
/// error of the peer (CVE-2025-8671), and on streams at the same time.
fn bounded() -> Server {
    Server::builder()
        .http2_max_local_error_reset_streams(Some(1024))
        .max_concurrent_streams(100)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_that_the_node_is_made_to_send_end_the_connection_and_nobody_elses() {
    let scene = Scene::under(bounded()).await;
    let (heard, flood) = scene.connect().await;
    let attack = async {
        // A window beyond its maximum is an error of the stream (RFC 9113, section 6.9.1).
        let provoke = |stream| frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]);
        tokio::join!(reset_rapidly(flood, provoke), heard.out())
    };
    let (reach, goaway) = scene.calls_beside(within(attack)).await;
    assert_told_to_calm_down(&reach, goaway);
}

#[tokio::test]
async fn a_bound_on_streams_at_the_same_time_is_told_to_every_connection() {
    let scene = Scene::under(bounded()).await;
    let (mut heard, _flood) = scene.connect().await;
    let (kind, settings) = within(heard.frame()).await.unwrap();
    assert_eq!(kind, SETTINGS);
    let (entries, _) = settings.as_chunks::<6>();
    let max_concurrent_streams = [0, 3, 0, 0, 0, 100];
    assert!(entries.contains(&max_concurrent_streams), "{entries:?}");
}

/// A flood of frames that are to be answered, by somebody who reads no answer.
async fn flood_unread(frames: &[u8]) {
    let scene = Scene::new().await;
    let (heard, mut flood) = scene.connect().await;
    let frames = frames.repeat(1000);
    let attack = async move {
        let reach = flood.send(&frames, 5000).await;
        // The answers pile up as long as this end is there and not read.
        drop(heard);
        reach
    };
    let reach = scene.calls_beside(within(attack)).await;
    // Answers that cannot be sent are not collected: the node stops reading, or hangs up.
    assert_ne!(reach, Reach::All);
    ask(scene.channel.clone()).await.unwrap();
}

/// A flood of frames that are to be answered, by somebody who reads the answers.
async fn flood_read(frames: &[u8]) {
    let scene = Scene::new().await;
    let (heard, mut flood) = scene.connect().await;
    let frames = frames.repeat(1000);
    let attack = async move {
        let sending = async {
            let reach = flood.send(&frames, 100).await;
            flood.end().await;
            reach
        };
        tokio::join!(sending, heard.out()).0
    };
    scene.calls_beside(within(attack)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_nobody_reads_the_answers_of_are_not_taken_for_ever() {
    flood_unread(&frame(SETTINGS, 0, 0, &[])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_that_nobody_reads_the_answers_of_are_not_taken_for_ever() {
    flood_unread(&frame(PING, 0, 0, &[7; 8])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_settings_and_pings_slow_nobody_else_down() {
    flood_read(&frame(SETTINGS, 0, 0, &[])).await;
    flood_read(&frame(PING, 0, 0, &[7; 8])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_never_end_end_the_connection() {
    let scene = Scene::new().await;
    let (heard, mut flood) = scene.connect().await;
    let attack = async move {
        let begun = frame(HEADERS, 0, 1, &call_headers());
        assert_eq!(flood.send(&begun, 1).await, Reach::All);
        // Each a header of its own, so that no single one is too long.
        let header = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat();
        let more = frame(CONTINUATION, 0, 1, &header.repeat(100));
        tokio::join!(flood.send(&more, 5000), heard.out())
    };
    let (reach, goaway) = scene.calls_beside(within(attack)).await;
    assert_told_to_calm_down(&reach, goaway);
}

/// What the node answers to a call with so many headers of a hundred bytes each.
async fn answer_to_headers(count: usize) -> Vec<u8> {
    let scene = Scene::new().await;
    let (heard, mut flood) = scene.connect().await;
    let header = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let begun = frame(HEADERS, END_STREAM, 1, &call_headers());
    let rest = header.repeat(count);
    let mut parts: Vec<_> = rest.chunks(16_000).collect();
    let last = parts.pop().unwrap();
    let between = parts
        .iter()
        .flat_map(|part| frame(CONTINUATION, 0, 1, part));
    let frames: Vec<_> = begun.into_iter().chain(between).collect();
    let end = frame(CONTINUATION, END_HEADERS, 1, last);
    flood.send(&[frames, end].concat(), 1).await;
    heard.answer().await
}

#[tokio::test]
async fn a_header_list_of_64_kib_is_refused() {
    // RFC 7541, appendix A: entry 8 of the static table is the status 200.
    assert_eq!(answer_to_headers(50).await[0], 0x88);
    let refused = answer_to_headers(640).await;
    assert_ne!(refused[0], 0x88);
}
