//! Measured numbers and their spread.

/// The same quantity, once a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn push(&mut self, number: f64) {
        self.0.push(number);
    }

    pub(crate) fn minimum(&self) -> f64 {
        self.quantile(0.0)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn maximum(&self) -> f64 {
        self.quantile(1.0)
    }

    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}

/// What was measured of us and of a peer, round by round.
///
/// Whatever slows the machine down slows both halves of a round, so that the quotients and
/// differences of the halves spread far less than the halves themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paired {
    pub(crate) ours: Figures,
    pub(crate) peer: Figures,
}

impl Paired {
    pub(crate) fn push(&mut self, which: Which, number: f64) {
        match which {
            Which::Ours => self.ours.push(number),
            Which::Peer => self.peer.push(number),
        }
    }

    /// Ours by the peer's, pair by pair.
    pub(crate) fn ratios(&self) -> Figures {
        self.pairs().map(|(ours, peer)| ours / peer).collect()
    }

    /// The peer's by ours: the quotient of the rates where costs were measured.
    pub(crate) fn inverse_ratios(&self) -> Figures {
        self.pairs().map(|(ours, peer)| peer / ours).collect()
    }

    /// Ours less the peer's, pair by pair.
    pub(crate) fn differences(&self) -> Figures {
        self.pairs().map(|(ours, peer)| ours - peer).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        let pairs = self.ours.0.iter().zip(&self.peer.0);
        pairs.map(|(ours, peer)| (*ours, *peer))
    }
}

/// One half of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Ours,
    Peer,
}

/// Both halves of a round. Who is first changes from round to round, so that neither always finds
/// the caches as the other left them.
pub(crate) fn halves(round: usize) -> [Which; 2] {
    if round.is_multiple_of(2) {
        [Which::Ours, Which::Peer]
    } else {
        [Which::Peer, Which::Ours]
    }
}
