//! Whatever the order of steps, and whatever the store does to them: no accepted change is lost,
//! and none is made twice.

use std::cell::RefCell;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::change::{Change, Joined, join, remove};
use super::document::ClusterDocument;
use super::error::StateError;
use super::fixture::{entry, interleave, process, state_in};
use super::memory_store::{Fault, MemoryStore};
use super::store::Key;

/// A change that a writer wants; runs are numbered, and run `n` has the id `n % IDS`.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Join(usize),
    TakeOver { own: usize, over: usize },
    Remove(usize),
}

/// What became of it.
#[derive(Debug)]
struct Outcome {
    wanted: Wanted,
    /// Whether the document was written for it, or had it already; or what failed.
    written: Result<bool, StateError>,
}

const IDS: usize = 3;
const RUNS: usize = 6;

fn entry_of(run: usize) -> super::document::SchedulerEntry {
    entry(&format!("s{}:1", run % IDS), &format!("run{run}"))
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        (0..RUNS).prop_map(Wanted::Join),
        (0..RUNS).prop_map(|own| Wanted::TakeOver {
            own,
            over: (own + IDS) % RUNS,
        }),
        (0..RUNS).prop_map(Wanted::Remove),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::No),
        1 => Just(Fault::Refused),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::TriedTwice),
        1 => Just(Fault::Late),
    ]
}

impl Wanted {
    fn apply(self, document: &mut ClusterDocument) -> Change<bool> {
        let joined = match self {
            Self::Join(own) => join(document, &entry_of(own), None),
            Self::TakeOver { own, over } => {
                let over = entry_of(over).instance_id;
                join(document, &entry_of(own), Some(&over))
            }
            Self::Remove(run) => {
                let gone = entry_of(run);
                return match remove(document, &gone.scheduler_id, &gone.instance_id) {
                    Change::Write(_) => Change::Write(true),
                    Change::Keep(_) => Change::Keep(false),
                };
            }
        };
        match joined {
            Change::Write(Joined::Member) => Change::Write(true),
            Change::Write(_) | Change::Keep(_) => Change::Keep(false),
        }
    }
}

/// Lets every list of changes be made by a writer of its own.
fn run(writers: &[Vec<Wanted>], turns: &[usize], store: &Arc<MemoryStore>) -> Vec<Outcome> {
    let outcomes = RefCell::new(vec![]);
    let processes = writers.iter().map(|changes| {
        let (state, outcomes) = (state_in(store.clone()), &outcomes);
        process(async move {
            for &wanted in changes {
                let written = state.mutate(|document| wanted.apply(document)).await;
                outcomes.borrow_mut().push(Outcome { wanted, written });
            }
        })
    });
    interleave(processes.collect(), turns);
    outcomes.into_inner()
}

/// The documents that were accepted, beginning with the one before all.
fn documents(store: &MemoryStore) -> Vec<ClusterDocument> {
    let accepted = store.accepted(&Key::cluster());
    let accepted = accepted
        .iter()
        .map(|it| ClusterDocument::decode(it).unwrap());
    std::iter::once(ClusterDocument::new())
        .chain(accepted)
        .collect()
}

fn holds(document: &ClusterDocument, run: usize) -> bool {
    let entry = entry_of(run);
    let held = document.schedulers.get(&entry.scheduler_id);
    held.is_some_and(|it| it.instance_id == entry.instance_id)
}

/// How often `run` came and went, over all documents that were accepted.
fn changes(documents: &[ClusterDocument], run: usize) -> (usize, usize) {
    let pairs = || {
        documents
            .windows(2)
            .map(|pair| (holds(&pair[0], run), holds(&pair[1], run)))
    };
    let came = pairs().filter(|pair| *pair == (false, true)).count();
    let went = pairs().filter(|(before, after)| *before && !after).count();
    (came, went)
}

