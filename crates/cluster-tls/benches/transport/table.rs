//! What is printed: one table an item, with the aim beside.

use std::fmt::{self, Display, Formatter};

use crate::figures::Figures;

/// What a figure should be on its median.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// A title and rows of figures.
pub(crate) struct Table {
    title: String,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    figures: Figures,
    aim: Option<Aim>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(mut self, name: &'static str, figures: &Figures) -> Self {
        self.rows.push(Row {
            name,
            figures: figures.clone(),
            aim: None,
        });
        self
    }

    pub(crate) fn aimed(mut self, name: &'static str, figures: &Figures, aim: Aim) -> Self {
        self.rows.push(Row {
            name,
            figures: figures.clone(),
            aim: Some(aim),
        });
        self
    }
}

impl Aim {
    fn is_met_by(self, figures: &Figures) -> bool {
        match self {
            Self::AtLeast(bound) => figures.median() >= bound,
            Self::AtMost(bound) => figures.median() <= bound,
        }
    }
}

impl Display for Aim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound}"),
            Self::AtMost(bound) => write!(f, "<= {bound}"),
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.title)?;
        writeln!(
            f,
            "  {:<44} {:>10} {:>10} {:>10}  aim (of the median)",
            "", "minimum", "median", "maximum"
        )?;
        self.rows.iter().try_for_each(|row| row.fmt(f))
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        let [minimum, median, maximum] =
            [figures.minimum(), figures.median(), figures.maximum()].map(number);
        write!(
            f,
            "  {:<44} {minimum:>10} {median:>10} {maximum:>10}",
            self.name
        )?;
        if let Some(aim) = self.aim {
            let outcome = if aim.is_met_by(figures) {
                "met"
            } else {
                "MISSED"
            };
            write!(f, "  {aim}: {outcome}")?;
        }
        writeln!(f)
    }
}

/// Three digits that say something, and no more.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
