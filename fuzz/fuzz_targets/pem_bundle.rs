//! A file of certificates: sections, and what stands between them.
#![no_main]

use cluster_tls_fuzz::pem;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut text = Vec::new();
    // Zero octets part the input into text and contents of sections, by turns.
    for (index, piece) in data.split(|octet| *octet == 0).enumerate() {
        if index % 2 == 0 {
            text.extend(piece);
        } else {
            text.extend(pem("CERTIFICATE", piece));
        }
    }
    cluster_tls::fuzzing::pem_bundle(&text);
});
