//! Tables that fit the terminal.

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::demo::Measured;
use super::pki::Certificate;
use crate::node::Node;

/// Of a long answer only the beginning is shown.
const SHOWN_ROWS: usize = 10;

/// The first rows of an answer; says how many more there are.
pub(super) fn rows(batches: &[RecordBatch]) -> Result<String> {
    let Some(first) = batches.first() else {
        return Ok("    no rows".to_owned());
    };
    let schema = first.schema();
    let mut table = table(schema.fields().iter().map(|field| field.name().as_str()));
    for (index, field) in schema.fields().iter().enumerate() {
        if field.data_type().is_numeric() {
            align_right(&mut table, index);
        }
    }
    for row in texts(batches, SHOWN_ROWS)? {
        table.add_row(row);
    }
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let more = total.saturating_sub(SHOWN_ROWS);
    if more > 0 {
        return Ok(format!("{table}\n    ... and {more} more rows"));
    }
    Ok(table.to_string())
}

/// The first `count` rows as text.
fn texts(batches: &[RecordBatch], count: usize) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        let wanted = batch.num_rows().min(count - rows.len());
        rows.extend((0..wanted).map(|row| {
            let cells = columns.iter().map(|column| column.value(row).to_string());
            cells.collect()
        }));
    }
    Ok(rows)
}

/// Time and tasks of every query.
pub(super) fn measured(measured: &[Measured], executors: &[Node]) -> String {
    let heads = ["query", "rows", "seconds"].map(str::to_owned).into_iter();
    let heads: Vec<String> = heads
        .chain(
            executors
                .iter()
                .map(|node| format!("tasks of {}", node.name())),
        )
        .collect();
    let mut table = table(heads.iter().map(String::as_str));
    for index in 0..heads.len() {
        align_right(&mut table, index);
    }
    for one in measured {
        let seconds = format!("{:.2}", one.time.as_secs_f64());
        let row = [format!("Q{}", one.number), one.rows.to_string(), seconds];
        table.add_row(row.into_iter().chain(one.tasks.iter().map(u64::to_string)));
    }
    table.to_string()
}

/// Who may prove what until when.
pub(super) fn certificates(certificates: &[Certificate]) -> String {
    let mut table = table(["name", "role", "names", "expires"].into_iter());
    for certificate in certificates {
        let names = certificate.names.join(", ");
        table.add_row([
            &certificate.name,
            &certificate.role,
            &names,
            &certificate.expires,
        ]);
    }
    table.to_string()
}

fn table<'a>(heads: impl Iterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(heads);
    table
}

fn align_right(table: &mut Table, index: usize) {
    if let Some(column) = table.column_mut(index) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn batch(values: impl IntoIterator<Item = Option<i64>>) -> RecordBatch {
        let values: ArrayRef = Arc::new(values.into_iter().collect::<Int64Array>());
        RecordBatch::try_from_iter_with_nullable([("n", values, true)]).unwrap()
    }

    #[test]
    fn only_the_first_ten_rows_of_all_batches_are_shown() {
        let batches = [batch((0..7).map(Some)), batch((7..25).map(Some))];
        let text = rows(&batches).unwrap();
        assert!(text.contains(" 9 ") && !text.contains(" 10 "), "{text}");
        assert!(text.contains("15 more rows"), "{text}");
    }

    #[test]
    fn a_short_answer_is_shown_whole_with_its_nulls() {
        let text = rows(&[batch([Some(1), None])]).unwrap();
        assert!(text.contains("NULL"), "{text}");
        assert!(!text.contains("more rows"), "{text}");
        assert_eq!(rows(&[]).unwrap(), "    no rows");
    }
}
