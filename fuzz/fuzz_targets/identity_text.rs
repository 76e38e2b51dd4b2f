//! Names, addresses and identity rules, as they stand in certificates and flags.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| cluster_tls::fuzzing::identity_text(text));
