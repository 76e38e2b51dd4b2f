use super::*;

fn address(text: &str) -> NodeAddress {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Vec<NodeAddress> {
    texts.iter().map(|text| address(text)).collect()
}

fn table(seeds: &[NodeAddress]) -> Table {
    Table::new(seeds, CancellationToken::new())
}

fn down(reason: &str) -> LinkState {
    LinkState::Down {
        reason: reason.to_owned(),
    }
}

fn asked(table: &mut Table) -> Vec<NodeAddress> {
    let sources = table.next_to_ask().into_iter();
    sources.map(|source| source.address).collect()
}

fn names(new: &[NewLink]) -> Vec<String> {
    new.iter().map(|link| link.scheduler.to_string()).collect()
}

#[test]
fn a_member_gets_one_link_however_often_it_is_named() {
    let now = Instant::now();
    let mut table = table(&addresses(&["seed:1"]));
    let new = table.learn(&addresses(&["s1:1", "s2:1"]), now);
    assert_eq!(names(&new), ["s1:1", "s2:1"]);
    let again = table.learn(&addresses(&["S1:1", "s2:1", "s3:1"]), now);
    assert_eq!(names(&again), ["s3:1"]);
}

#[test]
fn a_scheduler_is_given_up_when_it_is_down_and_unnamed_and_for_neither_alone() {
    let start = Instant::now();
    let mut table = table(&[]);
    let new = table.learn(&addresses(&["up:1", "named:1", "gone:1", "fresh:1"]), start);
    table.set(&address("up:1"), LinkState::Connected, start);
    table.set(&address("fresh:1"), LinkState::Connected, start);
    let later = start + FORGET_AFTER;
    table.learn(&addresses(&["named:1"]), later);
    table.set(&address("fresh:1"), down("reset"), later);
    assert_eq!(table.expire(later), addresses(&["gone:1"]));
    let stopped: Vec<_> = new.iter().filter(|link| link.stop.is_cancelled()).collect();
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].scheduler, address("gone:1"));
    assert_eq!(table.counts(), (1, 2));
    // Its time down began when it went down, not with each new reason.
    table.set(
        &address("fresh:1"),
        down("refused"),
        later + FORGET_AFTER / 2,
    );
    let gone = table.expire(later + FORGET_AFTER);
    assert_eq!(gone, addresses(&["fresh:1", "named:1"]));
    // Named once more, it is new once more.
    assert_eq!(table.learn(&addresses(&["gone:1"]), later).len(), 1);
}

#[test]
fn silent_seeds_are_asked_every_time_and_those_that_answer_in_turn() {
    let now = Instant::now();
    let mut table = table(&addresses(&["a:1", "b:1"]));
    assert_eq!(asked(&mut table), addresses(&["a:1", "b:1"]));
    table.asked(&address("a:1"), Ok(None), now);
    table.asked(&address("b:1"), Err("refused".to_owned()), now);
    table.learn(&addresses(&["m:1", "n:1"]), now);
    table.set(&address("m:1"), LinkState::Connected, now);
    let rounds: Vec<_> = (0..4).map(|_| asked(&mut table)).collect();
    assert!(
        rounds.iter().all(|asked| asked[0] == address("b:1")),
        "{rounds:?}"
    );
    let turns: Vec<_> = rounds.iter().map(|asked| asked[1].to_string()).collect();
    assert!(turns.contains(&"a:1".to_owned()) && turns.contains(&"m:1".to_owned()));
    assert_eq!(turns[..2], turns[2..]);
    // A seed that is a connected member too has a link, and need not be asked as a seed.
    table.learn(&addresses(&["b:1"]), now);
    table.set(&address("b:1"), LinkState::Connected, now);
    assert_eq!(asked(&mut table).len(), 1);
}

#[test]
fn made_up_members_neither_grow_the_table_nor_keep_real_ones_out() {
    let start = Instant::now();
    let mut table = table(&[]);
    let real = addresses(&["real:1"]);
    table.learn(&real, start);
    table.set(&real[0], LinkState::Connected, start);
    for port in 1..=200 {
        let made_up = [NodeAddress::new("made-up", port).unwrap()];
        table.learn(&made_up, start + Duration::from_millis(port.into()));
    }
    let (connected, down) = table.counts();
    assert_eq!((connected, connected + down), (1, SCHEDULERS_MAX));
    let late = table.learn(&addresses(&["late:1"]), start + Duration::from_secs(1));
    assert_eq!(names(&late), ["late:1"]);
    assert_eq!(table.counts(), (1, SCHEDULERS_MAX - 1));
}

#[test]
fn who_looks_sees_members_and_the_seeds_that_do_not_answer() {
    let start = Instant::now();
    let mut table = table(&addresses(&["dead:1", "member:1", "alias:1"]));
    table.asked(&address("dead:1"), Err("refused".to_owned()), start);
    table.asked(&address("alias:1"), Ok(None), start);
    table.learn(&addresses(&["member:1"]), start);
    table.set(&address("member:1"), LinkState::Connected, start);
    let list = table.list(start + Duration::from_secs(7));
    let shown: Vec<_> = list
        .iter()
        .map(|link| (link.address.to_string(), link.state.clone()))
        .collect();
    let expected = [
        ("member:1".to_owned(), LinkState::Connected),
        ("dead:1".to_owned(), down("refused")),
    ];
    assert_eq!(shown, expected);
    assert_eq!(list[0].lasting, Duration::from_secs(7));
}

#[test]
fn a_seed_is_a_detour_to_the_scheduler_that_answered_there_last() {
    let now = Instant::now();
    let mut table = table(&addresses(&["vip:1", "s1:1", "dead:1"]));
    let first = address("s1:1");
    table.asked(&address("vip:1"), Ok(Some(first.clone())), now);
    table.asked(&address("s1:1"), Ok(Some(first.clone())), now);
    table.asked(&address("dead:1"), Err("refused".to_owned()), now);
    assert_eq!(table.detours(&first), addresses(&["vip:1"]));
    let second = address("s2:1");
    table.asked(&address("vip:1"), Ok(Some(second.clone())), now);
    assert_eq!(table.detours(&first), []);
    assert_eq!(table.detours(&second), addresses(&["vip:1"]));
}