/// How often it was made sure that `run` came, or that it was removed, and how often not known.
fn known(outcomes: &[Outcome], wanted: impl Fn(Wanted) -> bool) -> (usize, usize) {
    let of = || outcomes.iter().filter(|it| wanted(it.wanted));
    let made = of().filter(|it| matches!(it.written, Ok(true))).count();
    let unknown = of().filter(|it| it.written.is_err()).count();
    (made, unknown)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_accepted_change_is_lost_and_none_is_made_twice(
        writers in vec(vec(wanted(), 1..5), 1..6),
        turns in vec(0..8_usize, 0..200),
        faults in vec(fault(), 0..60),
    ) {
        let store = Arc::new(MemoryStore::failing(&faults));
        let outcomes = run(&writers, &turns, &store);
        let documents = documents(&store);
        // Every document was made from the one before: nobody wrote over what it had not seen.
        for pair in documents.windows(2) {
            prop_assert!(pair[1].follows(&pair[0]));
        }
        for run in 0..RUNS {
            let (came, went) = changes(&documents, run);
            let enters = |wanted| match wanted {
                Wanted::Join(own) | Wanted::TakeOver { own, .. } => own == run,
                Wanted::Remove(_) => false,
            };
            let (made, unknown) = known(&outcomes, enters);
            prop_assert!((made..=made + unknown).contains(&came), "{run}: {outcomes:?}");
            let ends = |wanted| match wanted {
                Wanted::TakeOver { over, .. } => over == run,
                Wanted::Remove(removed) => removed == run,
                Wanted::Join(_) => false,
            };
            // A takeover of nobody is a join, so it need not have ended a run.
            let removes = |wanted| matches!(wanted, Wanted::Remove(removed) if removed == run);
            let least = known(&outcomes, removes).0;
            let (made, unknown) = known(&outcomes, ends);
            prop_assert!((least..=made + unknown).contains(&went), "{run}: {outcomes:?}");
        }
    }

    #[test]
    fn without_faults_every_writer_is_told_what_happened(
        writers in vec(vec(wanted(), 1..5), 1..4),
        turns in vec(0..8_usize, 0..200),
    ) {
        let store = Arc::new(MemoryStore::default());
        let outcomes = run(&writers, &turns, &store);
        let made = outcomes.iter().filter(|it| matches!(it.written, Ok(true))).count();
        prop_assert_eq!(made, store.accepted(&Key::cluster()).len());
    }
}

#[test]
fn a_change_whose_answer_was_lost_is_not_made_again_after_it_was_undone() {
    let store = Arc::new(MemoryStore::failing(&[Fault::No, Fault::AnswerLost]));
    // The first writer's removal is lost on the way back; before it looks again, run 0 is back.
    store.overwrite(&Key::cluster(), {
        let mut document = ClusterDocument::new();
        join(&mut document, &entry_of(0), None);
        document.encode("before").unwrap()
    });
    let writers = [vec![Wanted::Remove(0)], vec![Wanted::Join(0)]];
    let outcomes = run(&writers, &[0, 0, 0, 1, 1, 1, 1, 1], &store);
    assert!(
        outcomes.iter().all(|it| matches!(it.written, Ok(true))),
        "{outcomes:?}"
    );
    assert!(holds(documents(&store).last().unwrap(), 0));
}

#[test]
fn what_is_no_document_is_refused_and_stays_as_it_is() {
    for (text, schema) in [
        ("{\"schema_version\": 2}", true),
        ("{\"sch", false),
        ("", false),
    ] {
        let store = Arc::new(MemoryStore::default());
        store.overwrite(&Key::cluster(), text);
        let outcomes = run(&[vec![Wanted::Join(0), Wanted::Remove(0)]], &[], &store);
        for outcome in outcomes {
            let error = outcome.written.unwrap_err();
            assert_eq!(
                matches!(error, StateError::Schema { .. }),
                schema,
                "{error}"
            );
            assert_eq!(
                matches!(error, StateError::Garbage { .. }),
                !schema,
                "{error}"
            );
        }
        assert_eq!(store.content(&Key::cluster()).unwrap(), text);
        assert_eq!(store.accepted(&Key::cluster()).len(), 1);
    }
}
