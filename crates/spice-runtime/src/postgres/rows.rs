//! Rows of a database as batches of columns.

use std::error::Error;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, RecordBatch,
    RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::SchemaRef;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::column::{Column, Kind};
use super::error::PostgresError;

/// Collects rows until there are enough for a batch.
pub(super) struct Batch {
    schema: SchemaRef,
    columns: Vec<(Column, Values)>,
    rows: usize,
    bytes: usize,
}

enum Values {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder, usize),
}

impl Batch {
    pub(super) fn new(schema: SchemaRef, columns: &[Column]) -> Self {
        let values = |column: &Column| (column.clone(), Values::of(column.kind));
        Self {
            schema,
            columns: columns.iter().map(values).collect(),
            rows: 0,
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, row: &Row) -> Result<(), PostgresError> {
        for (index, (column, values)) in self.columns.iter_mut().enumerate() {
            self.bytes += values.push(row, index, &column.name)?;
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= ROWS || self.bytes >= BYTES
    }

    /// What was collected; collecting starts over.
    pub(super) fn take(&mut self) -> datafusion::error::Result<RecordBatch> {
        let columns = self.columns.iter_mut();
        let columns: Vec<ArrayRef> = columns.map(|(_, values)| values.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        Ok(batch?)
    }
}

impl Values {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Int16 => Self::Int16(Int16Builder::new()),
            Kind::Int32 => Self::Int32(Int32Builder::new()),
            Kind::Int64 => Self::Int64(Int64Builder::new()),
            Kind::Float32 => Self::Float32(Float32Builder::new()),
            Kind::Float64 => Self::Float64(Float64Builder::new()),
            Kind::Text | Kind::AsText => Self::Text(StringBuilder::new()),
            Kind::Bytes => Self::Bytes(BinaryBuilder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Timestamp | Kind::Instant => {
                Self::Time(TimestampMicrosecondBuilder::new().with_data_type(kind.data_type()))
            }
            Kind::Decimal { scale, .. } => Self::Decimal(
                Decimal128Builder::new().with_data_type(kind.data_type()),
                scale.unsigned_abs().into(),
            ),
        }
    }

    /// Appends the value at `index` and gives its size in bytes.
    fn push(&mut self, row: &Row, index: usize, column: &str) -> Result<usize, PostgresError> {
        let odd = |value| PostgresError::Value {
            column: column.to_owned(),
            value,
        };
        match self {
            Self::Bool(values) => values.append_option(value(row, index, column)?),
            Self::Int16(values) => values.append_option(value(row, index, column)?),
            Self::Int32(values) => values.append_option(value(row, index, column)?),
            Self::Int64(values) => values.append_option(value(row, index, column)?),
            Self::Float32(values) => values.append_option(value(row, index, column)?),
            Self::Float64(values) => values.append_option(value(row, index, column)?),
            Self::Text(values) => {
                let text: Option<&str> = value(row, index, column)?;
                values.append_option(text);
                return Ok(text.map_or(0, str::len));
            }
            Self::Bytes(values) => {
                let bytes: Option<&[u8]> = value(row, index, column)?;
                values.append_option(bytes);
                return Ok(bytes.map_or(0, <[u8]>::len));
            }
            Self::Date(values) => {
                let days: Option<Days> = value(row, index, column)?;
                let days = days.map(|it| it.since_epoch().ok_or_else(|| odd(INFINITE)));
                values.append_option(days.transpose()?);
            }
            Self::Time(values) => {
                let micros: Option<Micros> = value(row, index, column)?;
                let micros = micros.map(|it| it.since_epoch().ok_or_else(|| odd(INFINITE)));
                values.append_option(micros.transpose()?);
            }
            Self::Decimal(values, scale) => {
                let text: Option<&str> = value(row, index, column)?;
                let digits = text.map(|it| digits(it, *scale).ok_or_else(|| odd(NOT_A_NUMBER)));
                values.append_option(digits.transpose()?);
            }
        }
        Ok(size_of::<i128>())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(values) => ArrayBuilder::finish(values),
            Self::Int16(values) => ArrayBuilder::finish(values),
            Self::Int32(values) => ArrayBuilder::finish(values),
            Self::Int64(values) => ArrayBuilder::finish(values),
            Self::Float32(values) => ArrayBuilder::finish(values),
            Self::Float64(values) => ArrayBuilder::finish(values),
            Self::Text(values) => ArrayBuilder::finish(values),
            Self::Bytes(values) => ArrayBuilder::finish(values),
            Self::Date(values) => ArrayBuilder::finish(values),
            Self::Time(values) => ArrayBuilder::finish(values),
            Self::Decimal(values, _) => ArrayBuilder::finish(values),
        }
    }
}

/// The value at `index`. That it is of another type is news since the table was opened.
fn value<'a, T: FromSql<'a>>(
    row: &'a Row,
    index: usize,
    column: &str,
) -> Result<Option<T>, PostgresError> {
    row.try_get(index).map_err(|_| PostgresError::OtherType {
        column: column.to_owned(),
    })
}

/// Days since 2000, as PostgreSQL counts them; the largest and the smallest are infinite.
struct Days(i32);

impl Days {
    fn since_epoch(&self) -> Option<i32> {
        let finite = self.0 != i32::MAX && self.0 != i32::MIN;
        finite
            .then(|| self.0.checked_add(DAYS_UNTIL_2000))
            .flatten()
    }
}

impl<'a> FromSql<'a> for Days {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(i32::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::DATE
    }
}

/// Microseconds since 2000, as PostgreSQL counts them; the largest and the smallest are infinite.
struct Micros(i64);

impl Micros {
    fn since_epoch(&self) -> Option<i64> {
        let finite = self.0 != i64::MAX && self.0 != i64::MIN;
        let until_2000 = i64::from(DAYS_UNTIL_2000) * 24 * 60 * 60 * 1_000_000;
        finite.then(|| self.0.checked_add(until_2000)).flatten()
    }
}

impl<'a> FromSql<'a> for Micros {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMP || *kind == Type::TIMESTAMPTZ
    }
}

