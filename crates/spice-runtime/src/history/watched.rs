//! Rows on their way out, counted.

use std::pin::Pin;
use std::task::{Context, Poll};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt as _};

use super::span::QuerySpan;
use crate::query_error::QueryError;

impl QuerySpan {
    /// Passes `rows` on and ends with them.
    pub(crate) fn watch(self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        Box::pin(Watched { span: self, rows })
    }
}

struct Watched {
    span: QuerySpan,
    rows: SendableRecordBatchStream,
}

impl Stream for Watched {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.rows.poll_next_unpin(cx);
        match polled {
            Poll::Ready(Some(Ok(batch))) => {
                self.span.count(batch.num_rows());
                Poll::Ready(Some(Ok(batch)))
            }
            Poll::Ready(Some(Err(error))) => {
                // Sorted here for its words; whoever reads the stream sorts it again.
                let sorted = QueryError::from(error);
                self.span.fail(&sorted);
                Poll::Ready(Some(Err(DataFusionError::External(Box::new(sorted)))))
            }
            Poll::Ready(None) => {
                self.span.succeed();
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl RecordBatchStream for Watched {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
