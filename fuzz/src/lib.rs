//! Formats around made-up bytes.
//!
//! Nested lengths and base64 act like checksums: a fuzzer without a corpus does not get past
//! them. The targets therefore let it choose the contents and build the frame themselves.

pub mod der;
mod pem;

pub use crate::pem::pem;
