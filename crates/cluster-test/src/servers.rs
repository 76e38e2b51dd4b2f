//! Servers of others that hold data: an S3-compatible one and PostgreSQL, each on a port of its
//! own and ended when dropped; and a file that is served to nobody.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

mod held_file;
mod postgres;
mod process;
mod s3;

pub use held_file::HeldFile;
pub use postgres::PostgresServer;
pub use s3::{Credentials, S3Server, StoppedS3Server};

/// Some letters and digits that no other server has, for a password or the name of a key.
fn random_word() -> String {
    // The seed of a hash map is the random number that needs no crate.
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}
