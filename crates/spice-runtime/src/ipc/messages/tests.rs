use std::sync::Arc;

use datafusion::arrow::array::{DictionaryArray, Int64Array, NullArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::*;

/// Columns of every kind that is written in another way: numbers, text, words by number, nulls.
fn rows(count: i32) -> RecordBatch {
    let words = ["one", "two", "three"];
    let word = |row: i32| words[row as usize % words.len()];
    RecordBatch::try_from_iter([
        (
            "n",
            Arc::new(Int64Array::from_iter_values((0..count).map(i64::from))) as _,
        ),
        (
            "t",
            Arc::new(StringArray::from_iter(
                (0..count).map(|row| (row % 5 > 0).then(|| format!("text {row}"))),
            )) as _,
        ),
        (
            "w",
            Arc::new(DictionaryArray::<Int32Type>::from_iter(
                (0..count).map(word),
            )) as _,
        ),
        ("none", Arc::new(NullArray::new(count as usize)) as _),
    ])
    .unwrap()
}

fn stream(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default()
        .try_with_compression(compression)
        .unwrap();
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(vec![], &schema, options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// What comes out of `stream` in pieces of `length`: the messages, and how many streams ended.
fn read(stream: &[u8], length: usize) -> Result<(Vec<IpcMessage>, usize), IpcError> {
    let mut messages = IpcMessages::default();
    let (mut read, mut ends) = (vec![], 0);
    for piece in stream.chunks(length) {
        messages.push(Bytes::copy_from_slice(piece));
        while let Some(piece) = messages.next()? {
            match piece {
                IpcPiece::Message(message) => read.push(message),
                IpcPiece::End => ends += 1,
            }
        }
    }
    if messages.begun_bytes() == 0 {
        Ok((read, ends))
    } else {
        Err(IpcError::Torn)
    }
}

const COMPRESSIONS: [Option<CompressionType>; 3] = [
    None,
    Some(CompressionType::LZ4_FRAME),
    Some(CompressionType::ZSTD),
];

#[test]
fn honest_streams_come_out_as_they_went_in_however_they_are_cut() {
    for compression in COMPRESSIONS {
        let batches = [rows(3000), rows(0), rows(1)];
        let once = stream(&batches, compression);
        let twice = [once.clone(), once.clone()].concat();
        for length in [1, 7, 64, 4096, twice.len()] {
            let (messages, ends) = read(&twice, length).unwrap();
            assert_eq!(ends, 2);
            let end = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
            let mut copy = vec![];
            for message in &messages[..messages.len() / 2] {
                copy.extend_from_slice(&message.bytes);
            }
            copy.extend(end);
            assert_eq!(copy, once, "{compression:?} in pieces of {length}");
        }
    }
}

#[test]
fn a_file_gives_the_messages_of_a_stream() {
    // A file has one list of words.
    let batches = [rows(3000), rows(3000)];
    for compression in COMPRESSIONS {
        let options = IpcWriteOptions::default();
        let options = options.try_with_compression(compression).unwrap();
        let schema = batches[0].schema();
        let writer = FileWriter::try_new_with_options(vec![], &schema, options);
        let mut writer = writer.unwrap();
        for batch in &batches {
            writer.write(batch).unwrap();
        }
        let file = writer.into_inner().unwrap();
        let stream = stream(&batches, compression);
        let (expected, _) = read(&stream, 4096).unwrap();
        for length in [1, 7, 64, 4096, file.len()] {
            let (messages, ends) = read(&file, length).unwrap();
            assert_eq!((messages.len(), ends), (expected.len(), 1));
            for (message, expected) in messages.iter().zip(&expected) {
                assert_eq!(message.body(), expected.body());
            }
        }
        assert!(read(&file[..300], 4096).is_err(), "cut in a message");
    }
}

#[test]
fn what_lies_in_one_piece_is_not_copied() {
    let stream = Bytes::from(stream(&[rows(100)], None));
    let mut messages = IpcMessages::default();
    messages.push(stream.clone());
    while let Some(piece) = messages.next().unwrap() {
        if let IpcPiece::Message(message) = piece {
            assert!(stream.as_ptr_range().contains(&message.bytes.as_ptr()));
        }
    }
    assert_eq!(messages.begun_bytes(), 0);
}

#[test]
fn a_stream_that_is_cut_short_is_not_whole() {
    let stream = stream(&[rows(100)], None);
    let ends: Vec<usize> = (1..stream.len())
        .filter(|length| read(&stream[..*length], 4096).is_ok())
        .collect();
    // Behind each of the messages: the columns, the words, the rows.
    assert_eq!(ends.len(), 3, "{ends:?}");
}

#[test]
fn bytes_of_other_things_are_no_messages() {
    for bytes in [
        &b"ARROW1\0\0 and no message"[..],
        b"ARROW2\0\0\xff\xff\xff\xff\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff and more",
        b"\xff\xff\xff\xff\x10\0\0\0 0123456789abcdef and more",
        b"GET / HTTP/1.1\r\n",
    ] {
        assert_eq!(read(bytes, 4096).unwrap_err(), IpcError::Torn);
    }
}

#[test]
fn a_header_or_a_body_that_claims_gigabytes_is_refused_before_it_comes() {
    let header = b"\xff\xff\xff\xff\0\0\0\x7f";
    let refused = read(header, 4096).unwrap_err();
    assert!(refused.to_string().contains("bytes of header"), "{refused}");

    let honest = stream(&[rows(1000)], None);
    let (messages, _) = read(&honest, honest.len()).unwrap();
    let message = messages.last().unwrap();
    let body = (message.body().len() as i64).to_le_bytes();
    let mut header = message.bytes[..message.body_at].to_vec();
    let at = header.windows(8).position(|it| it == body).unwrap();
    for (claimed, wanted) in [(1_i64 << 46, "70368744177664 bytes"), (-1, "torn")] {
        header[at..at + 8].copy_from_slice(&claimed.to_le_bytes());
        let refused = read(&header, 4096).unwrap_err();
        assert!(refused.to_string().contains(wanted), "{refused}");
    }
}
