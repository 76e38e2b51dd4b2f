//! The columns of a table, as its database describes them.

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use tokio_postgres::Row;

use super::connection::Connection;
use super::error::PostgresError;

/// A column that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    nullable: bool,
}

/// How values come over the wire and what they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    /// Text as it is stored.
    Text,
    /// What the server turns into text.
    AsText,
    Bytes,
    Date,
    /// Microseconds of the clock on the wall.
    Timestamp,
    /// Microseconds since the epoch.
    Instant,
    /// As text, because it has no other form that both sides know.
    Decimal {
        precision: u8,
        scale: i8,
    },
}

impl Column {
    #[cfg(test)]
    pub(super) fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            nullable: true,
        }
    }

    /// What the engine is told.
    pub(super) fn field(&self) -> Field {
        Field::new(&self.name, self.kind.data_type(), self.nullable)
    }
}

impl Kind {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int16 => DataType::Int16,
            Kind::Int32 => DataType::Int32,
            Kind::Int64 => DataType::Int64,
            Kind::Float32 => DataType::Float32,
            Kind::Float64 => DataType::Float64,
            Kind::Text | Kind::AsText => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        }
    }
}

/// What a database says of a table.
pub(super) struct Described {
    pub(super) columns: Vec<Column>,
    /// Whether text is kept as UTF-8, so that every text can be asked for and bytes sort as here.
    pub(super) utf8: bool,
}

/// Asks for the columns of a table.
pub(super) async fn describe(
    connection: &Connection,
    schema: &str,
    table: &str,
) -> Result<Described, PostgresError> {
    let rows = connection
        .client
        .query(DESCRIBE, &[&schema, &table])
        .await?;
    if rows.is_empty() {
        return Err(PostgresError::NoTable {
            schema: schema.to_owned(),
            table: table.to_owned(),
        });
    }
    let encoding = connection.client.query_one(ENCODING, &[]).await?;
    Ok(Described {
        columns: rows.iter().map(column).collect::<Result<_, _>>()?,
        utf8: encoding.try_get::<_, &str>(0)? == "UTF8",
    })
}

fn column(row: &Row) -> Result<Column, PostgresError> {
    let name: String = row.try_get(0)?;
    let type_name: String = row.try_get(1)?;
    let modifier: i32 = row.try_get(2)?;
    let not_null: bool = row.try_get(3)?;
    match kind(&type_name, modifier) {
        Some(kind) => Ok(Column {
            name,
            kind,
            nullable: !not_null,
        }),
        None => Err(PostgresError::ColumnType {
            column: name,
            type_name,
        }),
    }
}

fn kind(type_name: &str, modifier: i32) -> Option<Kind> {
    Some(match type_name {
        "bool" => Kind::Bool,
        "int2" => Kind::Int16,
        "int4" => Kind::Int32,
        "int8" => Kind::Int64,
        "float4" => Kind::Float32,
        "float8" => Kind::Float64,
        "text" | "varchar" => Kind::Text,
        "bpchar" | "name" | "uuid" | "json" | "jsonb" => Kind::AsText,
        "bytea" => Kind::Bytes,
        "date" => Kind::Date,
        "timestamp" => Kind::Timestamp,
        "timestamptz" => Kind::Instant,
        "numeric" => numeric(modifier),
        _ => return None,
    })
}

/// A decimal where its digits are bounded and fit, text otherwise. PostgreSQL packs both numbers
/// into the modifier and adds four; a scale may be negative or more than the precision.
fn numeric(modifier: i32) -> Kind {
    let packed = modifier - 4;
    let (precision, scale) = (packed >> 16, packed & 0x7ff);
    let decimal = u8::try_from(precision).ok().zip(i8::try_from(scale).ok());
    match decimal {
        Some((precision, scale)) if (1..=38).contains(&precision) && scale <= precision as i8 => {
            Kind::Decimal { precision, scale }
        }
        _ => Kind::AsText,
    }
}

/// Types of the database itself go by their short names, all others by their schema too, so that
/// nobody's own `text` is taken for the real one.
const DESCRIBE: &str = "\
    SELECT a.attname::text, \
           CASE WHEN s.nspname = 'pg_catalog' THEN t.typname::text \
                ELSE format('%I.%I', s.nspname, t.typname) END, \
           a.atttypmod, a.attnotnull \
    FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    JOIN pg_catalog.pg_namespace s ON s.oid = t.typnamespace \
    WHERE n.nspname = $1::text AND c.relname = $2::text AND c.relkind IN ('r', 'v', 'm', 'p', 'f') \
      AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attnum";

const ENCODING: &str = "SELECT pg_catalog.current_setting('server_encoding')";

#[cfg(test)]
mod tests {
    use super::*;

    fn modifier(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn a_numeric_is_a_decimal_where_its_digits_fit() {
        let decimal = |precision, scale| Kind::Decimal { precision, scale };
        assert_eq!(numeric(modifier(10, 2)), decimal(10, 2));
        assert_eq!(numeric(modifier(38, 38)), decimal(38, 38));
        assert_eq!(numeric(modifier(5, 0)), decimal(5, 0));
        for other in [
            -1,
            modifier(39, 2),
            modifier(3, -2),
            modifier(3, 5),
            modifier(1000, 10),
        ] {
            assert_eq!(numeric(other), Kind::AsText, "{other}");
        }
    }

    #[test]
    fn types_that_cannot_be_read_are_none() {
        for name in [
            "interval",
            "int4range",
            "_int4",
            "point",
            "public.text",
            "money",
            "xml",
        ] {
            assert_eq!(kind(name, -1), None, "{name}");
        }
    }
}
