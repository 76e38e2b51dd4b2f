//! From the bytes of a block to rows.

use std::collections::HashMap;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::convert::fb_to_schema;
use datafusion::arrow::ipc::reader::{read_dictionary, read_record_batch};
use prost::bytes::Bytes;
use spice_runtime::{IpcError, IpcMessage, IpcMessages, IpcPiece};
use thiserror::Error;

/// What another executor sent is no block of the shuffle that was asked for.
#[derive(Debug, Error)]
pub(super) enum BlockError {
    #[error(transparent)]
    Message(#[from] IpcError),
    #[error("it cannot be decoded")]
    Rows(#[from] ArrowError),
    #[error("it has other columns than were asked for")]
    Columns,
    #[error("it has rows before it says of what")]
    NoColumns,
    #[error("it is cut short: its last stream has no end")]
    NoEnd,
}

/// Reads one block: the files of a shuffle are one or more streams of Arrow's format.
pub(super) struct Decoder {
    expected: SchemaRef,
    messages: IpcMessages,
    /// The stream that is being read.
    current: Option<Current>,
}

struct Current {
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    /// Whether anything came behind the columns.
    filled: bool,
}

impl Decoder {
    pub(super) fn new(expected: SchemaRef) -> Self {
        Self {
            expected,
            messages: IpcMessages::default(),
            current: None,
        }
    }

    /// Takes the next bytes, once [`next`](Self::next) has given `None`.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.messages.push(piece);
    }

    /// The next rows; `None` until more bytes come.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, BlockError> {
        while let Some(piece) = self.messages.next()? {
            match piece {
                IpcPiece::End => self.current = None,
                IpcPiece::Message(message) => {
                    let rows = self.read(&message)?;
                    if rows.is_some() {
                        return Ok(rows);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether the block may end here: each stream that Ballista writes says where it ends, and one
    /// that is cut between two messages of rows has lost the others.
    ///
    /// Ballista 55 reads a sorted file through two handles that share one position
    /// (`flight_service.rs`, `stream_sort_shuffle_block`). So what it sends as a partition is the
    /// partition and, as long as the columns of a stream with its end are, the beginning of the
    /// next: its columns, and the eight bytes that the message behind them begins with, or fewer
    /// or more where the inputs of a union disagree on which columns hold no nulls. A block that is
    /// cut there looks the same.
    pub(super) fn finish(&self) -> Result<(), BlockError> {
        match (&self.current, self.messages.begun_bytes()) {
            (None, 0) => Ok(()),
            (Some(of_the_next), begun) if !of_the_next.filled && begun <= self.spread() => Ok(()),
            (Some(_), 0) => Err(BlockError::NoEnd),
            _ => Err(IpcError::Torn.into()),
        }
    }

    /// What may come of the message behind the columns of the next stream.
    fn spread(&self) -> usize {
        MESSAGE_HEAD_BYTES + NULLABLE_BYTES * self.expected.fields().len()
    }

    fn read(&mut self, message: &IpcMessage) -> Result<Option<RecordBatch>, BlockError> {
        let header = message.header()?;
        if let Some(schema) = header.header_as_schema() {
            self.begin(fb_to_schema(schema))?;
            return Ok(None);
        }
        let version = header.version();
        let body = Buffer::from(message.body());
        let current = self.current.as_mut().ok_or(BlockError::NoColumns)?;
        current.filled = true;
        let Current {
            schema,
            dictionaries,
            ..
        } = current;
        if let Some(dictionary) = header.header_as_dictionary_batch() {
            read_dictionary(&body, dictionary, schema, dictionaries, &version)?;
            return Ok(None);
        }
        let batch = header.header_as_record_batch().ok_or(IpcError::Torn)?;
        let rows = read_record_batch(&body, batch, schema.clone(), dictionaries, None, &version)?;
        Ok(Some(rows))
    }

    fn begin(&mut self, schema: Schema) -> Result<(), BlockError> {
        let (theirs, ours) = (schema.fields(), self.expected.fields());
        let alike = theirs.len() == ours.len()
            && theirs.iter().zip(ours).all(|(theirs, ours)| {
                let theirs = theirs.data_type();
                theirs.equals_datatype(ours.data_type())
            });
        if !alike {
            return Err(BlockError::Columns);
        }
        self.current = Some(Current {
            schema: schema.into(),
            dictionaries: HashMap::new(),
            filled: false,
        });
        Ok(())
    }
}

/// What a message begins with: a mark, and how long its header is.
const MESSAGE_HEAD_BYTES: usize = 8;

/// By how much the description of a column grows, at most, when it may hold nulls.
const NULLABLE_BYTES: usize = 16;

#[cfg(test)]
mod tests;
