use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, DictionaryArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Int32Type, Schema};
use datafusion::arrow::ipc::convert::IpcSchemaEncoder;
use datafusion::arrow::ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use datafusion::arrow::ipc::{
    BodyCompressionBuilder, Buffer, MessageBuilder, MessageHeader, MetadataVersion,
    RecordBatchBuilder, root_as_message,
};

use super::super::{IpcMessages, IpcPiece};
use super::*;

fn stream(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(vec![], &schema, options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn compressed(codec: CompressionType) -> IpcWriteOptions {
    let plain = IpcWriteOptions::default();
    plain.try_with_compression(Some(codec)).unwrap()
}

/// A thousand times the same number, which any compression makes less of.
fn sevens() -> RecordBatch {
    let column = Int64Array::from_iter_values((0..1000).map(|_| 7));
    RecordBatch::try_from_iter([("n", Arc::new(column) as _)]).unwrap()
}

/// Words by number; the second time there are more of them.
fn words(words: &[&str]) -> RecordBatch {
    let values = StringArray::from(words.to_vec());
    let column = DictionaryArray::<Int32Type>::new(vec![0, 0, 0].into(), Arc::new(values));
    RecordBatch::try_from_iter([("w", Arc::new(column) as _)]).unwrap()
}

fn check(stream: Vec<u8>) -> Result<usize, IpcError> {
    let mut messages = IpcMessages::default();
    messages.push(Bytes::from(stream));
    let mut count = 0;
    while let Some(piece) = messages.next()? {
        count += usize::from(matches!(piece, IpcPiece::Message(_)));
    }
    Ok(count)
}

/// `stream` with each eight bytes that say `honest` saying `claimed` in turn.
fn lies(stream: &[u8], honest: i64, claimed: i64) -> Vec<Vec<u8>> {
    let found = stream.windows(8).enumerate();
    let found = found.filter(|(_, bytes)| **bytes == honest.to_le_bytes());
    found
        .map(|(at, _)| {
            let mut lie = stream.to_vec();
            lie[at..at + 8].copy_from_slice(&claimed.to_le_bytes());
            lie
        })
        .collect()
}

const TERABYTES: i64 = 1 << 46;

#[test]
fn columns_that_claim_terabytes_are_refused_and_compressed_ones_pass() {
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let honest = stream(&[sevens()], compressed(codec));
        assert_eq!(check(honest.clone()), Ok(2));
        let lies = lies(&honest, 8000, TERABYTES);
        assert_eq!(lies.len(), 1);
        for lie in lies {
            let refused = check(lie).unwrap_err().to_string();
            assert!(refused.contains("70368744177664 bytes"), "{refused}");
        }
    }
}

#[test]
fn a_compressed_column_that_holds_more_than_it_says_is_counted_by_what_it_can_hold() {
    let honest = stream(&[sevens()], compressed(CompressionType::LZ4_FRAME));
    for lie in lies(&honest, 8000, 8) {
        assert_eq!(check(lie), Ok(2), "a little more is found by the reader");
    }
    // 300 blocks of four megabytes each, in a column that says that it holds eight bytes.
    let mut column = 8_i64.to_le_bytes().to_vec();
    column.extend([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73]);
    let block_bytes = 17_000_u32;
    for _ in 0..300 {
        column.extend(block_bytes.to_le_bytes());
        column.resize(column.len() + block_bytes as usize, 0);
    }
    column.extend([0; 4]);
    let held = held(CompressionType::LZ4_FRAME, &column).unwrap();
    assert_eq!(held, 300 * 4 * 1024 * 1024);
    assert!(refuse_above("bytes", held, BYTES_LIMIT).is_err());
}

/// Columns that all name the same mebibyte of a message that holds nothing else.
fn sharing(columns: usize, codec: Option<CompressionType>) -> Result<(), IpcError> {
    // Arrow does not name its builder.
    let mut flat = IpcSchemaEncoder::new().schema_to_fb(&Schema::empty());
    flat.reset();
    let named = vec![Buffer::new(1, MEBIBYTE); columns];
    let buffers = flat.create_vector(&named);
    let compression = codec.map(|codec| {
        let mut compression = BodyCompressionBuilder::new(&mut flat);
        compression.add_codec(codec);
        compression.finish()
    });
    let mut batch = RecordBatchBuilder::new(&mut flat);
    batch.add_length(1);
    batch.add_buffers(buffers);
    if let Some(compression) = compression {
        batch.add_compression(compression);
    }
    let batch = batch.finish().as_union_value();
    let mut message = MessageBuilder::new(&mut flat);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::RecordBatch);
    message.add_header(batch);
    let message = message.finish();
    flat.finish(message, None);
    // To a compressed column it says minus one, from its second byte on.
    let body = vec![0xff; 1 + MEBIBYTE as usize];
    ensure_bounded(root_as_message(flat.finished_data()).unwrap(), &body)
}

const MEBIBYTE: i64 = 1024 * 1024;

#[test]
fn columns_that_share_bytes_are_counted_each_for_itself_compressed_or_not() {
    for codec in [None, Some(CompressionType::LZ4_FRAME)] {
        assert_eq!(sharing(1024, codec), Ok(()), "{codec:?}");
        let refused = sharing(1026, codec);
        let too_much = matches!(refused, Err(IpcError::Claims { unit: "bytes", .. }));
        assert!(too_much, "{codec:?}: {refused:?}");
    }
}

#[test]
fn rows_and_values_without_bytes_are_refused_where_they_are_too_many() {
    let honest = stream(&[sevens()], IpcWriteOptions::default());
    let lies = lies(&honest, 1000, TERABYTES);
    assert_eq!(lies.len(), 2, "the rows, and the values of the column");
    for lie in lies {
        let refused = check(lie).unwrap_err().to_string();
        assert!(refused.contains("70368744177664"), "{refused}");
    }
}

#[test]
fn columns_outside_of_their_message_are_refused() {
    let honest = stream(&[sevens()], IpcWriteOptions::default());
    let (message, body) = honest.split_at(honest.len() - 8008);
    // The length of the body and of the column: the one makes the message longer than what comes.
    let lies = lies(message, 8000, 8064);
    let outside = lies.into_iter().map(|lie| check([&lie, body].concat()));
    let outside: Vec<_> = outside.collect();
    assert!(outside.contains(&Err(IpcError::Outside)), "{outside:?}");
}

#[test]
fn what_says_that_it_is_compressed_and_is_not_is_refused() {
    let honest = stream(&[sevens()], compressed(CompressionType::LZ4_FRAME));
    let magic = honest.windows(4).position(|it| it == [4, 0x22, 0x4d, 0x18]);
    let mut lie = honest;
    lie[magic.unwrap()] = 5;
    assert_eq!(check(lie), Err(IpcError::Compression));
}

#[test]
fn dictionaries_may_be_sent_again_and_may_not_grow() {
    let batches = [words(&["one"]), words(&["one", "two"])];
    let again = IpcWriteOptions::default();
    assert_eq!(check(stream(&batches, again)), Ok(5));
    let growing = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    assert_eq!(check(stream(&batches, growing)), Err(IpcError::Growing));
    assert_eq!(batches[1].column(0).len(), 3);
}
