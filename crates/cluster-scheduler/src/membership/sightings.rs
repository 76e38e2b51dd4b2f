//! How long each member has been silent, as this process has seen it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::events::Departure;
use super::times::Times;
use crate::state::{ClusterDocument, InstanceId, Key, MemberId, SchedulerEntry, Version};

/// What was seen of every member but this one.
///
/// Only time in which somebody looked counts as silence. While the store is away nobody can be
/// seen, and after this process was stopped the others are given their whole time again.
#[derive(Debug)]
pub(super) struct Sightings {
    by_id: BTreeMap<MemberId, Sighting>,
    /// Members that the last look did not find any more, as they were seen last.
    gone: BTreeMap<MemberId, Sighting>,
    /// Heartbeats of nobody, and how long they have been that.
    strays: HashMap<Key, (Version, Duration)>,
    looked: Option<Instant>,
    /// The most that may pass between two looks for it to count.
    interval: Duration,
    own: Times,
}

#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) entry: SchedulerEntry,
    heartbeat: Option<Version>,
    /// When it last showed a sign of life, or was first seen.
    pub(super) changed: Instant,
    silence: Duration,
}

impl Sightings {
    pub(super) fn new(own: Times) -> Self {
        Self {
            by_id: BTreeMap::new(),
            gone: BTreeMap::new(),
            strays: HashMap::new(),
            looked: None,
            interval: own.discovery() * 2,
            own,
        }
    }

    /// Takes in one look at `document` and at the heartbeats, without the member `own`.
    pub(super) fn look(
        &mut self,
        now: Instant,
        document: ClusterDocument,
        heartbeats: &HashMap<Key, Version>,
        own: &MemberId,
    ) {
        let passed = self.looked.map_or(Duration::ZERO, |looked| {
            now.saturating_duration_since(looked).min(self.interval)
        });
        self.looked = Some(now);
        self.look_for_strays(passed, &document, heartbeats);
        let mut before = std::mem::take(&mut self.by_id);
        let others = document.schedulers.into_iter().filter(|(id, _)| id != own);
        for (id, entry) in others {
            let heartbeat = heartbeats.get(&Key::heartbeat(&id.0)).cloned();
            let known = before.remove(&id);
            let known = known.filter(|it| it.entry.instance_id == entry.instance_id);
            let sighting = match known {
                Some(known) if known.heartbeat == heartbeat => Sighting {
                    entry,
                    silence: known.silence + passed,
                    ..known
                },
                Some(_) | None => Sighting {
                    entry,
                    heartbeat,
                    changed: now,
                    silence: Duration::ZERO,
                },
            };
            self.by_id.insert(id, sighting);
        }
        self.gone = before;
    }

    /// How a member left that lives no more. Others may have removed it first, when they heard
    /// nothing of it either; one that leaves by itself was heard of a moment ago.
    pub(super) fn departure(&self, id: &MemberId) -> Departure {
        let removed = self.gone.get(id);
        let told = removed.filter(|it| it.silence < Times::of_ms(it.entry.ttl_ms).pause());
        match (told, removed.or_else(|| self.by_id.get(id))) {
            (None, Some(silent)) => Departure::Silent(silent.silence),
            (Some(_), _) | (None, None) => Departure::Announced,
        }
    }

    fn look_for_strays(
        &mut self,
        passed: Duration,
        document: &ClusterDocument,
        heartbeats: &HashMap<Key, Version>,
    ) {
        let ids = document.schedulers.keys();
        let owned: HashSet<Key> = ids.map(|id| Key::heartbeat(&id.0)).collect();
        let mut before = std::mem::take(&mut self.strays);
        let strays = heartbeats.iter().filter(|(key, _)| !owned.contains(*key));
        for (key, version) in strays {
            let known = before.remove(key).filter(|(known, _)| known == version);
            let silence = known.map_or(Duration::ZERO, |(_, silence)| silence + passed);
            self.strays.insert(key.clone(), (version.clone(), silence));
        }
    }

    /// The heartbeats that nobody wrote for long and that belong to no member: whoever left them
    /// died while it was leaving.
    pub(super) fn strays(&self) -> Vec<(Key, Version)> {
        let limit = self.own.silence();
        let silent = self.strays.iter().filter(|(_, (_, it))| *it > limit);
        silent
            .map(|(key, (version, _))| (key.clone(), version.clone()))
            .collect()
    }

    /// The members that are not dead.
    pub(super) fn live(&self) -> impl Iterator<Item = &Sighting> {
        self.by_id.values().filter(|it| !it.is_dead())
    }

