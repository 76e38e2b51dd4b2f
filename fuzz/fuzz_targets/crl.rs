//! A file of revocation lists.
#![no_main]

use cluster_tls_fuzz::{der, pem};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let list = match data {
        [0, text @ ..] => return cluster_tls::fuzzing::revocations(text),
        [1, list @ ..] => list.to_vec(),
        [2, certificates @ ..] => der::revocation_list(certificates, LIST_NUMBER),
        [_, extensions @ ..] => der::revocation_list(&[], extensions),
        [] => return,
    };
    cluster_tls::fuzzing::revocations(&pem("X509 CRL", &list));
});

/// The extension cRLNumber with the number 1, without which a list is not believed to be one.
const LIST_NUMBER: &[u8] = &[
    0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x14, 0x04, 0x03, 0x02, 0x01, 0x01,
];
