//! Texts under each other.

use std::io::Write;

use crate::failure::Failure;

/// Writes `rows` in columns that are as wide as their widest text.
pub(crate) fn write<const N: usize>(
    out: &mut impl Write,
    header: [&str; N],
    rows: &[[String; N]],
) -> Result<(), Failure> {
    let mut widths = header.map(width);
    for row in rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = width(cell).max(*wide);
        }
    }
    write_line(out, &header, &widths)?;
    for row in rows {
        write_line(out, &row.each_ref().map(String::as_str), &widths)?;
    }
    Ok(())
}

fn write_line(out: &mut impl Write, cells: &[&str], widths: &[usize]) -> Result<(), Failure> {
    let mut line = String::new();
    for (cell, wide) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', wide - width(cell) + GAP));
    }
    writeln!(out, "{}", line.trim_end())?;
    Ok(())
}

fn width(text: &str) -> usize {
    text.chars().count()
}

const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_text_and_lines_end_with_text() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let mut out = Vec::new();
        write(&mut out, ["A", "LONG"], &[row("größe", "1"), row("b", "")]).unwrap();
        let expected = "A      LONG\ngröße  1\nb\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
