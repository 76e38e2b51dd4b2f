//! Columns in Arrow's IPC format that other nodes sent, looked at before they are believed.
//!
//! Arrow's readers get memory for what a message claims to hold before they look at what it
//! holds, and a claim of some terabytes ends the process. A node's key can be stolen, so what
//! comes from another node is cut into messages and checked here first; readers then see whole
//! messages that hold what memory there is for. What this process wrote itself needs none of it.

mod claims;
mod lz4;
mod messages;

pub use claims::{IpcError, ensure_bounded};
pub use messages::{IpcMessage, IpcMessages, IpcPiece};