    /// The runs that were silent for too long.
    pub(super) fn dead(&self) -> Vec<(MemberId, InstanceId)> {
        let dead = self.by_id.iter().filter(|(_, it)| it.is_dead());
        dead.map(|(id, it)| (id.clone(), it.entry.instance_id.clone()))
            .collect()
    }
}

impl Sighting {
    fn is_dead(&self) -> bool {
        self.silence > Times::of_ms(self.entry.ttl_ms).silence()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::join;

    /// A look at a cluster in which `s2:1` beats as told, with the times of the default.
    struct Looks {
        sightings: Sightings,
        now: Instant,
        entry: SchedulerEntry,
    }

    impl Looks {
        fn new() -> Self {
            Self {
                sightings: Sightings::new(Times::of(TTL)),
                now: Instant::now(),
                entry: entry("s2:1"),
            }
        }

        fn after(&mut self, seconds: u64, beat: &'static str) -> (usize, usize) {
            self.now += Duration::from_secs(seconds);
            let mut document = ClusterDocument::new();
            join(&mut document, &entry("s1:1"), None);
            join(&mut document, &self.entry, None);
            let beats = HashMap::from([(
                Key::heartbeat(&self.entry.scheduler_id.0),
                crate::state::version_of(beat),
            )]);
            let own = entry("s1:1").scheduler_id;
            self.sightings.look(self.now, document, &beats, &own);
            (self.sightings.live().count(), self.sightings.dead().len())
        }

        /// A look that finds nobody else.
        fn removed_after(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
            let mut document = ClusterDocument::new();
            join(&mut document, &entry("s1:1"), None);
            let own = entry("s1:1").scheduler_id;
            self.sightings
                .look(self.now, document, &HashMap::new(), &own);
        }
    }

    fn entry(id: &str) -> SchedulerEntry {
        crate::state::entry(id, "run")
    }

    const TTL: Duration = Duration::from_secs(30);
    const LIVES: (usize, usize) = (1, 0);
    const DEAD: (usize, usize) = (0, 1);

    #[test]
    fn silence_for_longer_than_the_ttl_and_its_grace_is_death_and_less_is_not() {
        let mut looks = Looks::new();
        assert_eq!(looks.after(0, "1"), LIVES);
        for _ in 0..7 {
            assert_eq!(looks.after(5, "1"), LIVES);
        }
        assert_eq!(looks.after(1, "1"), DEAD);
        assert_eq!(looks.after(1, "2"), LIVES);
    }

    #[test]
    fn one_that_beats_lives_for_ever_and_one_that_never_did_does_not() {
        let mut looks = Looks::new();
        for beat in ["1", "2"].iter().cycle().take(100) {
            assert_eq!(looks.after(10, beat), LIVES);
        }
        let mut looks = Looks::new();
        looks.after(0, "");
        for _ in 0..4 {
            looks.after(9, "");
        }
        assert_eq!(looks.after(1, ""), DEAD);
    }

    #[test]
    fn time_in_which_nobody_looked_does_not_count() {
        let mut looks = Looks::new();
        looks.after(0, "1");
        assert_eq!(looks.after(100_000, "1"), LIVES);
        assert_eq!(looks.after(20, "1"), LIVES);
        assert_eq!(looks.after(20, "1"), LIVES);
        assert_eq!(looks.after(20, "1"), DEAD);
    }

    #[test]
    fn who_leaves_by_itself_is_told_from_who_was_silent_even_where_others_removed_it() {
        let id = entry("s2:1").scheduler_id;
        let mut looks = Looks::new();
        looks.after(0, "1");
        looks.after(10, "2");
        looks.removed_after(5);
        assert_eq!(looks.sightings.departure(&id), Departure::Announced);

        let mut looks = Looks::new();
        looks.after(0, "1");
        for _ in 0..3 {
            looks.after(10, "1");
        }
        let silent = Departure::Silent(Duration::from_secs(30));
        looks.removed_after(5);
        assert_eq!(looks.sightings.departure(&id), silent);

        let mut looks = Looks::new();
        looks.after(0, "1");
        for _ in 0..4 {
            looks.after(9, "1");
        }
        let silent = Departure::Silent(Duration::from_secs(36));
        assert_eq!(looks.sightings.departure(&id), silent);
    }

    #[test]
    fn another_run_under_the_same_id_begins_anew() {
        let mut looks = Looks::new();
        looks.after(0, "1");
        for _ in 0..3 {
            looks.after(10, "1");
        }
        looks.entry = crate::state::entry("s2:1", "next run");
        assert_eq!(looks.after(10, "1"), LIVES);
        assert_eq!(looks.after(10, "1"), LIVES);
    }
}
