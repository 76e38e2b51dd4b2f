//! Certificates that are no longer believed although their dates are fine.

mod handshake;
mod lists;
mod live;
mod race;
