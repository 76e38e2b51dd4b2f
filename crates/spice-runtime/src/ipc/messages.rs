//! Bytes as they come, cut into messages.

use bytes::{Bytes, BytesMut};
use datafusion::arrow::ipc::{Message, root_as_message};

use super::claims::{IpcError, body_length, ensure_bounded, refuse_above};

/// Streams of messages, or a file of them, in pieces that end anywhere. What lies within one piece is
/// not copied, and nothing takes more memory than what has come.
#[derive(Debug, Default)]
pub struct IpcMessages {
    /// What came last, less what was taken.
    piece: Bytes,
    /// The beginning of a message that ends in another piece, never more than that message.
    begun: BytesMut,
    /// How long the message is that is being read, once its header is here.
    lengths: Option<Lengths>,
    place: Place,
}

/// Where in which of Arrow's formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Beginning,
    /// Between the name of the format and the first message.
    Padding,
    Stream,
    File,
    /// In the table of contents, which nobody needs who reads from the front.
    Contents,
}

#[derive(Clone, Copy, Debug)]
struct Lengths {
    /// Where the body begins.
    body_at: usize,
    whole: usize,
}

/// What a stream consists of.
#[derive(Clone, Debug)]
pub enum IpcPiece {
    /// A message that may be read.
    Message(IpcMessage),
    /// The end of a stream; another may follow it.
    End,
}

/// A whole message whose claims were checked.
#[derive(Clone, Debug)]
pub struct IpcMessage {
    bytes: Bytes,
    body_at: usize,
}

impl IpcMessage {
    /// What it says about itself.
    ///
    /// # Errors
    ///
    /// [`IpcError::Torn`]; never for a message of [`IpcMessages`], which has looked.
    pub fn header(&self) -> Result<Message<'_>, IpcError> {
        root_as_message(&self.bytes[HEAD..self.body_at]).map_err(|_| IpcError::Torn)
    }

    /// Its columns.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.bytes.slice(self.body_at..)
    }
}

impl IpcMessages {
    /// Takes the next piece, which must not come before [`next`](Self::next) has given `None`.
    pub fn push(&mut self, piece: Bytes) {
        debug_assert!(self.piece.is_empty(), "a piece before the last was read");
        self.piece = piece;
    }

    /// How much has come of a message that has not ended.
    #[must_use]
    pub fn begun_bytes(&self) -> usize {
        self.begun.len() + self.piece.len()
    }

    /// The next whole message; `None` until more bytes come.
    ///
    /// # Errors
    ///
    /// [`IpcError`] for what nodes of a cluster do not send. There is no going on after it.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that ends would not begin again with the next piece"
    )]
    pub fn next(&mut self) -> Result<Option<IpcPiece>, IpcError> {
        if !self.begin() {
            return Ok(None);
        }
        let lengths = match self.lengths {
            Some(lengths) => lengths,
            None => match self.read_lengths()? {
                Some(lengths) => lengths,
                None => return Ok(None),
            },
        };
        self.lengths = Some(lengths);
        if !self.gather(lengths.whole) {
            return Ok(None);
        }
        self.lengths = None;
        let bytes = self.take(lengths.whole);
        if bytes.len() == HEAD {
            if self.place == Place::File {
                self.place = Place::Contents;
            }
            return Ok(Some(IpcPiece::End));
        }
        let message = IpcMessage {
            bytes,
            body_at: lengths.body_at,
        };
        ensure_bounded(message.header()?, &message.bytes[message.body_at..])?;
        Ok(Some(IpcPiece::Message(message)))
    }

    /// Passes over what is around the messages of a file; whether there is a message to read.
    fn begin(&mut self) -> bool {
        while matches!(self.place, Place::Beginning | Place::Padding) {
            if !self.gather(HEAD) {
                return false;
            }
            let head = self.gathered(HEAD);
            self.place = match self.place {
                Place::Beginning if *head == FILE => Place::Padding,
                Place::Padding if *head == [0; HEAD] => Place::Padding,
                Place::Padding => Place::File,
                _ => Place::Stream,
            };
            if self.place == Place::Padding {
                self.take(HEAD);
            }
        }
        if self.place == Place::Contents {
            self.piece = Bytes::new();
        }
        self.place != Place::Contents
    }

    /// The lengths of the message that begins here, once its header has come.
    fn read_lengths(&mut self) -> Result<Option<Lengths>, IpcError> {
        if !self.gather(HEAD) {
            return Ok(None);
        }
        let header = header_length(self.gathered(HEAD))?;
        let body_at = HEAD + header;
        if header == 0 {
            let whole = HEAD;
            return Ok(Some(Lengths { body_at, whole }));
        }
        if !self.gather(body_at) {
            return Ok(None);
        }
        let message = root_as_message(&self.gathered(body_at)[HEAD..]);
        let body = body_length(message.map_err(|_| IpcError::Torn)?)?;
        let whole = body_at + body;
        Ok(Some(Lengths { body_at, whole }))
    }

    /// Makes the first `length` bytes of the message lie together, if they have come.
    fn gather(&mut self, length: usize) -> bool {
        if self.begun.is_empty() && self.piece.len() >= length {
            return true;
        }
        let missing = length.saturating_sub(self.begun.len());
        let coming = self.piece.split_to(missing.min(self.piece.len()));
        self.begun.extend_from_slice(&coming);
        self.begun.len() >= length
    }

    fn gathered(&self, length: usize) -> &[u8] {
        let bytes: &[u8] = if self.begun.is_empty() {
            &self.piece
        } else {
            &self.begun
        };
        &bytes[..length]
    }

    fn take(&mut self, length: usize) -> Bytes {
        if self.begun.is_empty() {
            self.piece.split_to(length)
        } else {
            std::mem::take(&mut self.begun).freeze()
        }
    }
}

/// The length of the header behind `head`.
fn header_length(head: &[u8]) -> Result<usize, IpcError> {
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *head else {
        return Err(IpcError::Torn);
    };
    if [c0, c1, c2, c3] != CONTINUATION {
        return Err(IpcError::Torn);
    }
    let length = i32::from_le_bytes([l0, l1, l2, l3]);
    let length = u32::try_from(length).map_err(|_| IpcError::Torn)?;
    refuse_above("bytes of header", length.into(), HEADER_LIMIT_BYTES)?;
    usize::try_from(length).map_err(|_| IpcError::Torn)
}

/// What every message begins with, and the length of its header.
const HEAD: usize = 8;

/// The name of the format, padded to the length of a head; the padding of writers goes on.
const FILE: [u8; HEAD] = *b"ARROW1\0\0";

const CONTINUATION: [u8; 4] = [0xff; 4];

/// A header takes some dozen bytes for each column; Ballista reads schemas up to this, too.
const HEADER_LIMIT_BYTES: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests;
