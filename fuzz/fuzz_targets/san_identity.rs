//! The identity in a certificate, down to single names.
#![no_main]

use cluster_tls_fuzz::der;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match data {
    [0, certificate @ ..] => cluster_tls::fuzzing::san_identity(certificate),
    [1, names @ ..] => cluster_tls::fuzzing::san_identity(&der::certificate(names)),
    _ => {
        let names = data.split(|octet| *octet == 0).map(name);
        let names = der::value(SEQUENCE, &names.collect::<Vec<_>>().concat());
        cluster_tls::fuzzing::san_identity(&der::certificate(&names));
    }
});

/// The first octet says what kind of name the others are.
fn name(piece: &[u8]) -> Vec<u8> {
    let (kind, text) = piece.split_first().unwrap_or((&0, &[]));
    der::value(KINDS[usize::from(*kind) % KINDS.len()], text)
}

const SEQUENCE: u8 = 0x30;

/// The tags of e-mail address, DNS name, URI, IP address and directory name (RFC 5280, 4.2.1.6).
const KINDS: [u8; 5] = [0x81, 0x82, 0x86, 0x87, 0xa4];
