//! How much an LZ4 frame holds, from the lengths of its blocks.

/// What `frame` holds at most; `None` if it is no frame, or does not end.
///
/// A block holds no more than the size that the header gives for all, and no more than 255 times
/// itself: the format has no shorter way to say it.
pub(super) fn most_bytes(frame: &[u8]) -> Option<u64> {
    let header = Header::read(frame)?;
    let mut rest = frame.get(header.length..)?;
    let mut most: u64 = 0;
    loop {
        let (size, after) = rest.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size);
        if size == 0 {
            return Some(most);
        }
        let length = size & !STAYED_AS_IT_WAS;
        let expands = if size == length { RATIO } else { 1 };
        let held = u64::from(length).saturating_mul(expands);
        most = most.saturating_add(held.min(header.block_bytes));
        let block = usize::try_from(length).ok()? + header.checksum;
        rest = after.get(block..)?;
    }
}

struct Header {
    length: usize,
    /// What a block holds at most.
    block_bytes: u64,
    /// Bytes behind each block.
    checksum: usize,
}

impl Header {
    /// LZ4 Frame Format 1.6.4, "Frame Descriptor": magic, FLG, BD, what FLG announces, a checksum.
    fn read(frame: &[u8]) -> Option<Self> {
        let ([m0, m1, m2, m3, flags, sizes], _) = frame.split_first_chunk::<6>()?;
        if [*m0, *m1, *m2, *m3] != MAGIC {
            return None;
        }
        let block_bytes = match (sizes >> 4) & 7 {
            4 => 64 * 1024,
            5 => 256 * 1024,
            6 => 1024 * 1024,
            7 => 4 * 1024 * 1024,
            _ => return None,
        };
        let announced = |flag: u8, bytes: usize| if flags & flag == 0 { 0 } else { bytes };
        Some(Self {
            length: 7 + announced(CONTENT_SIZE, 8) + announced(DICTIONARY_ID, 4),
            block_bytes,
            checksum: announced(BLOCK_CHECKSUMS, 4),
        })
    }
}

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

const BLOCK_CHECKSUMS: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const DICTIONARY_ID: u8 = 0x01;

/// The bit of a block's length that says that it is not compressed.
const STAYED_AS_IT_WAS: u32 = 1 << 31;

/// A byte of a length says 255 at most.
const RATIO: u64 = 255;

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of blocks of up to 64 KiB, with these lengths in front of as many bytes.
    fn frame(blocks: &[u32]) -> Vec<u8> {
        let mut frame = [&MAGIC[..], &[0x60, 0x40, 0x82]].concat();
        for size in blocks {
            frame.extend(size.to_le_bytes());
            frame.resize(frame.len() + (size & !STAYED_AS_IT_WAS) as usize, 0);
        }
        frame.extend([0; 4]);
        frame
    }

    #[test]
    fn blocks_hold_as_much_as_they_can() {
        assert_eq!(most_bytes(&frame(&[])), Some(0));
        assert_eq!(most_bytes(&frame(&[10])), Some(2550));
        assert_eq!(most_bytes(&frame(&[300, 300, 10])), Some(2 * 65536 + 2550));
        assert_eq!(most_bytes(&frame(&[STAYED_AS_IT_WAS | 10])), Some(10));
    }

    #[test]
    fn what_is_no_frame_or_does_not_end_holds_nothing_known() {
        let whole = frame(&[10, 20]);
        for length in 0..whole.len() {
            assert_eq!(most_bytes(&whole[..length]), None, "{length}");
        }
        let mut wrong = whole.clone();
        wrong[0] = 5;
        assert_eq!(most_bytes(&wrong), None);
        let mut unknown_size = whole;
        unknown_size[5] = 0x10;
        assert_eq!(most_bytes(&unknown_size), None);
    }
}
