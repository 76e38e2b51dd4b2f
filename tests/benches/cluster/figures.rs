use std::time::Duration;

/// Measured durations of one thing, in milliseconds.
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn new(durations: &[Duration]) -> Self {
        Self::from_numbers(
            durations
                .iter()
                .map(|it| it.as_secs_f64() * 1000.0)
                .collect(),
        )
    }

    pub(crate) fn from_numbers(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    pub(crate) fn minimum(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn maximum(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (share * last as f64).round() as usize;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// Ratios of two series, taken pair by pair.
pub(crate) fn ratios(numerator: &[Duration], denominator: &[Duration]) -> Figures {
    let pairs = numerator.iter().zip(denominator);
    Figures::from_numbers(
        pairs
            .map(|(a, b)| a.as_secs_f64() / b.as_secs_f64())
            .collect(),
    )
}
