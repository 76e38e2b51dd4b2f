//! Other people's TLS: OpenSSL and GnuTLS at the other end, and certificates that OpenSSL, GnuTLS
//! and cfssl have made.
//!
//! It needs `openssl`, `gnutls-cli`, `gnutls-serv`, `certtool`, `cfssl` and `cfssljson`, and so it
//! is not part of a plain `cargo test`: `cargo xtask interop` sees to the tools and runs it. What
//! is asserted of a tool is the number of an alert or a word that its versions agree on, and on
//! failure everything the tool has said is shown.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod algorithms;
mod certtool;
mod cfssl;
mod gnutls_client;
mod gnutls_server;
mod issuers;
mod key_files;
mod node;
mod openssl;
mod openssl_client;
mod openssl_server;
mod pem_files;
mod revocation;
mod tool;
