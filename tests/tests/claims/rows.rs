//! Comparing the rows of two answers.

use anyhow::Result;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// All rows of one answer.
#[derive(Debug)]
pub(crate) struct Rows {
    columns: Vec<(String, DataType)>,
    rows: Vec<Vec<Cell>>,
}

/// One value.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    /// Compared to the letter: decimals, integers, text, dates.
    Exact(String),
    /// Compared with a tolerance: the sum of floats depends on the order of adding.
    Float(f64),
}

impl Rows {
    /// Reads an answer; one without batches has no columns either.
    pub(crate) fn read(batches: &[RecordBatch]) -> Result<Self> {
        let columns = batches.first().map(columns).unwrap_or_default();
        let mut rows = Vec::new();
        for batch in batches {
            let cells: Vec<Vec<Cell>> = batch
                .columns()
                .iter()
                .map(|column| cells(column))
                .collect::<Result<_>>()?;
            rows.extend((0..batch.num_rows()).map(|row| {
                let values = cells.iter().map(|column| column[row].clone());
                values.collect()
            }));
        }
        Ok(Self { columns, rows })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// What is wrong with these rows if `expected` is right; `None` if nothing is. Both are
    /// compared as sets of rows, and the columns `order_by` row by row as they came: rows that
    /// tie in those may come in any order.
    pub(crate) fn difference(&self, expected: &Self, order_by: &[String]) -> Option<String> {
        if self.len() != expected.len() {
            return Some(format!("{} rows, not {}", self.len(), expected.len()));
        }
        if self.len() > 0 && self.columns != expected.columns {
            let (is, expected) = (&self.columns, &expected.columns);
            return Some(format!("columns {is:?}, not {expected:?}"));
        }
        first_difference(&self.sorted(), &expected.sorted())
            .or_else(|| self.difference_in_order(expected, order_by))
    }

    fn difference_in_order(&self, expected: &Self, order_by: &[String]) -> Option<String> {
        if self.len() == 0 {
            return None;
        }
        let mut keys = Vec::new();
        for name in order_by {
            match self.columns.iter().position(|(column, _)| column == name) {
                Some(key) => keys.push(key),
                None => return Some(format!("no column {name}, by which rows are ordered")),
            }
        }
        first_difference(&self.projected(&keys), &expected.projected(&keys))
            .map(|difference| format!("in the order of the rows: {difference}"))
    }

    fn sorted(&self) -> Vec<Vec<Cell>> {
        let mut rows = self.rows.clone();
        rows.sort_by_cached_key(|row| row.iter().map(Cell::sort_key).collect::<Vec<_>>());
        rows
    }

    fn projected(&self, keys: &[usize]) -> Vec<Vec<Cell>> {
        let project = |row: &Vec<Cell>| keys.iter().map(|key| row[*key].clone()).collect();
        self.rows.iter().map(project).collect()
    }
}

impl Cell {
    /// Floats that are equal within the tolerance sort alike, but for those at the very edge of
    /// a rounding step.
    fn sort_key(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Exact(text) => text.clone(),
            Self::Float(value) => format!("{value:.6e}"),
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => {
                (one - other).abs() <= RELATIVE_TOLERANCE * one.abs().max(other.abs())
            }
            _ => false,
        }
    }
}

/// The columns named by the last `order by` of a query; none where it has none.
pub(crate) fn order_by(sql: &str) -> Vec<String> {
    let Some((_, keys)) = sql.rsplit_once("order by ") else {
        return Vec::new();
    };
    let keys = keys.lines().next().unwrap_or_default().split(',');
    keys.filter_map(|key| key.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn columns(batch: &RecordBatch) -> Vec<(String, DataType)> {
    let schema = batch.schema();
    let fields = schema.fields().iter();
    fields
        .map(|field| (field.name().clone(), plain(field.data_type())))
        .collect()
}

/// Text is text, whether its bytes are stored beside each other or viewed in a shared buffer.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    }
}

fn cells(column: &dyn Array) -> Result<Vec<Cell>> {
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        let cells = floats.iter();
        return Ok(cells
            .map(|value| value.map_or(Cell::Null, Cell::Float))
            .collect());
    }
    let options = FormatOptions::default();
    let text = ArrayFormatter::try_new(column, &options)?;
    let cells = (0..column.len()).map(|row| match column.is_null(row) {
        true => Ok(Cell::Null),
        false => Ok(Cell::Exact(text.value(row).try_to_string()?)),
    });
    cells.collect()
}

