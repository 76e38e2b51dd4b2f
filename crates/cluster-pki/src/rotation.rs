//! Exchanging the root: which root signs, which one is on its way out, and what may come next.
//!
//! ```text
//!             start                     finish
//!   Stable ----------> Overlap(old) ------------> Stable
//!     ^                 |      ^
//!     |  abort,         |      | abort, a leaf of the new root is in use:
//!     +-----------------+      | the two roots change places
//!        no leaf of the        |
//!        new root in use       +--- Overlap(new), which ends by finish too
//! ```
//!
//! All of it is a pure function of the roots and of the certificates, and no clock has a say in
//! what is dropped: one that is ahead would call every certificate expired. The authority writes
//! down what comes out.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::name::NodeName;
use crate::stored::unix_seconds;

/// Which roots an authority has, and what each is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootState {
    /// The root that signs.
    pub(crate) generation: u64,
    /// The root that is still believed and signs nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retiring: Option<Retiring>,
}

/// A root on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retiring {
    pub(crate) generation: u64,
    #[serde(rename = "since_unix_s", with = "unix_seconds")]
    pub(crate) since: SystemTime,
    /// Whether an abort made the new root the one on its way out.
    #[serde(default)]
    pub(crate) way: Way,
}

/// Which of two roots an overlap leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// To the new one.
    #[default]
    Forward,
    /// Back to the old one.
    Back,
}

/// The certificate that a node has in use, as far as a rotation is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InUse {
    pub(crate) name: NodeName,
    /// Of the root that signed it.
    pub(crate) generation: u64,
}

/// What an abort came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Aborted {
    /// The new root is gone: nothing had been signed by it that is in use.
    Undone,
    /// The old root signs again; the new one is believed until nothing of it is in use.
    TurnedBack,
}

/// Why a rotation cannot take a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// One is under way.
    #[error("a rotation is under way since root {signing} replaces root {retiring}")]
    UnderWay {
        /// The root that signs.
        signing: u64,
        /// The root on its way out.
        retiring: u64,
    },
    /// None is under way.
    #[error("no rotation is under way")]
    NotUnderWay,
    /// It was aborted before, and nodes have certificates of the root that was given up.
    #[error("the rotation has turned back to root {signing} already")]
    TurnedBack {
        /// The root that signs again.
        signing: u64,
    },
    /// Nodes would be cut off.
    #[error("{} not renewed yet: {}", count(nodes), list(nodes))]
    NotRenewed {
        /// The nodes whose newest certificate is of the root on its way out.
        nodes: Vec<NodeName>,
    },
    /// Somebody was named to be left behind who is not being left behind.
    #[error("`{name}` has no certificate of the old root in use: nothing to abandon")]
    NothingToAbandon {
        /// The name that was given.
        name: NodeName,
    },
}

impl RootState {
    pub(crate) fn stable(generation: u64) -> Self {
        Self {
            generation,
            retiring: None,
        }
    }

    /// Whether nodes with the newest `ca.pem` believe this root.
    pub(crate) fn believes(self, generation: u64) -> bool {
        let retiring = self.retiring.map(|retiring| retiring.generation);
        generation == self.generation || Some(generation) == retiring
    }

    /// The new root signs from now on, and both are believed.
    pub(crate) fn started(self, new: u64, now: SystemTime) -> Result<Self, RotationError> {
        if let Some(retiring) = self.retiring {
            return Err(RotationError::UnderWay {
                signing: self.generation,
                retiring: retiring.generation,
            });
        }
        Ok(Self::overlap(new, self.generation, now, Way::Forward))
    }

    /// The retiring root is believed no more, unless a node that is not to be abandoned has
    /// nothing else.
    pub(crate) fn finished(
        self,
        in_use: &[InUse],
        abandoned: &[NodeName],
    ) -> Result<Self, RotationError> {
        let mut nodes = self.not_renewed(in_use)?;
        for name in abandoned {
            let canonical = name.canonical();
            let before = nodes.len();
            nodes.retain(|node| node.canonical() != canonical);
            if nodes.len() == before {
                return Err(RotationError::NothingToAbandon { name: name.clone() });
            }
        }
        if nodes.is_empty() {
            Ok(Self::stable(self.generation))
        } else {
            Err(RotationError::NotRenewed { nodes })
        }
    }

    /// Back to the old root: at once where nobody can have a certificate of the new one, otherwise
    /// by way of another overlap. `issued` are all certificates that were not revoked.
    pub(crate) fn aborted(
        self,
        issued: &[InUse],
        now: SystemTime,
    ) -> Result<(Self, Aborted), RotationError> {
        let Retiring {
            generation: old,
            way,
            ..
        } = self.retiring()?;
        if way == Way::Back {
            let signing = self.generation;
            return Err(RotationError::TurnedBack { signing });
        }
        if issued.iter().any(|leaf| leaf.generation == self.generation) {
            let back = Self::overlap(old, self.generation, now, Way::Back);
            return Ok((back, Aborted::TurnedBack));
        }
        Ok((Self::stable(old), Aborted::Undone))
    }

    /// The nodes whose certificate ends with the retiring root.
    pub(crate) fn not_renewed(self, in_use: &[InUse]) -> Result<Vec<NodeName>, RotationError> {
        let old = self.retiring()?.generation;
        let of_old = in_use.iter().filter(|leaf| leaf.generation == old);
        Ok(of_old.map(|leaf| leaf.name.clone()).collect())
    }

