//! How much data.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

/// The TPC-H scale factor: 1 stands for about 1 GB as text, 8.7 million rows in all.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct ScaleFactor(f64);

impl ScaleFactor {
    /// Takes any positive number; fractions are the usual choice for tests.
    ///
    /// # Errors
    ///
    /// When `factor` is not a positive number of at most 1000.
    pub fn new(factor: f64) -> Result<Self> {
        ensure!(
            factor > 0.0 && factor <= LARGEST,
            "the scale factor must be above 0 and at most {LARGEST}, not {factor}"
        );
        Ok(Self(factor))
    }

    /// The factor as a number.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0
    }
}

impl Display for ScaleFactor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ScaleFactor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text.parse().context("the scale factor must be a number")?)
    }
}

/// A terabyte: above it a typing error is more likely than a wish.
const LARGEST: f64 = 1000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_numbers_are_scale_factors_and_others_are_not() {
        assert_eq!("0.1".parse::<ScaleFactor>().unwrap().as_f64(), 0.1);
        for text in ["0", "-1", "NaN", "inf", "1001", "much"] {
            assert!(text.parse::<ScaleFactor>().is_err(), "{text}");
        }
    }
}
