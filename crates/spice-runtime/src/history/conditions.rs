//! Conditions that another scheduler may check for us, as SQL.
//!
//! Only comparisons of a column with a constant: they mean the same wherever they are evaluated, and
//! they are what histories are asked for, a trace, a kind, a span of time. Whatever comes back is
//! filtered here once more, so that leaving one out costs bytes and never an answer.

use chrono::{DateTime, SecondsFormat};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::columns;

/// `expr` as a condition over the columns of the history, if it is one of those.
pub(super) fn to_sql(expr: &Expr) -> Option<String> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return None;
    };
    let op = comparison(*op)?;
    let (Expr::Column(column), Expr::Literal(value, _)) = (left.as_ref(), right.as_ref()) else {
        return None;
    };
    // The name is one of ours, none of which needs quotes.
    columns::schema().field_with_name(&column.name).ok()?;
    Some(format!("{} {op} {}", column.name, literal(value)?))
}

fn comparison(op: Operator) -> Option<&'static str> {
    match op {
        Operator::Eq => Some("="),
        Operator::NotEq => Some("<>"),
        Operator::Lt => Some("<"),
        Operator::LtEq => Some("<="),
        Operator::Gt => Some(">"),
        Operator::GtEq => Some(">="),
        _ => None,
    }
}

fn literal(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(Some(text)) if text.len() <= TEXT_LIMIT_BYTES => {
            Some(format!("'{}'", text.replace('\'', "''")))
        }
        ScalarValue::Float64(Some(number)) if number.is_finite() => Some(format!("{number:?}")),
        ScalarValue::TimestampNanosecond(Some(nanoseconds), _) => {
            let time = DateTime::from_timestamp_nanos(*nanoseconds);
            let time = time.to_rfc3339_opts(SecondsFormat::Nanos, true);
            Some(format!("TIMESTAMP '{time}'"))
        }
        _ => None,
    }
}

/// Ids and names are shorter, and a request has room for dozens of these.
const TEXT_LIMIT_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn comparisons_with_constants_are_passed_on_and_nothing_else() {
        let time = ScalarValue::TimestampNanosecond(Some(1_500_000_000), Some("+00:00".into()));
        for (expr, expected) in [
            (col("task").eq(lit("it's")), Some("task = 'it''s'")),
            (col("node_id").not_eq(lit("a")), Some("node_id <> 'a'")),
            (
                col("execution_duration_ms").gt(lit(1e3)),
                Some("execution_duration_ms > 1000.0"),
            ),
            (
                col("start_time").gt_eq(lit(time)),
                Some("start_time >= TIMESTAMP '1970-01-01T00:00:01.500000000Z'"),
            ),
            (col("task").eq(col("input")), None),
            (col("nothing").eq(lit("x")), None),
            (col("task").eq(lit("x".repeat(1025))), None),
            (col("execution_duration_ms").gt(lit(f64::NAN)), None),
            (col("task").is_null(), None),
        ] {
            assert_eq!(to_sql(&expr).as_deref(), expected, "{expr}");
        }
    }
}
