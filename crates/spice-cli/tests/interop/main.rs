//! The certificate commands against programs of others, and against what machines do to programs:
//! kill them, interrupt them, run out of disk.
//!
//! It needs `openssl`, `certtool`, `keytool`, `strace`, `unshare`, `nsenter`, `setpriv` and
//! `kubernetes-validate`, and so it is not part of a plain `cargo test`: `cargo xtask interop` sees
//! to the tools and runs it. What is asserted of a tool is its verdict, or a word that its versions
//! agree on, and on failure everything the tool has said is shown.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod crashes;
#[path = "../cli/fixture.rs"]
#[expect(dead_code, reason = "the other target needs more of it")]
mod fixture;
mod full_disk;
mod gnutls;
mod interrupts;
mod java;
mod kubernetes;
mod machine;
mod openssl_certificates;
mod openssl_keys;
mod openssl_lists;
mod openssl_requests;
mod operation;
mod permissions;
mod soundness;
mod tool;
mod traced;
