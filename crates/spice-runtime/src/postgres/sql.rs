//! The statement that reads a part of a table.
//!
//! Names are quoted, and come from the manifest and the catalog of the database. Values are
//! parameters. All of them travel as text and are cast on the other side, so that the server never
//! guesses a type.

use super::column::{Column, Kind};
use super::filter::{Comparison, Filter};

/// A statement and its parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) parameters: Vec<String>,
}

/// What a statement is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection<'a> {
    pub(super) schema: &'a str,
    pub(super) table: &'a str,
    /// Every column of the table.
    pub(super) known: &'a [Column],
    /// Those to read.
    pub(super) columns: &'a [Column],
    pub(super) filters: &'a [Filter],
    pub(super) limit: Option<u64>,
}

impl Statement {
    /// The statement, or the name of a column that the table does not have.
    pub(super) fn of(selection: Selection<'_>) -> Result<Self, String> {
        let mut statement = Self::default();
        statement.push("SELECT ");
        statement.push(&selected(selection.columns));
        statement.push(" FROM ");
        statement.push(&quoted(selection.schema));
        statement.push(".");
        statement.push(&quoted(selection.table));
        for (index, filter) in selection.filters.iter().enumerate() {
            statement.push(if index == 0 { " WHERE " } else { " AND " });
            statement.filter(filter, selection.known)?;
        }
        if let Some(limit) = selection.limit {
            statement.push(&format!(" LIMIT {limit}"));
        }
        Ok(statement)
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn filter(&mut self, filter: &Filter, known: &[Column]) -> Result<(), String> {
        match filter {
            Filter::Is { column, value } => {
                self.push(if *value { "" } else { "NOT " });
                self.push(&quoted(&find(known, column)?.name));
            }
            Filter::Null { column, null } => {
                self.push(&quoted(&find(known, column)?.name));
                self.push(if *null { " IS NULL" } else { " IS NOT NULL" });
            }
            Filter::Compare {
                column,
                operator,
                value,
            } => {
                let column = find(known, column)?;
                if column.kind == Kind::Text && *operator == Comparison::Equal {
                    // Said twice, because the index of a column is of its own collation.
                    self.push(&format!(
                        "{} = ${}::text AND ",
                        quoted(&column.name),
                        self.next()
                    ));
                }
                self.push(&format!("{} {} ", compared(column), operator.as_sql()));
                self.parameter(column.kind, value);
            }
            Filter::In {
                column,
                values,
                negated,
            } => self.list(find(known, column)?, values, *negated),
            Filter::All(filters) => self.joined(" AND ", filters, known)?,
            Filter::Any(filters) => self.joined(" OR ", filters, known)?,
        }
        Ok(())
    }

    fn list(&mut self, column: &Column, values: &[String], negated: bool) {
        self.push(&compared(column));
        self.push(if negated { " NOT IN (" } else { " IN (" });
        for (index, value) in values.iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " });
            self.parameter(column.kind, value);
        }
        self.push(")");
    }

    fn joined(&mut self, word: &str, filters: &[Filter], known: &[Column]) -> Result<(), String> {
        self.push("(");
        for (index, filter) in filters.iter().enumerate() {
            self.push(if index == 0 { "" } else { word });
            self.filter(filter, known)?;
        }
        self.push(")");
        Ok(())
    }

    /// The number of the parameter to come.
    fn next(&self) -> usize {
        self.parameters.len() + 1
    }

    fn parameter(&mut self, kind: Kind, value: &str) {
        let number = self.next();
        self.parameters.push(value.to_owned());
        self.push(&match kind {
            Kind::Date => format!("${number}::text::date"),
            Kind::Timestamp => format!("${number}::text::timestamp"),
            Kind::Instant => format!("${number}::text::timestamptz"),
            Kind::Bool => format!("${number}::text::bool"),
            Kind::Int16 => format!("${number}::text::int2"),
            Kind::Int32 => format!("${number}::text::int4"),
            Kind::Int64 => format!("${number}::text::int8"),
            Kind::Decimal { .. } => format!("${number}::text::numeric"),
            Kind::Float32 | Kind::Float64 | Kind::Text | Kind::AsText | Kind::Bytes => {
                format!("${number}::text")
            }
        });
    }
}

/// The columns to read; a row without any is still a row.
fn selected(columns: &[Column]) -> String {
    let columns: Vec<String> = columns.iter().map(value_of).collect();
    if columns.is_empty() {
        return "NULL::text".to_owned();
    }
    columns.join(", ")
}

/// What a column's value is read from.
fn value_of(column: &Column) -> String {
    match column.kind {
        Kind::AsText | Kind::Decimal { .. } => format!("{}::text", quoted(&column.name)),
        _ => quoted(&column.name),
    }
}

/// What a column's value is compared by: text by its bytes, as the engine does. A collation may
/// order it otherwise, or overlook case.
fn compared(column: &Column) -> String {
    let name = quoted(&column.name);
    match column.kind {
        Kind::Text => format!("{name} COLLATE \"C\""),
        Kind::AsText => format!("({name}::text) COLLATE \"C\""),
        _ => name,
    }
}

fn find<'a>(known: &'a [Column], name: &str) -> Result<&'a Column, String> {
    let found = known.iter().find(|column| column.name == name);
    found.ok_or_else(|| name.to_owned())
}

/// A name in double quotes, those within it doubled: all that a quoted name needs.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(filters: &[Filter], limit: Option<u64>) -> Result<Statement, String> {
        let decimal = Kind::Decimal {
            precision: 9,
            scale: 2,
        };
        let known = [
            Column::new("n\"; DROP", Kind::Int32),
            Column::new("t", Kind::Text),
            Column::new("d", decimal),
            Column::new("day", Kind::Date),
        ];
        Statement::of(Selection {
            schema: "sales",
            table: "Or\"ders",
            known: &known,
            columns: &known[..3],
            filters,
            limit,
        })
    }

    fn compare(column: &str, value: &str) -> Filter {
        Filter::Compare {
            column: column.to_owned(),
            operator: Comparison::LessOrEqual,
            value: value.to_owned(),
        }
    }

    #[test]
    fn names_are_quoted_and_values_are_parameters() {
        let hostile = "x'; DROP TABLE t; --";
        let filters = [
            compare("t", hostile),
            Filter::Any(vec![
                compare("day", "2026-01-03"),
                Filter::In {
                    column: "n\"; DROP".to_owned(),
                    values: vec!["1".to_owned(), "2".to_owned()],
                    negated: true,
                },
            ]),
        ];
        let statement = statement(&filters, Some(7)).unwrap();
        assert_eq!(
            statement.text,
            "SELECT \"n\"\"; DROP\", \"t\", \"d\"::text FROM \"sales\".\"Or\"\"ders\" \
             WHERE \"t\" COLLATE \"C\" <= $1::text \
             AND (\"day\" <= $2::text::date \
             OR \"n\"\"; DROP\" NOT IN ($3::text::int4, $4::text::int4)) LIMIT 7"
        );
        assert_eq!(statement.parameters, [hostile, "2026-01-03", "1", "2"]);
    }

    #[test]
    fn a_filter_on_a_column_that_is_not_there_is_refused() {
        assert_eq!(
            statement(&[compare("other", "1")], None),
            Err("other".to_owned())
        );
    }
}
