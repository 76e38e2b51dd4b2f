//! What the `spice` command does, seen from outside: arguments in, output, files and exit code out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bundle;
mod completions;
mod connect;
mod csr;
mod fixture;
mod http;
mod inspect;
mod machine;
mod man;
mod minted;
mod prompt;
mod server;
mod sql;
mod tls;
mod usage;
mod verify;
