//! Table names: one identifier, or two with a schema in front.

use std::fmt;
use std::str::FromStr;

/// The schema of a name that is written without one.
pub const DEFAULT_SCHEMA: &str = "public";

/// Schemas that belong to the node itself, so no dataset or view may live there.
pub const RESERVED_SCHEMAS: [&str; 3] = ["information_schema", "runtime", "pg_catalog"];

/// The name of a dataset or view: `table` or `schema.table`.
///
/// Names are kept in lower case, because that is what SQL makes of an identifier that is not
/// quoted: a dataset declared as `Orders` answers to `orders`, `Orders` and `ORDERS`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    schema: String,
    table: String,
}

impl TableName {
    /// The schema, [`DEFAULT_SCHEMA`] where none was written.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The table within its schema.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl fmt::Display for TableName {
    /// As a user would write it: the default schema is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema == DEFAULT_SCHEMA {
            f.write_str(&self.table)
        } else {
            write!(f, "{}.{}", self.schema, self.table)
        }
    }
}

impl FromStr for TableName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('.').collect();
        let (schema, table) = match parts[..] {
            [table] => (DEFAULT_SCHEMA, table),
            [schema, table] => (schema, table),
            _ => return Err(InvalidName::TooManyParts),
        };
        let name = TableName {
            schema: identifier(schema)?,
            table: identifier(table)?,
        };
        if RESERVED_SCHEMAS.contains(&name.schema.as_str()) {
            return Err(InvalidName::ReservedSchema {
                schema: name.schema,
            });
        }
        Ok(name)
    }
}

/// Why a text is no table name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// A part is empty, starts with a digit, or holds something else than letters, digits, `_`.
    #[error("`{part}` is no SQL identifier: use letters, digits and `_`, and start with no digit")]
    NotAnIdentifier {
        /// The part at fault.
        part: String,
    },
    /// A part is longer than any SQL engine would take.
    #[error("a name has at most {MAX_IDENTIFIER_BYTES} bytes between its dots")]
    TooLong,
    /// More than one dot.
    #[error("a name is `table` or `schema.table`")]
    TooManyParts,
    /// The schema is one of [`RESERVED_SCHEMAS`].
    #[error("the schema `{schema}` is reserved for the node's own tables")]
    ReservedSchema {
        /// The schema asked for.
        schema: String,
    },
}

fn identifier(part: &str) -> Result<String, InvalidName> {
    let starts_well = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let holds_well = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !starts_well || !holds_well {
        return Err(InvalidName::NotAnIdentifier {
            part: part.to_owned(),
        });
    }
    if part.len() > MAX_IDENTIFIER_BYTES {
        return Err(InvalidName::TooLong);
    }
    Ok(part.to_ascii_lowercase())
}

/// Generous beside the 63 bytes of PostgreSQL, and still printable in one error line.
const MAX_IDENTIFIER_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_a_table_with_and_without_a_schema() {
        let plain: TableName = "orders".parse().unwrap();
        assert_eq!((plain.schema(), plain.table()), ("public", "orders"));
        let qualified: TableName = "sales.orders_2024".parse().unwrap();
        assert_eq!(
            (qualified.schema(), qualified.table()),
            ("sales", "orders_2024")
        );
        assert_eq!(qualified.to_string(), "sales.orders_2024");
    }

    #[test]
    fn folds_case_and_the_default_schema_into_one_name() {
        let short: TableName = "Orders".parse().unwrap();
        assert_eq!(short, "public.ORDERS".parse().unwrap());
        assert_eq!(short.to_string(), "orders");
    }

    #[test]
    fn rejects_what_is_no_identifier() {
        for text in ["", "1a", "a b", "a-b", ".a", "a.", "naïve", "a\"b", "a;b"] {
            let error = text.parse::<TableName>().unwrap_err();
            assert!(
                matches!(error, InvalidName::NotAnIdentifier { .. }),
                "{text:?}: {error}"
            );
        }
        let error = "a.b.c".parse::<TableName>().unwrap_err();
        assert_eq!(error, InvalidName::TooManyParts);
        let error = "x".repeat(129).parse::<TableName>().unwrap_err();
        assert_eq!(error, InvalidName::TooLong);
    }

    #[test]
    fn rejects_reserved_schemas_in_any_case_but_not_reserved_words_as_tables() {
        for text in ["information_schema.t", "RUNTIME.task_history"] {
            let error = text.parse::<TableName>().unwrap_err();
            assert!(
                matches!(error, InvalidName::ReservedSchema { .. }),
                "{text}"
            );
        }
        assert!("runtime".parse::<TableName>().is_ok());
    }
}
