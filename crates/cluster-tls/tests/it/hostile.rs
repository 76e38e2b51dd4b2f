//! Peers that stall, ramble or send too much in their handshakes.

use std::sync::Arc;
use std::time::Duration;

use cluster_tls::{AcceptLimits, Acceptor, RefusalReason};
use rcgen::CustomExtension;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::door::cluster;
use crate::loaded::credentials;
use crate::meeting::{Seen, accept_from, accept_refusal, acceptor, listen, refusal_of, speaking};
use crate::observed::within;
use crate::pki::{Authority, executor};
use crate::raw;

/// Room for a whole batch of stalling peers of one source, none of which is dropped for another.
fn roomy(handshake_timeout: Duration) -> AcceptLimits {
    AcceptLimits {
        handshake_timeout,
        concurrent_handshakes: BATCH,
        handshakes_per_source: BATCH,
        pending_per_source: BATCH,
        failure_burst: u32::MAX,
        ..AcceptLimits::default()
    }
}

/// As many connections at once as 1024 descriptors allow beside those of other tests.
const BATCH: usize = 100;

/// Lets a node accept connections whose clients stall in `flight`, each `step` bytes later than
/// the one before; the last one says all of it.
async fn reasons_of_stalling(flight: Flight, step: usize) -> Vec<Option<RefusalReason>> {
    let (node, member) = cluster();
    let acceptor = Acceptor::new(node, roomy(flight.patience()), Arc::new(Seen::default()));
    let (listener, address) = listen().await;
    let (mut reasons, mut length, mut whole) = (Vec::new(), 0, false);
    while !whole {
        let (mut handshakes, mut stalling) = (JoinSet::new(), Vec::new());
        while !whole && stalling.len() < BATCH {
            let mut tcp = TcpStream::connect(address).await.unwrap();
            let (accepted, remote) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            handshakes.spawn(async move {
                let outcome = acceptor.accept(accepted, remote).await;
                outcome.err().map(accept_refusal).map(|it| it.reason())
            });
            // Signatures, and with them flights, differ in length by a byte or two.
            let said = flight.bytes(&member, &mut tcp).await;
            whole = length >= said.len();
            let said = &said[..length.min(said.len())];
            tcp.write_all(said).await.unwrap();
            stalling.push(tcp);
            length += step;
        }
        reasons.extend(within(handshakes.join_all()).await);
    }
    reasons
}

/// What a client says before and after the server has spoken.
#[derive(Clone, Copy)]
enum Flight {
    Hello,
    Second,
}

impl Flight {
    async fn bytes(self, member: &Arc<ClientConfig>, tcp: &mut TcpStream) -> Vec<u8> {
        match self {
            Self::Hello => raw::client_hello(member),
            Self::Second => raw::second_flight(member, tcp).await,
        }
    }

    /// Long enough to get as far as the flight, for a whole batch on a busy machine.
    fn patience(self) -> Duration {
        match self {
            Self::Hello => Duration::from_millis(100),
            Self::Second => Duration::from_secs(2),
        }
    }
}

#[tokio::test]
async fn a_client_that_stalls_at_any_byte_of_its_hello_is_timed_out() {
    let reasons = reasons_of_stalling(Flight::Hello, 1).await;
    // The hybrid key share alone is more than a kilobyte.
    assert!(reasons.len() > 1200, "{}", reasons.len());
    for (length, reason) in reasons.iter().enumerate() {
        assert_eq!(*reason, Some(RefusalReason::Timeout), "{length} bytes");
    }
}

#[tokio::test]
async fn a_client_that_stalls_in_its_second_flight_is_timed_out() {
    let reasons = reasons_of_stalling(Flight::Second, 11).await;
    assert!(reasons.len() > 50, "{}", reasons.len());
    // The whole flight is the control: with it the handshake is done.
    let accepted = reasons.iter().filter(|reason| reason.is_none()).count();
    assert_eq!(accepted, 1, "{reasons:?}");
    let late = |reason: &Option<_>| *reason == Some(RefusalReason::Timeout);
    let stalled = reasons.iter().filter(|reason| late(reason)).count();
    assert_eq!(stalled, reasons.len() - 1, "{reasons:?}");
}

#[tokio::test]
async fn a_chain_of_a_hundred_certificates_is_refused() {
    let root = Authority::new("root");
    let node = credentials(&root, &root.executor());
    let padded = (1..100).fold(root.executor(), |issued, _| issued.with(root.der()));
    let refusal = refusal_of(&node, speaking(raw::client(Some(&padded)))).await;
    assert_eq!(refusal.reason(), RefusalReason::ChainTooLong, "{refusal}");
}

#[tokio::test]
async fn a_certificate_of_a_mebibyte_is_refused() {
    let authority = Authority::new("root");
    let node = credentials(&authority, &authority.executor());
    let client = |bytes: usize| {
        let mut params = executor();
        let (oid, padding) = ([1, 3, 6, 1, 4, 1, 99_999, 1], vec![0; bytes]);
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&oid, padding));
        speaking(raw::client(Some(&authority.issue(&params))))
    };
    let refusal = refusal_of(&node, client(1 << 20)).await;
    assert_eq!(refusal.reason(), RefusalReason::Malformed, "{refusal}");
    assert!(refusal.detail().contains("TooLarge"), "{refusal}");
    // The control: the extension is not what is wrong with it.
    assert!(accept_from(&acceptor(&node), client(1 << 10)).await.is_ok());
}

/// Says `bytes`, hears the answer out and leaves.
async fn ramble(mut tcp: TcpStream, bytes: Vec<u8>) {
    // The node may have seen enough before all is said.
    let _ = tcp.write_all(&bytes).await;
    let _ = tcp.shutdown().await;
    let _ = tcp.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn random_bytes_are_refused_and_harm_nobody() {
    let (node, member) = cluster();
    let acceptor = Acceptor::new(node, roomy(LONG), Arc::new(Seen::default()));
    let hello = raw::client_hello(&member);
    for seed in 0..600 {
        let mut noise = Noise(seed);
        let bytes = match seed % 3 {
            0 => noise.bytes(1, 600),
            1 => in_a_record(&noise.bytes(1, 600)),
            _ => noise.damage(&hello),
        };
        let rambling = accept_from(&acceptor, |tcp| ramble(tcp, bytes));
        let refusal = accept_refusal(within(rambling).await.unwrap_err());
        let reason = refusal.reason();
        assert_ne!(reason, RefusalReason::Timeout, "seed {seed}: {refusal}");
        assert_ne!(reason, RefusalReason::Io, "seed {seed}: {refusal}");
    }
    let member = ClientConfig::clone(&member);
    assert!(accept_from(&acceptor, speaking(member)).await.is_ok());
}

const LONG: Duration = Duration::from_secs(60);

/// Bytes inside of a handshake record, so that they come as far as the parser.
fn in_a_record(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[22, 3, 1], length.as_slice(), bytes].concat()
}

/// The same bytes for the same seed (SplitMix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn bytes(&mut self, least: usize, most: usize) -> Vec<u8> {
        let length = least + self.below(most - least);
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    /// A few bytes replaced.
    fn damage(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            bytes[at] = self.next().to_be_bytes()[0];
        }
        bytes
    }
}
