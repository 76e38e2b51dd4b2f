//! How long a certificate is valid.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A validity in days of 24 hours: 1 to [`Days::LIMIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Days(u32);

impl Days {
    /// What an authority gets when nothing is asked for: ten years, because replacing the root
    /// means touching every node.
    pub const AUTHORITY_DEFAULT: Self = Self(3650);

    /// What a leaf gets when nothing is asked for: one year.
    pub const LEAF_DEFAULT: Self = Self(365);

    /// The shortest validity.
    pub const ONE: Self = Self(1);

    /// The longest validity of a leaf: ten years. Nodes refuse peers with longer ones.
    pub const LEAF_LONGEST: Self = Self(3650);

    /// A hundred years. More is a slip of the finger, and near the end of what X.509 can say.
    pub const LIMIT: u32 = 36_500;

    /// Takes a number of days.
    ///
    /// # Errors
    ///
    /// [`DaysError`] for 0 and for more than [`Days::LIMIT`].
    pub fn new(days: u32) -> Result<Self, DaysError> {
        if (1..=Self::LIMIT).contains(&days) {
            Ok(Self(days))
        } else {
            Err(DaysError(days.to_string()))
        }
    }

    pub(crate) fn leaf_default() -> Self {
        Self::LEAF_DEFAULT
    }

    /// The number of days.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The same time as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * SECONDS_PER_DAY)
    }
}

impl fmt::Display for Days {
    /// The bare number, as [`FromStr`] reads it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

impl TryFrom<u32> for Days {
    type Error = DaysError;

    fn try_from(days: u32) -> Result<Self, DaysError> {
        Self::new(days)
    }
}

impl From<Days> for u32 {
    fn from(days: Days) -> Self {
        days.0
    }
}

impl FromStr for Days {
    type Err = DaysError;

    fn from_str(text: &str) -> Result<Self, DaysError> {
        let days: u32 = text.parse().map_err(|_| DaysError(text.to_owned()))?;
        Self::new(days)
    }
}

/// A text or number that is no validity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number of days from 1 to {limit}", limit = Days::LIMIT)]
pub struct DaysError(String);

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_days_it_can_mean() {
        for (text, days) in [("1", 1), ("365", 365), ("36500", 36_500)] {
            assert_eq!(text.parse::<Days>().unwrap().get(), days);
        }
    }

    #[test]
    fn refuses_the_days_it_cannot_mean() {
        for text in ["0", "-1", "36501", "4294967296", "1.5", "1y", ""] {
            assert!(text.parse::<Days>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_day_is_twenty_four_hours() {
        let day = Days::new(1).unwrap();
        assert_eq!(day.duration(), Duration::from_secs(86_400));
    }
}
