//! What a block of rows claims about itself, looked at before it is believed.

use arrow_flight::FlightData;
use arrow_flight::error::{FlightError, Result};
use datafusion::arrow::ipc::{RecordBatch, root_as_message};

/// Refuses a block whose compressed columns claim to be larger than any result is: the reader gets
/// memory for what each claims before it looks, and a claim of some terabytes ends the process.
pub(super) fn ensure_bounded(data: &FlightData) -> Result<()> {
    let Ok(message) = root_as_message(&data.data_header) else {
        // The reader says what is wrong with it.
        return Ok(());
    };
    let dictionary = message.header_as_dictionary_batch();
    let batch = message
        .header_as_record_batch()
        .or_else(|| dictionary.and_then(|dictionary| dictionary.data()));
    let claimed = batch.map_or(0, |batch| claimed_bytes(batch, &data.data_body));
    if claimed > CLAIM_LIMIT_BYTES {
        let text = format!("a block claims to hold {claimed} bytes");
        return Err(FlightError::DecodeError(text));
    }
    Ok(())
}

/// The sum of what the compressed buffers of `batch` say that they hold: each begins with it.
fn claimed_bytes(batch: RecordBatch<'_>, body: &[u8]) -> u64 {
    if batch.compression().is_none() {
        return 0;
    }
    let filled = batch.buffers().into_iter().flatten();
    let filled = filled.filter(|buffer| buffer.length() > 0);
    let claims = filled.map(|buffer| {
        let start = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
        let head = body.get(start..).and_then(|rest| rest.first_chunk::<8>());
        // A buffer that stayed as it was says minus one.
        let claimed = head.map_or(0, |head| i64::from_le_bytes(*head));
        u64::try_from(claimed).unwrap_or(0)
    });
    claims.fold(0, u64::saturating_add)
}

/// A block has thousands of rows; a thousand times as much as most take.
const CLAIM_LIMIT_BYTES: u64 = 1024 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array};
    use datafusion::arrow::ipc::CompressionType;
    use datafusion::arrow::ipc::writer::{
        DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions,
    };
    use datafusion::arrow::record_batch::RecordBatch;

    use super::*;

    fn block(options: &IpcWriteOptions) -> FlightData {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|_| 7)));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let (_, encoded) = IpcDataGenerator::default()
            .encode(
                &batch,
                &mut DictionaryTracker::new(false),
                options,
                &mut IpcWriteContext::default(),
            )
            .unwrap();
        FlightData {
            data_header: encoded.ipc_message.into(),
            data_body: encoded.arrow_data.into(),
            ..FlightData::default()
        }
    }

    #[test]
    fn rows_pass_as_they_are_and_compressed() {
        let plain = IpcWriteOptions::default();
        let compressed = plain
            .clone()
            .try_with_compression(Some(CompressionType::LZ4_FRAME));
        assert!(ensure_bounded(&block(&plain)).is_ok());
        assert!(ensure_bounded(&block(&compressed.unwrap())).is_ok());
        assert!(ensure_bounded(&FlightData::default()).is_ok());
    }

    #[test]
    fn columns_that_claim_terabytes_do_not() {
        let compressed = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .unwrap();
        let mut data = block(&compressed);
        let claims = (1_i64 << 46).to_le_bytes();
        let honest = 8000_i64.to_le_bytes();
        let mut body = data.data_body.to_vec();
        let at = body.windows(8).position(|bytes| bytes == honest).unwrap();
        body[at..at + 8].copy_from_slice(&claims);
        data.data_body = body.into();
        let refused = ensure_bounded(&data).unwrap_err();
        assert!(refused.to_string().contains("70368744177664"), "{refused}");
    }
}
