//! What a message claims about itself.

use datafusion::arrow::ipc::{CompressionType, Message, RecordBatch};
use thiserror::Error;

use super::lz4;

/// What another node sent is not what nodes of a cluster send.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IpcError {
    /// It is not cut into messages as Arrow's are.
    #[error("its messages are torn")]
    Torn,
    /// It says that it is larger than what anybody sends.
    #[error("it claims to hold {claimed} {unit}, and {limit} are read at most")]
    Claims {
        /// How much, or the sum of it.
        claimed: u64,
        /// Of what.
        unit: &'static str,
        /// How much is read.
        limit: u64,
    },
    /// A column lies outside of the message that it came in.
    #[error("a column lies outside of its message")]
    Outside,
    /// A compressed column is none.
    #[error("a column is not compressed as its message says")]
    Compression,
    /// A dictionary that adds to one that came before, which nobody here writes.
    #[error("a dictionary grows")]
    Growing,
}

/// Refuses a message that claims to be larger than any block of rows is, compressed or not, and one
/// whose columns lie outside of `body`.
///
/// # Errors
///
/// [`IpcError`] says what is wrong. Messages of other kinds than rows and dictionaries pass: they
/// hold nothing but what came with them.
pub fn ensure_bounded(message: Message<'_>, body: &[u8]) -> Result<(), IpcError> {
    let dictionary = message.header_as_dictionary_batch();
    if dictionary.is_some_and(|dictionary| dictionary.isDelta()) {
        return Err(IpcError::Growing);
    }
    let batch = message
        .header_as_record_batch()
        .or_else(|| dictionary.and_then(|dictionary| dictionary.data()));
    batch.map_or(Ok(()), |batch| batch_is_bounded(batch, body))
}

fn batch_is_bounded(batch: RecordBatch<'_>, body: &[u8]) -> Result<(), IpcError> {
    within("rows", batch.length(), ROWS_LIMIT)?;
    for node in batch.nodes().into_iter().flatten() {
        within("values", node.length(), ROWS_LIMIT)?;
    }
    let codec = batch.compression().map(|compression| compression.codec());
    let mut claimed: u64 = 0;
    for buffer in batch.buffers().into_iter().flatten() {
        let column = slice(body, buffer.offset(), buffer.length()).ok_or(IpcError::Outside)?;
        // Columns may share bytes, and the reader copies each that lies where it cannot be used.
        let held = match codec {
            Some(codec) => held(codec, column)?,
            None => bytes_of(column),
        };
        claimed = claimed.saturating_add(held);
    }
    refuse_above("bytes", claimed, BYTES_LIMIT)
}

fn bytes_of(column: &[u8]) -> u64 {
    u64::try_from(column.len()).unwrap_or(u64::MAX)
}

fn slice(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    body.get(start..end)
}

/// What a compressed column says that it holds, or holds at most, whichever is more: LZ4 is read to
/// its end whatever was said about it.
fn held(codec: CompressionType, column: &[u8]) -> Result<u64, IpcError> {
    let Some((claimed, compressed)) = column.split_first_chunk::<8>() else {
        let empty = column.is_empty();
        return if empty {
            Ok(0)
        } else {
            Err(IpcError::Compression)
        };
    };
    let Ok(claimed) = u64::try_from(i64::from_le_bytes(*claimed)) else {
        // A column that stayed as it was says minus one; the reader refuses what is below that.
        return Ok(bytes_of(compressed));
    };
    if claimed == 0 || claimed > BYTES_LIMIT || codec != CompressionType::LZ4_FRAME {
        return Ok(claimed);
    }
    let most = lz4::most_bytes(compressed).ok_or(IpcError::Compression)?;
    Ok(claimed.max(most))
}

/// The length of a message's body, if there is memory for it.
pub(super) fn body_length(message: Message<'_>) -> Result<usize, IpcError> {
    let length = within("bytes", message.bodyLength(), BYTES_LIMIT)?;
    usize::try_from(length).map_err(|_| IpcError::Torn)
}

fn within(unit: &'static str, claimed: i64, limit: u64) -> Result<u64, IpcError> {
    let claimed = u64::try_from(claimed).map_err(|_| IpcError::Torn)?;
    refuse_above(unit, claimed, limit)?;
    Ok(claimed)
}

pub(super) fn refuse_above(unit: &'static str, claimed: u64, limit: u64) -> Result<(), IpcError> {
    if claimed > limit {
        return Err(IpcError::Claims {
            claimed,
            unit,
            limit,
        });
    }
    Ok(())
}

/// A block has thousands of rows; a thousand times as much as most take.
const BYTES_LIMIT: u64 = 1024 * 1024 * 1024;

/// Rows and values without bytes of their own, like nulls, cost memory too once they are copied.
const ROWS_LIMIT: u64 = 1024 * 1024 * 1024;

#[cfg(test)]
mod tests;
