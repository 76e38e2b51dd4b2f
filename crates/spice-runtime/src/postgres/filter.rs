//! The part of a query's conditions that the database can decide as the engine would.
//!
//! Whatever is not certain to mean the same on both sides stays with the engine: floats, because
//! the two order NaN and negative zero differently; bytes; functions.

use chrono::{DateTime, Datelike};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use serde::{Deserialize, Serialize};

use super::column::{Column, Kind};

/// A condition on a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Filter {
    /// The column is true, or false.
    Is { column: String, value: bool },
    /// The column has no value, or one.
    Null { column: String, null: bool },
    /// The column compared with a value.
    Compare {
        column: String,
        operator: Comparison,
        value: String,
    },
    /// The column has one of the values, or none of them.
    In {
        column: String,
        values: Vec<String>,
        negated: bool,
    },
    /// All of them.
    All(Vec<Filter>),
    /// At least one of them.
    Any(Vec<Filter>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn as_sql(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }

    fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Eq => Comparison::Equal,
            Operator::NotEq => Comparison::NotEqual,
            Operator::Lt => Comparison::Less,
            Operator::LtEq => Comparison::LessOrEqual,
            Operator::Gt => Comparison::Greater,
            Operator::GtEq => Comparison::GreaterOrEqual,
            _ => return None,
        })
    }

    /// With its sides exchanged.
    fn turned(self) -> Self {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }
}

/// Reads conditions over the columns of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) columns: &'a [Column],
    /// Whether the database can be asked for every text, and orders text by its bytes.
    pub(super) utf8: bool,
}

impl<'a> Reader<'a> {
    /// The condition for the database, if it would decide it exactly as the engine.
    pub(super) fn filter(self, expression: &Expr) -> Option<Filter> {
        match expression {
            Expr::Column(_) => self.truth(expression, true),
            Expr::Not(inner) => self.truth(inner, false),
            Expr::IsNull(inner) => self.null(inner, true),
            Expr::IsNotNull(inner) => self.null(inner, false),
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::InList(list) => self.list(list),
            _ => None,
        }
    }

    fn truth(self, expression: &Expr, value: bool) -> Option<Filter> {
        let column = self.column(expression).filter(|it| it.kind == Kind::Bool)?;
        let column = column.name.clone();
        Some(Filter::Is { column, value })
    }

    fn null(self, expression: &Expr, null: bool) -> Option<Filter> {
        let column = self.column(expression)?.name.clone();
        Some(Filter::Null { column, null })
    }

    fn binary(self, binary: &BinaryExpr) -> Option<Filter> {
        let sides = || {
            Some(vec![
                self.filter(&binary.left)?,
                self.filter(&binary.right)?,
            ])
        };
        match binary.op {
            Operator::And => return sides().map(Filter::All),
            Operator::Or => return sides().map(Filter::Any),
            _ => {}
        }
        let operator = Comparison::of(binary.op)?;
        let (column, operator, value) = match self.column(&binary.left) {
            Some(column) => (column, operator, &*binary.right),
            None => (
                self.column(&binary.right)?,
                operator.turned(),
                &*binary.left,
            ),
        };
        Some(Filter::Compare {
            column: column.name.clone(),
            operator,
            value: self.value(column, value)?,
        })
    }

    fn list(self, list: &InList) -> Option<Filter> {
        let column = self.column(&list.expr)?;
        if list.list.len() > LIST_LIMIT {
            return None;
        }
        let values = list.list.iter().map(|value| self.value(column, value));
        Some(Filter::In {
            column: column.name.clone(),
            values: values.collect::<Option<_>>()?,
            negated: list.negated,
        })
    }

    fn column(self, expression: &Expr) -> Option<&'a Column> {
        let Expr::Column(named) = expression else {
            return None;
        };
        self.columns.iter().find(|it| it.name == named.name)
    }

    /// A value as text that the database reads as one of the column's type. A value of another type
    /// would be compared by other rules.
    fn value(self, column: &Column, expression: &Expr) -> Option<String> {
        let Expr::Literal(value, _) = expression else {
            return None;
        };
        literal(column.kind, value, self.utf8)
    }
}

fn literal(kind: Kind, value: &ScalarValue, utf8: bool) -> Option<String> {
    match (kind, value) {
        (Kind::Int16, ScalarValue::Int16(Some(value))) => Some(value.to_string()),
        (Kind::Int32, ScalarValue::Int32(Some(value))) => Some(value.to_string()),
        (Kind::Int64, ScalarValue::Int64(Some(value))) => Some(value.to_string()),
        (Kind::Bool, ScalarValue::Boolean(Some(value))) => Some(value.to_string()),
        (Kind::Text | Kind::AsText, ScalarValue::Utf8(Some(text))) => {
            // PostgreSQL's text has no NUL.
            (utf8 && !text.contains('\0')).then(|| text.clone())
        }
        (Kind::Date, ScalarValue::Date32(Some(days))) => {
            time(i64::from(*days).checked_mul(MICROS_PER_DAY)?, "%Y-%m-%d")
        }
        (Kind::Timestamp, ScalarValue::TimestampMicrosecond(Some(micros), None)) => {
            time(*micros, "%Y-%m-%d %H:%M:%S%.6f")
        }
        (Kind::Instant, ScalarValue::TimestampMicrosecond(Some(micros), Some(_))) => {
            time(*micros, "%Y-%m-%d %H:%M:%S%.6f+00")
        }
        (Kind::Decimal { scale, .. }, ScalarValue::Decimal128(Some(digits), _, other))
            if scale == *other =>
        {
            Some(decimal(*digits, scale.unsigned_abs().into()))
        }
        _ => None,
    }
}

