//! What a stranger sends before anything is known about it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|seen: &[u8]| cluster_tls::fuzzing::first_bytes(seen));
