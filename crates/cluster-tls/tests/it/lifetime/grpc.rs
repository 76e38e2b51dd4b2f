//! The same for gRPC: connections end gracefully, and calls do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cluster_tls::{
    AcceptLimits, CloseCause, Credentials, DialLimits, Dialer, FileSource, NoEvents, PeerStream,
    Role, Side,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::Code;

use super::{AGEING, SHORT_LIVED};
use crate::calls::{Conversation, call, channel, serve, transport};
use crate::following::{BRISK, follow};
use crate::loaded::{Files, credentials, replace};
use crate::observed::{Ended, next, observer, silent, within};
use crate::pki::{Authority, member, numbered};

fn peer(authority: &Authority, name: &str) -> Credentials {
    credentials(authority, &authority.issue(&member("executor", name)))
}

/// An HTTP/2 frame: type, flags and payload.
type Frame = (u8, u8, Vec<u8>);

async fn frame(stream: &mut PeerStream<TcpStream>) -> Frame {
    let mut header = [0; 9];
    within(stream.read_exact(&mut header)).await.unwrap();
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    within(stream.read_exact(&mut payload)).await.unwrap();
    (header[3], header[4], payload)
}

/// The next frame of a kind.
async fn frame_of(stream: &mut PeerStream<TcpStream>, wanted: u8) -> Vec<u8> {
    loop {
        let (kind, _, payload) = frame(stream).await;
        if kind == wanted {
            return payload;
        }
    }
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// Last stream identifier and error code.
fn goaway(last: u32) -> Vec<u8> {
    [last.to_be_bytes(), [0; 4]].concat()
}

#[tokio::test]
async fn a_server_says_that_it_will_end_a_connection_then_from_where_on_and_then_ends_it() {
    let authority = Authority::new("root");
    let (events, mut observed) = observer();
    let server = transport(&peer(&authority, "e1"), SHORT_LIVED, events);
    let (address, _server) = serve(&server).await;
    let client = peer(&authority, "e2");
    let dialer = Dialer::new(client, DialLimits::default(), Arc::new(NoEvents));
    let mut stream = dialer.connect(&address, Role::Executor).await.unwrap();
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(hello).await.unwrap();
    assert_eq!(frame(&mut stream).await.0, SETTINGS);

    // Every stream is still welcome; those that are on their way arrive before the answer to the
    // ping, and after it the door is closed. No error in either.
    assert_eq!(frame_of(&mut stream, GOAWAY).await, goaway(0x7fff_ffff));
    let ping = frame_of(&mut stream, PING).await;
    let pong = [&[0, 0, 8, PING, ACK, 0, 0, 0, 0], ping.as_slice()].concat();
    stream.write_all(&pong).await.unwrap();
    assert_eq!(frame_of(&mut stream, GOAWAY).await, goaway(0));
    // Closed, and not cut: there was nothing under way to wait for.
    assert_eq!(within(stream.read(&mut [0; 1])).await.unwrap(), 0);
    let ended = next(&mut observed.endings).await;
    let expected = Ended::executor(Side::Accepted, "e2", CloseCause::MaxAge);
    assert_eq!(ended, expected);
}

/// A server that sends connections away soon, and a client that talks to it.
struct Talk {
    channel: cluster_tls::tonic::NodeChannel,
    server: crate::observed::Observed,
    started: Instant,
    _tasks: JoinSet<()>,
}

impl Talk {
    async fn begin() -> Self {
        let started = Instant::now();
        let authority = Authority::new("root");
        let (events, server) = observer();
        let serving = transport(&peer(&authority, "e1"), SHORT_LIVED, events);
        let (address, tasks) = serve(&serving).await;
        let limits = AcceptLimits::default();
        let client = transport(&peer(&authority, "e2"), limits, Arc::new(NoEvents));
        let channel = channel(&client, &address);
        call(&channel).await.unwrap();
        Self {
            channel,
            server,
            started,
            _tasks: tasks,
        }
    }
}

#[tokio::test]
async fn a_call_that_is_under_way_finishes_in_the_grace_while_new_ones_go_elsewhere() {
    let mut talk = Talk::begin().await;
    let mut under_way = Conversation::begin(&talk.channel).await.unwrap();
    let accepted = (Side::Accepted, Ok(()));
    assert_eq!(next(&mut talk.server.handshakes).await, accepted);
    // Until the server has asked to finish, which shows in a call that went to a new connection.
    while talk.server.handshakes.try_recv().is_err() {
        under_way.say().await.unwrap();
        // Each of these is on one connection or the other, and none is lost in between.
        call(&talk.channel).await.unwrap();
    }
    silent(&mut talk.server.endings);
    under_way.say().await.unwrap();
    under_way.end().await.unwrap();
    let ended = next(&mut talk.server.endings).await;
    let expected = Ended::executor(Side::Accepted, "e2", CloseCause::MaxAge);
    assert_eq!(ended, expected);
}

#[tokio::test]
async fn a_stream_that_outlives_the_grace_is_cut() {
    let mut talk = Talk::begin().await;
    let mut endless = Conversation::begin(&talk.channel).await.unwrap();
    let status = loop {
        if let Err(status) = endless.say().await {
            break status;
        }
    };
    assert_ne!(status.code(), Code::Ok, "{status}");
    assert!(talk.started.elapsed() >= SHORT_LIVED.max_age * 9 / 10);
    let ended = next(&mut talk.server.endings).await;
    assert_eq!(ended.cause, CloseCause::MaxAge);
    call(&talk.channel).await.unwrap();
}

/// Of several channels, so that their connections end while calls of others go on.
#[tokio::test(flavor = "multi_thread")]
async fn channels_make_call_after_call_across_the_ends_of_their_connections() {
    let authority = Authority::new("root");
    let (events, mut observed) = observer();
    let serving = transport(&peer(&authority, "e1"), AGEING, events);
    let (address, _tasks) = serve(&serving).await;
    let limits = AcceptLimits::default();
    let client = transport(&peer(&authority, "e2"), limits, Arc::new(NoEvents));
    let over = Arc::new(AtomicBool::new(false));
    let mut calling = JoinSet::new();
    for _ in 0..16 {
        let (channel, over) = (channel(&client, &address), Arc::clone(&over));
        calling.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                call(&channel).await.unwrap();
            }
        });
    }
    for _ in 0..16 {
        assert_eq!(next(&mut observed.endings).await.cause, CloseCause::MaxAge);
    }
    over.store(true, Ordering::SeqCst);
    while let Some(called) = within(calling.join_next()).await {
        called.unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_is_revoked_while_it_calls_and_is_called_is_cut_and_others_go_on() {
    let authority = Authority::new("root");
    let files = Files::of(&authority, &authority.issue(&numbered("node", 0x0101)));
    let denied = files.beside("denied", "# nobody yet\n");
    let source = FileSource::new(files.paths.clone()).with_deny_list(&denied);
    let mut node = follow(source, BRISK);
    let limits = AcceptLimits::default();
    let of_node = transport(&node.credentials, limits, Arc::clone(&node.events));
    let (at_node, _serving_node) = serve(&of_node).await;
    let revoked = credentials(&authority, &authority.issue(&numbered("e1", 0x0201)));
    let of_revoked = transport(&revoked, limits, Arc::new(NoEvents));
    let (at_revoked, _serving_revoked) = serve(&of_revoked).await;
    let of_other = transport(&peer(&authority, "e2"), limits, Arc::new(NoEvents));

    let (calling, called) = (
        channel(&of_revoked, &at_node),
        channel(&of_node, &at_revoked),
    );
    let other = channel(&of_other, &at_node);
    let mut accepted = Conversation::begin(&calling).await.unwrap();
    let mut dialled = Conversation::begin(&called).await.unwrap();
    let mut going_on = Conversation::begin(&other).await.unwrap();
    for conversation in [&mut accepted, &mut dialled, &mut going_on] {
        conversation.say().await.unwrap();
    }
    replace(&denied, "0201");
    // Nobody says anything: the connections end under calls that wait.
    accepted.end_abruptly().await;
    dialled.end_abruptly().await;
    let mut sides = Vec::new();
    for _ in 0..2 {
        let ended = next(&mut node.observed.endings).await;
        assert_eq!(ended.cause, CloseCause::Revoked);
        sides.push(ended.side);
    }
    assert!(sides.contains(&Side::Accepted) && sides.contains(&Side::Dialled));
    assert!(call(&calling).await.is_err());
    assert!(call(&called).await.is_err());
    going_on.say().await.unwrap();
    going_on.end().await.unwrap();
}