/// In the form of ISO 8601, which means the same in every date style; both sides agree on the years
/// with four digits.
fn time(micros: i64, format: &str) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?;
    (1..=9999)
        .contains(&time.year())
        .then(|| time.format(format).to_string())
}

/// Digits with a point `scale` of them from the right. Scales of columns are never negative.
fn decimal(digits: i128, scale: usize) -> String {
    let sign = if digits < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{part}")
}

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Longer lists stay with the engine, which hashes them.
const LIST_LIMIT: usize = 256;

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit, try_cast};

    use super::*;

    fn columns() -> Vec<Column> {
        let decimal = Kind::Decimal {
            precision: 9,
            scale: 2,
        };
        let kinds = [
            ("n", Kind::Int32),
            ("t", Kind::Text),
            ("b", Kind::Bool),
            ("f", Kind::Float64),
            ("d", decimal),
            ("x", Kind::Bytes),
            ("day", Kind::Date),
            ("at", Kind::Instant),
        ];
        kinds.map(|(name, kind)| Column::new(name, kind)).to_vec()
    }

    fn read(expression: &Expr) -> Option<Filter> {
        let columns = columns();
        let reader = Reader {
            columns: &columns,
            utf8: true,
        };
        reader.filter(expression)
    }

    #[test]
    fn takes_what_both_sides_decide_alike() {
        let compare = |column: &str, operator, value: &str| Filter::Compare {
            column: column.to_owned(),
            operator,
            value: value.to_owned(),
        };
        let greater = Some(compare("n", Comparison::Greater, "5"));
        assert_eq!(read(&col("n").gt(lit(5_i32))), greater);
        assert_eq!(read(&lit(5_i32).lt(col("n"))), greater);
        let digits = |digits| lit(ScalarValue::Decimal128(Some(digits), 9, 2));
        for (number, text) in [(5, "0.05"), (-5, "-0.05"), (12345, "123.45"), (0, "0.00")] {
            let equal = Some(compare("d", Comparison::Equal, text));
            assert_eq!(read(&col("d").eq(digits(number))), equal);
        }
        let day = lit(ScalarValue::Date32(Some(-1)));
        let equal = Some(compare("day", Comparison::Equal, "1969-12-31"));
        assert_eq!(read(&col("day").eq(day)), equal);
        let instant = ScalarValue::TimestampMicrosecond(Some(1_500_000), Some("UTC".into()));
        let equal = compare("at", Comparison::Equal, "1970-01-01 00:00:01.500000+00");
        assert_eq!(read(&col("at").eq(lit(instant))), Some(equal));
        let either = col("b").or(col("t").in_list(vec![lit("it's")], true));
        assert_eq!(
            read(&either),
            Some(Filter::Any(vec![
                Filter::Is {
                    column: "b".to_owned(),
                    value: true
                },
                Filter::In {
                    column: "t".to_owned(),
                    values: vec!["it's".to_owned()],
                    negated: true
                },
            ]))
        );
        assert!(read(&col("x").is_null().and(col("f").is_not_null())).is_some());
    }

    #[test]
    fn leaves_what_could_differ_to_the_engine() {
        for expression in [
            col("f").eq(lit(1.5_f64)),
            col("n").eq(lit(5_i64)),
            col("n").eq(lit(ScalarValue::Int32(None))),
            col("n").eq(col("n")),
            col("x").eq(lit(ScalarValue::Binary(Some(vec![1])))),
            col("t").eq(lit("a\0b")),
            col("d").eq(lit(ScalarValue::Decimal128(Some(5), 9, 3))),
            try_cast(col("t"), datafusion::arrow::datatypes::DataType::Int32).eq(lit(1_i32)),
            col("n").eq(lit(1_i32)).or(col("f").eq(lit(1.5_f64))),
            col("t").in_list(vec![lit("a"); LIST_LIMIT + 1], false),
            !col("n").eq(lit(1_i32)),
            col("at").eq(lit(ScalarValue::TimestampMicrosecond(Some(1), None))),
            col("day").eq(lit(ScalarValue::Date32(Some(i32::MAX)))),
        ] {
            assert_eq!(read(&expression), None, "{expression}");
        }
        let columns = columns();
        let reader = Reader {
            columns: &columns,
            utf8: false,
        };
        assert_eq!(reader.filter(&col("t").eq(lit("a"))), None);
    }
}
