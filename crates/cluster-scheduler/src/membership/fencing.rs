//! Two processes with one id, and a store that fails: one of them is a member, never both.

use std::cell::Cell;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster_proto::NodeId;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::{Notify, watch};

use super::heart::{Heart, Missed};
use super::list::Seen;
use super::times::Times;
use super::{Access, Departure, MembershipEvents, Own, ServedApp};
use crate::state::{
    ClusterState, Fault, Heartbeat, InstanceId, Key, MemoryStore, entry, interleave, join, process,
    remove, state_in,
};

/// What a membership told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<&'static str>>);

impl Told {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

impl MembershipEvents for Told {
    fn waiting_for_id(&self, _: &NodeId, _: &str, _: Duration) {}
    fn took_over(&self, _: &NodeId, _: &str, _: &'static str) {}
    fn joined_again(&self, _: &NodeId) {
        self.note("joined again");
    }
    fn left(&self) {}
    fn not_left(&self, _: &(dyn Error + 'static)) {}
    fn scheduler_joined(&self, _: &NodeId, _: usize) {}
    fn scheduler_restarted(&self, _: &NodeId) {}
    fn scheduler_left(&self, _: &NodeId, _: usize, _: Departure) {}
    fn app_differs(&self, _: &NodeId, _: &str, _: &str) {}
    fn app_agrees(&self, _: &NodeId, _: &str) {}
    fn state_failed(&self, _: Access, _: &(dyn Error + 'static)) {
        self.note("failed");
    }
    fn state_recovered(&self, _: Access, _: Duration) {
        self.note("recovered");
    }
    fn state_reached(&self, _: Access, _: Duration) {}
}

/// One process with the id `s1:1`.
struct Process {
    own: Own,
    state: ClusterState,
    seen: watch::Sender<Seen>,
    doubt: Notify,
    told: Arc<Told>,
}

impl Process {
    fn new(store: &Arc<MemoryStore>, run: &str) -> Self {
        let entry = entry("s1:1", run);
        let told = Arc::new(Told::default());
        Self {
            seen: watch::Sender::new(Seen::alone(&entry)),
            own: Own {
                entry: Arc::new(entry),
                served: ServedApp::new("first"),
                times: Times::of(Duration::from_secs(30)),
                events: told.clone(),
            },
            state: state_in(store.clone()),
            doubt: Notify::new(),
            told,
        }
    }

    fn heart(&self) -> Heart<'_> {
        Heart::new(&self.own, &self.state, &self.seen, &self.doubt)
    }

    async fn enter(&self, over: Option<&InstanceId>) -> bool {
        let entering = |document: &mut _| join(document, &self.own.entry, over);
        self.state.mutate(entering).await.is_ok()
    }

    fn instance(&self) -> &InstanceId {
        &self.own.entry.instance_id
    }
}

fn key() -> Key {
    Key::heartbeat(&"s1:1".parse().unwrap())
}

/// Who wrote the heartbeats, in their order.
fn writers(store: &MemoryStore) -> Vec<InstanceId> {
    let beats = store.accepted(&key());
    let beats = beats
        .iter()
        .map(|it| serde_json::from_slice::<Heartbeat>(it).unwrap());
    beats.map(|it| it.instance_id).collect()
}

#[tokio::test]
async fn a_process_that_was_replaced_cannot_revive_itself() {
    let store = Arc::new(MemoryStore::default());
    let (old, new) = (Process::new(&store, "old"), Process::new(&store, "new"));
    let (mut old_heart, mut new_heart) = (old.heart(), new.heart());
    assert!(old.enter(None).await);
    assert!(old_heart.beat().await.is_ok());
    assert!(old_heart.beat().await.is_ok());
    assert!(new.enter(Some(old.instance())).await);
    assert!(new_heart.beat().await.is_ok());
    for _ in 0..3 {
        let missed = old_heart.beat().await;
        assert!(
            matches!(missed, Err(Missed::Superseded(holder)) if holder.instance_id == *new.instance())
        );
    }
    assert!(new_heart.beat().await.is_ok());
    assert_eq!(writers(&store).last(), Some(new.instance()));
}

#[tokio::test]
async fn a_process_that_was_removed_is_a_member_again_where_nobody_took_its_place() {
    let store = Arc::new(MemoryStore::default());
    let process = Process::new(&store, "old");
    let mut heart = process.heart();
    assert!(process.enter(None).await);
    assert!(heart.beat().await.is_ok());
    let id = &process.own.entry.scheduler_id;
    let reaping = |document: &mut _| remove(document, id, process.instance());
    assert!(process.state.mutate(reaping).await.unwrap());
    store.lose(&key());
    assert!(heart.beat().await.is_ok());
    assert_eq!(process.told.all(), ["joined again"]);
    let document = process.state.read().await.unwrap();
    assert!(document.schedulers.contains_key(id));
}

#[tokio::test]
async fn a_heartbeat_that_was_lost_by_mistake_is_written_again() {
    let store = Arc::new(MemoryStore::default());
    let process = Process::new(&store, "old");
    let mut heart = process.heart();
    assert!(process.enter(None).await);
    assert!(heart.beat().await.is_ok());
    store.lose(&key());
    assert!(heart.beat().await.is_ok());
    assert!(store.content(&key()).is_some());
    assert!(process.told.all().is_empty());
}

#[tokio::test]
async fn what_a_process_serves_is_in_its_entry_also_after_it_was_removed_or_the_store_was_away() {
    let store = Arc::new(MemoryStore::default());
    let process = Process::new(&store, "old");
    let id = &process.own.entry.scheduler_id;
    let served = async || {
        let document = process.state.read().await.unwrap();
        let entry = document.schedulers.get(id);
        entry.and_then(|entry| entry.app_digest.clone())
    };
    let mut heart = process.heart();
    assert!(process.enter(None).await);
    process.own.served.change_to("second");
    assert!(heart.tell_app().await.is_ok());
    assert_eq!(served().await.as_deref(), Some("second"));

    let reaping = |document: &mut _| remove(document, id, process.instance());
    assert!(process.state.mutate(reaping).await.unwrap());
    assert!(heart.tell_app().await.is_ok());
    assert_eq!(served().await.as_deref(), Some("second"));

    process.own.served.change_to("third");
    store.fail(100);
    assert!(matches!(heart.tell_app().await, Err(Missed::State(_))));
    store.heal();
    assert!(heart.live().await.is_ok());
    assert_eq!(served().await.as_deref(), Some("third"));
}

#[tokio::test]
async fn a_process_that_was_replaced_says_nothing_about_what_its_successor_serves() {
    let store = Arc::new(MemoryStore::default());
    let (old, new) = (Process::new(&store, "old"), Process::new(&store, "new"));
    let mut old_heart = old.heart();
    assert!(old.enter(None).await);
    assert!(new.enter(Some(old.instance())).await);
    let before = old.state.read().await.unwrap();
    old.own.served.change_to("second");
    assert!(matches!(
        old_heart.tell_app().await,
        Err(Missed::Superseded(_))
    ));
    assert_eq!(old.state.read().await.unwrap(), before);
}

#[tokio::test]
async fn a_store_that_is_away_is_no_reason_to_stop() {
    let store = Arc::new(MemoryStore::default());
    let process = Process::new(&store, "old");
    let mut heart = process.heart();
    assert!(process.enter(None).await);
    assert!(heart.beat().await.is_ok());
    store.fail(2);
    for _ in 0..2 {
        assert!(matches!(heart.beat().await, Err(Missed::State(_))));
    }
    store.heal();
    assert!(heart.beat().await.is_ok());
}

#[test]
fn a_replacement_between_two_looks_of_the_old_process_is_not_written_over() {
    let store = Arc::new(MemoryStore::default());
    let (old, new) = (Process::new(&store, "old"), Process::new(&store, "new"));
    let (mut first, mut again, mut new_heart) = (old.heart(), old.heart(), new.heart());
    let before = process(async {
        assert!(old.enter(None).await);
        assert!(first.beat().await.is_ok());
    });
    interleave(vec![before], &[]);
    // The old one meets a heartbeat that it does not know and looks at one of the two things that
    // it has to; then it stands still until the new one has come and beat.
    let turns: Vec<usize> = [0, 0, 0].into_iter().chain([1; 20]).collect();
    let superseded = Cell::new(false);
    interleave(
        vec![
            process(async {
                let missed = again.beat().await;
                superseded.set(matches!(missed, Err(Missed::Superseded(_))));
            }),
            process(async {
                assert!(new.enter(Some(old.instance())).await);
                assert!(new_heart.beat().await.is_ok());
            }),
        ],
        &turns,
    );
    assert!(superseded.get());
    let expected = [old.instance().clone(), new.instance().clone()];
    assert_eq!(writers(&store), expected);
}

/// Turns of two processes, of which one often goes on for a while.
fn turns() -> impl Strategy<Value = Vec<usize>> {
    let burst = (0..2_usize, 1..10_usize);
    vec(burst, 0..30).prop_map(|bursts| {
        let bursts = bursts.into_iter();
        bursts
            .flat_map(|(turn, length)| std::iter::repeat_n(turn, length))
            .collect()
    })
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn once_another_process_beat_under_its_id_the_old_one_never_does_again(
        turns in turns(),
        faults in vec(fault(), 0..40),
    ) {
        let store = Arc::new(MemoryStore::default());
        let (old, new) = (Process::new(&store, "old"), Process::new(&store, "new"));
        let (mut old_heart, mut new_heart) = (old.heart(), new.heart());
        interleave(vec![process(async { assert!(old.enter(None).await); })], &[]);
        store.fail_with(&faults);
        interleave(vec![
            process(async {
                for _ in 0..5 {
                    let _ = old_heart.beat().await;
                }
            }),
            process(async {
                if new.enter(Some(old.instance())).await {
                    for _ in 0..5 {
                        let _ = new_heart.beat().await;
                    }
                }
            }),
        ], &turns);
        store.heal();
        let alive = Cell::new((false, false));
        // One round for what is still on its way, and for either to hear of the other.
        for _ in 0..2 {
            interleave(vec![process(async {
                let old_lives = old_heart.beat().await.is_ok();
                alive.set((old_lives, new_heart.beat().await.is_ok()));
            })], &[]);
        }
        let (old_lives, new_lives) = alive.get();
        prop_assert!(old_lives != new_lives);
        let writers = writers(&store);
        let first = writers.iter().position(|it| it == new.instance());
        if let Some(first) = first {
            prop_assert!(new_lives);
            prop_assert!(writers[first..].iter().all(|it| it == new.instance()), "{writers:?}");
        }
    }
}
