//! What the `spice` command does, seen from outside: arguments in, output, files and exit code out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod add;
mod batch;
mod bundle;
mod completions;
mod connect;
mod csr;
mod fixture;
mod golden;
mod habits;
mod http;
mod init;
mod inspect;
mod list;
mod machine;
mod man;
mod minted;
mod passphrases;
mod prompt;
mod renew;
mod revoke;
mod rotate;
mod server;
mod sign;
mod sql;
mod terminal;
mod usage;
mod verify;
