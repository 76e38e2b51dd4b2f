//! Which of the other schedulers serve another application than this one, and for how long: pure.

use std::collections::BTreeMap;

use cluster_proto::NodeId;

use super::times::Times;

/// What was seen of the others' applications.
#[derive(Debug)]
pub(super) struct Drift {
    /// At how many looks in a row a scheduler differed.
    looks: BTreeMap<NodeId, u32>,
    /// So many mean that it does not go away by itself.
    limit: u32,
}

/// What changed, each told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A scheduler serves another application, with this digest, and has for a while.
    Differs(NodeId, String),
    /// One that was told of serves the same again.
    Agrees(NodeId),
}

impl Drift {
    pub(super) fn new(times: Times) -> Self {
        let looks = times.drift().as_millis() / times.discovery().as_millis().max(1);
        Self {
            looks: BTreeMap::new(),
            // The first look at a difference is its beginning.
            limit: u32::try_from(looks).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    /// Takes in one look at what the others serve. Who does not say, as older versions, neither
    /// differs nor agrees.
    pub(super) fn look<'a>(
        &mut self,
        own: &str,
        others: impl Iterator<Item = (&'a NodeId, Option<&'a str>)>,
    ) -> Vec<News> {
        let mut before = std::mem::take(&mut self.looks);
        let mut news = vec![];
        for (id, served) in others {
            let known = before.remove(id).unwrap_or_default();
            let Some(served) = served else { continue };
            if served == own {
                if known >= self.limit {
                    news.push(News::Agrees(id.clone()));
                }
                continue;
            }
            let looks = known.saturating_add(1);
            if looks == self.limit {
                news.push(News::Differs(id.clone(), served.to_owned()));
            }
            self.looks.insert(id.clone(), looks);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id() -> NodeId {
        "s2:1".parse().unwrap()
    }

    /// One look at a scheduler that serves `theirs`, while this one serves `one`.
    fn look(drift: &mut Drift, theirs: Option<&str>) -> Vec<News> {
        drift.look("one", [(&id(), theirs)].into_iter())
    }

    #[test]
    fn a_difference_is_told_once_when_it_has_lasted_and_its_end_once() {
        let mut drift = Drift::new(Times::of(Duration::from_secs(30)));
        // Four looks after the first are two heartbeats.
        for _ in 0..4 {
            assert_eq!(look(&mut drift, Some("two")), []);
        }
        let differs = News::Differs(id(), "two".to_owned());
        assert_eq!(look(&mut drift, Some("two")), [differs]);
        for other in ["two", "three"].iter().cycle().take(100) {
            assert_eq!(look(&mut drift, Some(other)), []);
        }
        assert_eq!(look(&mut drift, Some("one")), [News::Agrees(id())]);
        assert_eq!(look(&mut drift, Some("one")), []);
    }

    #[test]
    fn a_change_that_the_others_follow_is_no_news() {
        let mut drift = Drift::new(Times::of(Duration::from_secs(30)));
        for _ in 0..100 {
            for theirs in ["two", "two", "one"] {
                assert_eq!(look(&mut drift, Some(theirs)), []);
            }
        }
    }

    #[test]
    fn who_does_not_say_or_leaves_neither_differs_nor_agrees() {
        let mut drift = Drift::new(Times::of(Duration::from_secs(30)));
        for _ in 0..100 {
            assert_eq!(look(&mut drift, None), []);
        }
        for _ in 0..5 {
            look(&mut drift, Some("two"));
        }
        assert_eq!(drift.look("one", std::iter::empty()), []);
        assert_eq!(look(&mut drift, Some("one")), []);
    }
}
