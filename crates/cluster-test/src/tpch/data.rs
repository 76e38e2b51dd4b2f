//! The tables as Parquet files, generated in a bounded amount of memory.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::table::{Part, Rows};
use super::{ScaleFactor, Table};

/// How far the generation is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The table that is being written.
    pub table: Table,
    /// Rows of this table written so far.
    pub rows: u64,
    /// Rows this table will have, `lineitem`'s within one percent.
    pub expected_rows: u64,
}

/// Writes the eight tables under `directory`, each as a new directory of Parquet files.
///
/// The data is the same for the same scale, on every machine. `progress` is called every few
/// thousand rows; an error of it ends the generation. Files block the thread: call this on one
/// that may be blocked.
///
/// # Errors
///
/// When a table is there already or cannot be written, and what `progress` gives.
pub fn generate(
    directory: &Path,
    scale: ScaleFactor,
    mut progress: impl FnMut(Progress) -> Result<()>,
) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for table in Table::ALL {
        let expected_rows = table.expected_rows(scale);
        let mut rows = 0;
        write_table(directory, table, scale, |written| {
            rows += written;
            progress(Progress {
                table,
                rows,
                expected_rows,
            })
        })?;
    }
    Ok(())
}

fn write_table(
    directory: &Path,
    table: Table,
    scale: ScaleFactor,
    mut written: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let directory = directory.join(table.name());
    // Not its parents: where they are removed meanwhile, they stay so.
    fs::create_dir(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let count = table.files(scale);
    for number in 1..=count {
        let path = directory.join(format!("part-{number:02}.parquet"));
        let rows = table.rows(scale, Part { number, count });
        write_file(&path, rows, &mut written)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn write_file(path: &Path, rows: Rows, written: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
        .build();
    // The generator's string views stay its own affair: without the Arrow schema in the file,
    // text is read as text, as from files of any other writer.
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let file = File::create(path)?;
    let mut writer = ArrowWriter::try_new_with_options(file, rows.schema(), options)?;
    for batch in rows {
        let batch = batch?;
        writer.write(&batch)?;
        written(batch.num_rows() as u64)?;
    }
    writer.close()?;
    Ok(())
}

/// A tenth of what readers are tuned for, so that small scale factors have several row groups
/// to share out, and a writer holds little in memory.
const ROWS_PER_GROUP: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anyhow::bail;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn stored_rows(directory: &Path) -> (usize, u64) {
        let files: Vec<_> = fs::read_dir(directory).unwrap().collect();
        let rows = files.iter().map(|entry| {
            let file = File::open(entry.as_ref().unwrap().path()).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap()
        });
        (files.len(), rows.sum())
    }

    #[test]
    fn the_files_hold_the_rows_that_the_progress_counted() {
        let directory = tempfile::tempdir().unwrap();
        let scale = ScaleFactor::new(0.01).unwrap();
        let mut counted = BTreeMap::new();
        generate(directory.path(), scale, |progress| {
            counted.insert(progress.table, progress.rows);
            Ok(())
        })
        .unwrap();
        for table in Table::ALL {
            let (files, rows) = stored_rows(&directory.path().join(table.name()));
            assert_eq!(rows, counted[&table], "{}", table.name());
            assert_eq!(files, usize::try_from(table.files(scale)).unwrap());
            // 60 175 at this scale; every other table is exact.
            let expected = table.expected_rows(scale);
            assert!(
                rows.abs_diff(expected) * 100 <= expected,
                "{rows} of {expected}"
            );
        }
        assert_eq!(counted[&Table::Lineitem], 60_175);
        assert_eq!(counted[&Table::Orders], 15_000);
        assert_eq!(counted[&Table::Nation], 25);
    }

    #[test]
    fn an_error_of_the_progress_ends_the_generation() {
        let directory = tempfile::tempdir().unwrap();
        let scale = ScaleFactor::new(0.01).unwrap();
        let mut calls = 0;
        let error = generate(directory.path(), scale, |_| {
            calls += 1;
            bail!("enough")
        });
        assert_eq!(error.unwrap_err().root_cause().to_string(), "enough");
        assert_eq!(calls, 1);
    }
}
