//! The spicepod over the generated tables.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Table;

/// Writes a `spicepod.yaml` beside the tables that [`generate`](super::generate) put into
/// `directory`, and gives its path.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_manifest(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("spicepod.yaml");
    let datasets: String = Table::ALL.into_iter().map(dataset).collect();
    let text = format!("version: v1\nkind: Spicepod\nname: tpch\ndatasets:\n{datasets}");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn dataset(table: Table) -> String {
    let name = table.name();
    format!("  - name: {name}\n    from: file:{name}/\n    params:\n      file_format: parquet\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_a_dataset_of_the_manifest() {
        let directory = tempfile::tempdir().unwrap();
        let path = write_manifest(directory.path()).unwrap();
        let text = fs::read_to_string(path).unwrap();
        for table in Table::ALL {
            let line = format!("    from: file:{}/\n", table.name());
            assert_eq!(text.matches(&line).count(), 1, "{text}");
        }
    }
}
