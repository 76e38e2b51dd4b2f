//! What a reader takes in before its rows are wanted.

use std::sync::Arc;

use prost::bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory that all partitions of a reader share.
///
/// Nobody waits for it: a partition whose rows are wanted first might wait for one whose rows are
/// wanted last. A block that finds no room is read when its rows are wanted, piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    room: Arc<Semaphore>,
}

impl Ahead {
    pub(super) fn new(bytes: usize) -> Self {
        let room = Arc::new(Semaphore::new(bytes));
        Self { room }
    }

    /// Room for a block of about `expected` bytes, if there is as much.
    pub(super) fn begin(&self, expected: u64, limit: usize) -> Option<Taken> {
        let expected = u32::try_from(expected).ok()?;
        let room = self.room.clone().try_acquire_many_owned(expected).ok()?;
        Some(Taken {
            pieces: vec![],
            bytes: 0,
            limit,
            room,
        })
    }
}

/// What came of a block, and the room for it, which is given back with it.
#[derive(Debug)]
pub(super) struct Taken {
    pieces: Vec<Bytes>,
    bytes: usize,
    limit: usize,
    room: OwnedSemaphorePermit,
}

impl Taken {
    /// Takes `piece`; false if the block is too large, or there is no room.
    ///
    /// It is copied: it lies in a message of its sender's making, which may be much larger, and
    /// would be kept with it.
    pub(super) fn take(&mut self, piece: &Bytes) -> bool {
        let bytes = self.bytes.saturating_add(piece.len());
        if bytes > self.limit || self.pieces.len() >= LIMIT_PIECES || !self.has_room(bytes) {
            return false;
        }
        self.bytes = bytes;
        self.pieces.push(Bytes::copy_from_slice(piece));
        true
    }

    /// All of the block has come: the room that it did not need is given back.
    pub(super) fn whole(mut self) -> Self {
        let spare = self.room.num_permits().saturating_sub(self.bytes);
        drop(self.room.split(spare));
        self.pieces.reverse();
        self
    }

    /// The first of a whole block's pieces that are left.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        self.pieces.pop()
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.room.num_permits());
        let room = self.room.semaphore().clone();
        let missing = u32::try_from(missing).ok();
        let Some(more) = missing.and_then(|missing| room.try_acquire_many_owned(missing).ok())
        else {
            return false;
        };
        self.room.merge(more);
        true
    }
}

/// Executors send pieces of megabytes, and smaller ones only where a block ends.
const LIMIT_PIECES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_kept_without_the_message_that_it_came_in() {
        let ahead = Ahead::new(1 << 20);
        let message = Bytes::from(vec![7; 1 << 22]);
        let mut taken = ahead.begin(0, 1 << 20).unwrap();
        assert!(taken.take(&message.slice(9..10)));
        assert!(taken.take(&message.slice(100..70_000)));
        assert!(message.is_unique(), "nothing else keeps the message");
        let mut taken = taken.whole();
        assert_eq!(taken.next().unwrap(), message.slice(9..10));
        assert_eq!(taken.next().unwrap(), message.slice(100..70_000));
        assert_eq!(taken.next(), None);
    }

    #[test]
    fn blocks_share_the_room_and_give_back_what_they_do_not_need() {
        let ahead = Ahead::new(100);
        let mut first = ahead.begin(80, 90).unwrap();
        assert!(ahead.begin(21, 90).is_none(), "there is room for 20");
        let mut second = ahead.begin(0, 90).unwrap();
        assert!(second.take(&Bytes::from_static(&[1; 20])), "20 are left");
        assert!(!second.take(&Bytes::from_static(&[1])), "none is left");
        assert!(first.take(&Bytes::from_static(&[1; 30])));
        let first = first.whole();
        assert!(second.take(&Bytes::from_static(&[1; 50])), "30 are needed");
        assert!(ahead.begin(1, 90).is_none());
        drop(first);
        assert!(!second.take(&Bytes::from_static(&[1; 21])), "of 90 at most");
        drop(second);
        assert!(ahead.begin(100, 90).is_some(), "all is given back");
    }
}