    fn retiring(self) -> Result<Retiring, RotationError> {
        self.retiring.ok_or(RotationError::NotUnderWay)
    }

    fn overlap(signing: u64, retiring: u64, since: SystemTime, way: Way) -> Self {
        let retiring = Retiring {
            generation: retiring,
            since,
            way,
        };
        Self {
            generation: signing,
            retiring: Some(retiring),
        }
    }
}

fn count(nodes: &[NodeName]) -> String {
    match nodes.len() {
        1 => "1 node is".to_owned(),
        count => format!("{count} nodes are"),
    }
}

/// The first few: a thousand names are no message.
fn list(nodes: &[NodeName]) -> String {
    let named: Vec<_> = nodes.iter().take(NAMED).map(NodeName::as_str).collect();
    let more = nodes.len() - named.len();
    match more {
        0 => named.join(", "),
        _ => format!("{} and {more} more", named.join(", ")),
    }
}

const NAMED: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn leaves(table: &[(&str, u64)]) -> Vec<InUse> {
        let leaf = |(text, generation): &(&str, u64)| InUse {
            name: name(text),
            generation: *generation,
        };
        table.iter().map(leaf).collect()
    }

    fn stable(generation: u64) -> RootState {
        RootState::stable(generation)
    }

    fn overlap(signing: u64, retiring: u64) -> RootState {
        RootState::overlap(signing, retiring, NOW, Way::Forward)
    }

    fn turned_back(signing: u64, retiring: u64) -> RootState {
        RootState::overlap(signing, retiring, NOW, Way::Back)
    }

    #[test]
    fn a_start_makes_the_new_root_sign_and_keeps_the_old_one() {
        assert_eq!(stable(1).started(2, NOW), Ok(overlap(2, 1)));
    }

    #[test]
    fn a_second_start_is_refused() {
        let error = RotationError::UnderWay {
            signing: 2,
            retiring: 1,
        };
        assert_eq!(overlap(2, 1).started(3, NOW), Err(error));
    }

    #[test]
    fn a_finish_needs_every_node_renewed_or_abandoned() {
        let not_renewed = |names: &[&str]| {
            let nodes = names.iter().map(|text| name(text)).collect();
            Err(RotationError::NotRenewed { nodes })
        };
        type Row<'a> = (
            &'a [(&'a str, u64)],
            &'a [&'a str],
            Result<RootState, RotationError>,
        );
        let table: [Row<'_>; 7] = [
            (&[], &[], Ok(stable(2))),
            (&[("a", 2), ("b", 2)], &[], Ok(stable(2))),
            (&[("a", 1), ("b", 2)], &[], not_renewed(&["a"])),
            (&[("a", 1), ("b", 1)], &["a"], not_renewed(&["b"])),
            (&[("a", 1), ("b", 1)], &["B", "a"], Ok(stable(2))),
            (
                &[("a", 2)],
                &["a"],
                Err(RotationError::NothingToAbandon { name: name("a") }),
            ),
            (
                &[("a", 1)],
                &["nobody"],
                Err(RotationError::NothingToAbandon {
                    name: name("nobody"),
                }),
            ),
        ];
        for (in_use, abandoned, expected) in table {
            let abandoned: Vec<_> = abandoned.iter().map(|text| name(text)).collect();
            let state = overlap(2, 1).finished(&leaves(in_use), &abandoned);
            assert_eq!(state, expected, "{in_use:?} {abandoned:?}");
        }
    }

    #[test]
    fn an_abort_undoes_what_nobody_relies_on_and_turns_back_otherwise() {
        type Row<'a> = (&'a [(&'a str, u64)], (RootState, Aborted));
        let table: [Row<'_>; 3] = [
            (&[], (stable(1), Aborted::Undone)),
            (&[("a", 1)], (stable(1), Aborted::Undone)),
            (
                &[("a", 1), ("b", 2)],
                (turned_back(1, 2), Aborted::TurnedBack),
            ),
        ];
        for (in_use, expected) in table {
            let aborted = overlap(2, 1).aborted(&leaves(in_use), NOW);
            assert_eq!(aborted, Ok(expected), "{in_use:?}");
        }
    }

    #[test]
    fn what_turned_back_is_finished_when_nothing_of_the_new_root_is_left() {
        let back = turned_back(1, 2);
        assert!(back.finished(&leaves(&[("b", 2)]), &[]).is_err());
        assert_eq!(back.finished(&leaves(&[("b", 1)]), &[]), Ok(stable(1)));
    }

    #[test]
    fn what_turned_back_does_not_turn_again() {
        let refused = turned_back(1, 2).aborted(&[], NOW);
        assert_eq!(refused, Err(RotationError::TurnedBack { signing: 1 }));
    }

    #[test]
    fn nothing_is_finished_or_aborted_that_was_not_started() {
        let none = Err(RotationError::NotUnderWay);
        assert_eq!(stable(1).finished(&[], &[]), none);
        assert_eq!(stable(1).aborted(&[], NOW), Err(RotationError::NotUnderWay));
    }

    #[test]
    fn a_refusal_names_the_first_ten_nodes() {
        let names = (0..12).map(|number| name(&format!("n{number}"))).collect();
        let text = RotationError::NotRenewed { nodes: names }.to_string();
        assert!(text.starts_with("12 nodes are not renewed yet: n0, n1,"));
        assert!(text.ends_with("n9 and 2 more"), "{text}");
    }
}