/// The digits of a decimal that has `scale` of them behind its point, as PostgreSQL writes one of a
/// column with that scale. Its NaN has none.
fn digits(text: &str, scale: usize) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let decimal = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if part.len() != scale || whole.is_empty() || !decimal(whole) || !decimal(part) {
        return None;
    }
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    Some(sign * digits)
}

const INFINITE: &str = "an infinite time";

const NOT_A_NUMBER: &str = "a number that is none (NaN)";

const DAYS_UNTIL_2000: i32 = 10_957;

/// As many as the engine's own batches have.
const ROWS: usize = 8192;

/// Wide rows make smaller batches: a few of them may be in memory for each scan.
const BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_from_the_text_of_the_server() {
        for (text, scale, number) in [
            ("0.05", 2, 5),
            ("-0.05", 2, -5),
            ("123.45", 2, 12345),
            ("-7", 0, -7),
            (
                "99999999999999999999999999999999999999",
                0,
                10_i128.pow(38) - 1,
            ),
        ] {
            assert_eq!(digits(text, scale), Some(number), "{text}");
        }
        for other in ["NaN", "1.5", "1e3", "", "-", "+1.00", "Infinity"] {
            assert_eq!(digits(other, 2), None, "{other}");
        }
    }

    #[test]
    fn times_are_counted_from_1970_and_infinity_is_none() {
        assert_eq!(Days(0).since_epoch(), Some(10_957));
        assert_eq!(Days(-10_957).since_epoch(), Some(0));
        assert_eq!(Micros(0).since_epoch(), Some(946_684_800_000_000));
        assert_eq!(Days(i32::MAX).since_epoch(), None);
        assert_eq!(Micros(i64::MIN).since_epoch(), None);
    }
}