fn first_difference(rows: &[Vec<Cell>], expected: &[Vec<Cell>]) -> Option<String> {
    let equal = |(one, other): (&Vec<Cell>, &Vec<Cell>)| {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.equals(other))
    };
    let number = rows.iter().zip(expected).position(|pair| !equal(pair))?;
    Some(format!(
        "row {number} is {:?}, not {:?}",
        rows[number], expected[number]
    ))
}

/// Doubles have 15 digits; sums of a million of them keep far more than 9.
const RELATIVE_TOLERANCE: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray, StringViewArray};

    use super::*;

    fn rows(names: [&str; 3], values: [f64; 3]) -> Rows {
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        let batch = RecordBatch::try_from_iter([("name", names), ("value", values)]);
        Rows::read(&[batch.unwrap()]).unwrap()
    }

    #[test]
    fn the_same_rows_in_another_order_differ_only_where_an_order_was_asked_for() {
        let expected = rows(["a", "b", "b"], [1.0, 2.0, 3.0]);
        let shuffled = rows(["b", "a", "b"], [3.0, 1.0, 2.0]);
        let by_name = ["name".to_owned()];
        assert_eq!(shuffled.difference(&expected, &[]), None);
        assert!(shuffled.difference(&expected, &by_name).is_some());
        let tied = rows(["a", "b", "b"], [1.0, 3.0, 2.0]);
        assert_eq!(tied.difference(&expected, &by_name), None);
        assert!(
            tied.difference(&expected, &["nowhere".to_owned()])
                .is_some()
        );
    }

    #[test]
    fn floats_may_differ_in_their_last_digits_and_text_in_nothing() {
        let expected = rows(["a", "b", "c"], [1.0, 2.0, 3.0]);
        let close = rows(["a", "b", "c"], [1.0 + 1e-13, 2.0, 3.0]);
        assert_eq!(close.difference(&expected, &[]), None);
        let far = rows(["a", "b", "c"], [1.000_001, 2.0, 3.0]);
        assert!(far.difference(&expected, &[]).is_some());
        let renamed = rows(["A", "b", "c"], [1.0, 2.0, 3.0]);
        assert!(renamed.difference(&expected, &[]).is_some());
    }

    #[test]
    fn a_lost_or_a_doubled_row_is_a_difference() {
        let expected = rows(["a", "b", "c"], [1.0, 2.0, 3.0]);
        let none = Rows::read(&[]).unwrap();
        assert!(none.difference(&expected, &[]).is_some());
        let doubled = rows(["a", "b", "b"], [1.0, 2.0, 2.0]);
        assert!(doubled.difference(&expected, &[]).is_some());
    }

    #[test]
    fn string_views_are_text_and_numbers_as_text_are_not_numbers() {
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(["1"]));
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(["1"]));
        let floats: ArrayRef = Arc::new(Float64Array::from_iter_values([1.0]));
        let [text, views, floats] = [text, views, floats].map(|column| {
            let batch = RecordBatch::try_from_iter([("one", column)]);
            Rows::read(&[batch.unwrap()]).unwrap()
        });
        assert_eq!(views.difference(&text, &[]), None);
        assert!(floats.difference(&text, &[]).is_some());
    }

    #[test]
    fn the_last_order_of_a_query_names_its_columns() {
        let sql = "select a from (select * from t order by z)\norder by a desc, b\nlimit 3";
        assert_eq!(order_by(sql), ["a", "b"]);
        assert!(order_by("select 1").is_empty());
    }
}
