use std::sync::Arc;

use datafusion::arrow::array::{DictionaryArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::*;

fn rows(count: i64) -> RecordBatch {
    let number = Int64Array::from_iter_values(0..count);
    let text = StringArray::from_iter_values((0..count).map(|row| format!("text {row}")));
    let word = |row: i64| if row % 2 == 0 { "even" } else { "odd" };
    let word = DictionaryArray::<Int32Type>::from_iter((0..count).map(word));
    RecordBatch::try_from_iter([
        ("n", Arc::new(number) as ArrayRef),
        ("t", Arc::new(text)),
        ("w", Arc::new(word)),
    ])
    .unwrap()
}

fn stream(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default()
        .try_with_compression(compression)
        .unwrap();
    let schema = batches
        .first()
        .map_or_else(|| rows(0).schema(), RecordBatch::schema);
    let mut writer = StreamWriter::try_new_with_options(vec![], &schema, options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn decode(block: &[u8], piece: usize) -> Result<Vec<RecordBatch>, BlockError> {
    let mut decoder = Decoder::new(rows(0).schema());
    let mut decoded = vec![];
    for piece in block.chunks(piece) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(rows) = decoder.next()? {
            decoded.push(rows);
        }
    }
    decoder.finish()?;
    Ok(decoded)
}

#[test]
fn a_block_gives_the_rows_that_were_written() {
    let compressions = [None, Some(CompressionType::LZ4_FRAME)];
    for compression in compressions {
        let written = [rows(2000), rows(0), rows(3)];
        // A sorted shuffle sends its columns first, as a stream of their own.
        let block = [stream(&[], None), stream(&written, compression)].concat();
        for piece in [11, 4096, block.len()] {
            let decoded = decode(&block, piece).unwrap();
            assert_eq!(decoded, written, "{compression:?} in pieces of {piece}");
        }
    }
    assert_eq!(decode(&stream(&[], None), 4096).unwrap(), []);
    assert_eq!(decode(&[], 4096).unwrap(), []);
}

#[test]
fn words_of_one_stream_are_not_those_of_the_next() {
    let first = stream(&[rows(5)], None);
    let block = [first.clone(), first].concat();
    assert_eq!(decode(&block, 4096).unwrap(), [rows(5), rows(5)]);
}

#[test]
fn a_block_of_other_columns_is_refused() {
    let other = rows(5).project(&[0, 1]).unwrap();
    let refused = decode(&stream(&[other], None), 4096).unwrap_err();
    assert!(matches!(refused, BlockError::Columns), "{refused}");
    let swapped = rows(5).project(&[1, 0, 2]).unwrap();
    let refused = decode(&stream(&[swapped], None), 4096).unwrap_err();
    assert!(matches!(refused, BlockError::Columns), "{refused}");
}

#[test]
fn rows_before_their_columns_and_a_block_that_is_cut_are_refused() {
    let block = stream(&[rows(5)], None);
    let columns = stream(&[], None).len() - 8;
    let refused = decode(&block[columns..], 4096).unwrap_err();
    assert!(matches!(refused, BlockError::NoColumns), "{refused}");
    let refused = decode(&block[..block.len() - 100], 4096).unwrap_err();
    assert!(
        matches!(refused, BlockError::Message(IpcError::Torn)),
        "{refused}"
    );
}

#[test]
fn a_block_may_end_with_what_upstream_sends_of_the_next_one_and_with_no_more() {
    let columns = stream(&[], None).len();
    let mine = [stream(&[], None), stream(&[rows(5), rows(6)], None)].concat();
    let next = stream(&[rows(7)], None);
    let sent = |bytes: usize| decode(&[&mine[..], &next[..bytes]].concat(), 4096);
    assert_eq!(sent(columns).unwrap(), [rows(5), rows(6)]);
    // The columns of the first may be described in more words.
    let more = NULLABLE_BYTES * rows(5).num_columns();
    assert_eq!(sent(columns + more).unwrap(), [rows(5), rows(6)]);
    assert!(sent(columns + more + 1).is_err());
    assert!(sent(columns - 9).is_err());
    // A partition without rows.
    assert_eq!(decode(&next[..columns], 4096).unwrap(), []);
}

#[test]
fn a_block_that_is_cut_behind_rows_is_refused() {
    let first = stream(&[rows(5)], None);
    let whole = stream(&[rows(5), rows(6)], None);
    assert_eq!(decode(&whole, 4096).unwrap(), [rows(5), rows(6)]);
    // Each ends with the eight bytes that say so.
    for length in [first.len() - 8, whole.len() - 8] {
        let refused = decode(&whole[..length], 4096).unwrap_err();
        assert!(matches!(refused, BlockError::NoEnd), "{length}: {refused}");
    }
    for length in [first.len(), whole.len() - 1] {
        let refused = decode(&whole[..length], 4096).unwrap_err();
        let torn = matches!(refused, BlockError::Message(IpcError::Torn));
        assert!(torn, "{length}: {refused}");
    }
}
