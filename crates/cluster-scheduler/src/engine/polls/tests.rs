use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::oneshot;

use super::*;

type Memory = Arc<PollMemory<String>>;

fn memory() -> Memory {
    Arc::new(PollMemory::new("localhost:1#aa".parse().unwrap()))
}

fn answer(text: &str) -> impl Future<Output = String> + Send + 'static {
    std::future::ready(text.to_owned())
}

/// Work that is done when told so, and counts how often it began.
fn held(
    begun: &Arc<AtomicU32>,
    text: &str,
) -> (
    oneshot::Sender<()>,
    impl Future<Output = String> + Send + use<>,
) {
    let (release, released) = oneshot::channel();
    let (begun, text) = (begun.clone(), text.to_owned());
    let work = async move {
        begun.fetch_add(1, Ordering::SeqCst);
        released.await.unwrap();
        text
    };
    (release, work)
}

#[tokio::test]
async fn a_number_is_done_once_and_answered_the_same_every_time() {
    let (memory, tasks) = (memory(), TaskTracker::new());
    assert_eq!(memory.once(1, &tasks, answer("one")).await.unwrap(), "one");
    for _ in 0..3 {
        let again = memory.once(1, &tasks, async { panic!("done again") });
        assert_eq!(again.await.unwrap(), "one");
    }
    assert_eq!(memory.once(2, &tasks, answer("two")).await.unwrap(), "two");
}

#[tokio::test]
async fn an_older_number_than_the_last_is_refused_and_a_gap_is_not() {
    let (memory, tasks) = (memory(), TaskTracker::new());
    // The memory of a scheduler begins anywhere.
    assert!(memory.once(57, &tasks, answer("57")).await.is_ok());
    assert!(memory.once(60, &tasks, answer("60")).await.is_ok());
    for old in [0, 57, 59] {
        let refused = memory.once(old, &tasks, async { panic!("done") }).await;
        assert!(matches!(refused, Err(Refused::OldPoll)), "{refused:?}");
    }
    assert_eq!(memory.once(60, &tasks, answer("?")).await.unwrap(), "60");
}

#[tokio::test]
async fn who_comes_while_a_poll_is_done_waits_for_its_answer() {
    let (memory, tasks, begun) = (memory(), TaskTracker::new(), Arc::default());
    let (release, work) = held(&begun, "one");
    let first = memory.once(1, &tasks, work);
    let second = memory.once(1, &tasks, async { panic!("done again") });
    let later = memory.once(2, &tasks, answer("two"));
    let released = async { release.send(()).unwrap() };
    let (first, second, later, ()) = tokio::join!(first, second, later, released);
    assert_eq!(
        (first.unwrap(), second.unwrap()),
        ("one".to_owned(), "one".to_owned())
    );
    assert_eq!(later.unwrap(), "two");
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_is_cut_off_takes_nothing_away_from_the_poll() {
    let (memory, tasks, begun) = (memory(), TaskTracker::new(), Arc::default());
    let (release, work) = held(&begun, "one");
    let cut_off = {
        let (memory, tasks) = (memory.clone(), tasks.clone());
        tokio::spawn(async move { memory.once(1, &tasks, work).await })
    };
    while begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    cut_off.abort();
    assert!(cut_off.await.unwrap_err().is_cancelled());
    release.send(()).unwrap();
    let again = memory.once(1, &tasks, async { panic!("done again") });
    assert_eq!(again.await.unwrap(), "one");
}

#[tokio::test]
async fn the_wait_for_an_answer_is_bounded_and_can_be_taken_up_again() {
    let (memory, tasks, begun) = (memory(), TaskTracker::new(), Arc::default());
    let (release, work) = held(&begun, "one");
    let soon = Duration::from_millis(1);
    let first = memory.once_within(soon, 1, &tasks, work).await;
    assert!(matches!(first, Err(Refused::PollUnderWay)), "{first:?}");
    let second = memory.once_within(soon, 2, &tasks, answer("two")).await;
    assert!(matches!(second, Err(Refused::PollUnderWay)), "{second:?}");
    release.send(()).unwrap();
    assert_eq!(memory.once(1, &tasks, answer("?")).await.unwrap(), "one");
}

#[tokio::test]
async fn work_that_fails_is_told_of_and_holds_nobody_up() {
    let (memory, tasks) = (memory(), TaskTracker::new());
    let failed = memory.once(1, &tasks, async { panic!("a bug") }).await;
    assert!(matches!(failed, Err(Refused::PollFailed)), "{failed:?}");
    assert_eq!(memory.once(2, &tasks, answer("two")).await.unwrap(), "two");
}
