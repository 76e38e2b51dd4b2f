//! Taking an id that another process may still hold.

use std::time::Instant;

use tokio::time::sleep;

use super::process::ProcessMark;
use super::times::Times;
use super::{MembershipError, Own};
use crate::state::{ClusterState, InstanceId, Joined, Key, SchedulerEntry, Version, join as enter};

/// Makes this scheduler a member, once nobody else can be one under its id.
pub(super) async fn join(own: &Own, state: &ClusterState) -> Result<(), MembershipError> {
    let id = &own.entry.scheduler_id;
    let mut over: Option<InstanceId> = None;
    loop {
        let entry = own.entry_now();
        let entering = |document: &mut _| enter(document, &entry, over.as_ref());
        let holder = match state.mutate(entering).await? {
            Joined::Member => return Ok(()),
            Joined::Full => return Err(state.full().into()),
            Joined::Held(holder) => holder,
        };
        let reason = wait_for_end(own, state, &holder).await?;
        own.events.took_over(&id.0, &named(&holder), reason);
        over = Some(holder.instance_id);
    }
}

/// Waits until the run that holds the id has ended, and says how that is known.
async fn wait_for_end(
    own: &Own,
    state: &ClusterState,
    holder: &SchedulerEntry,
) -> Result<&'static str, MembershipError> {
    let times = Times::of_ms(holder.ttl_ms);
    let mut watched = Watched::new(Instant::now());
    let key = Key::heartbeat(&holder.scheduler_id.0);
    let mut told = false;
    loop {
        if is_gone(own, holder).await {
            return Ok("its process has ended");
        }
        let beat = state.store().read(&key).await;
        let beat = beat.map_err(|source| state.unreachable(source))?;
        match watched.look(Instant::now(), beat.map(|it| it.version), times) {
            Verdict::Silent => return Ok("it was silent for too long"),
            Verdict::Alive => return Err(taken(holder)),
            Verdict::Open => {}
        }
        if !told {
            let id = &holder.scheduler_id.0;
            own.events
                .waiting_for_id(id, &named(holder), times.silence());
            told = true;
        }
        if let Some(changed) = changed_hands(state, holder).await? {
            return Ok(changed);
        }
        sleep(own.times.discovery()).await;
    }
}

/// Whether the entry is not that of `holder` any more, which then is nothing to wait for.
async fn changed_hands(
    state: &ClusterState,
    holder: &SchedulerEntry,
) -> Result<Option<&'static str>, MembershipError> {
    let document = state.read().await?;
    let entry = document.schedulers.get(&holder.scheduler_id);
    let same = entry.is_some_and(|it| it.instance_id == holder.instance_id);
    Ok((!same).then_some("it left"))
}

async fn is_gone(own: &Own, holder: &SchedulerEntry) -> bool {
    let (Some(here), Some(there)) = (own.entry.process.clone(), holder.process.clone()) else {
        return false;
    };
    let looked = tokio::task::spawn_blocking(move || there.is_gone(&here)).await;
    looked.unwrap_or(false)
}

fn taken(holder: &SchedulerEntry) -> MembershipError {
    MembershipError::Taken {
        id: holder.scheduler_id.0.to_string(),
        holder: named(holder),
    }
}

/// What people know a run by.
pub(super) fn named(holder: &SchedulerEntry) -> String {
    let instance = holder.instance_id.as_str();
    match holder.process.as_ref().map(ProcessMark::pid) {
        Some(pid) => format!("instance {instance}, process {pid}"),
        None => format!("instance {instance}"),
    }
}

/// The heartbeat of a run whose end is waited for.
struct Watched {
    /// `None` until the first look.
    beat: Option<Option<Version>>,
    beats: u32,
    since: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Open,
    Silent,
    Alive,
}

impl Watched {
    fn new(now: Instant) -> Self {
        Self {
            beat: None,
            beats: 0,
            since: now,
        }
    }

    fn look(&mut self, now: Instant, beat: Option<Version>, times: Times) -> Verdict {
        if self.beat.as_ref() != Some(&beat) {
            if self.beat.is_some() {
                self.beats += 1;
            }
            self.beat = Some(beat);
            self.since = now;
        }
        if self.beats >= BEATS_OF_THE_LIVING {
            Verdict::Alive
        } else if now.duration_since(self.since) > times.silence() {
            Verdict::Silent
        } else {
            Verdict::Open
        }
    }
}

/// One heartbeat may have been on its way when its writer was killed; two were not.
const BEATS_OF_THE_LIVING: u32 = 2;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::version_of;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_ends_the_wait_and_so_do_two_heartbeats_but_not_one() {
        let times = Times::of(30 * SECOND);
        let start = Instant::now();
        let beat = |text| Some(version_of(text));
        let mut silent = Watched::new(start);
        assert_eq!(silent.look(start, beat("1"), times), Verdict::Open);
        assert_eq!(
            silent.look(start + 30 * SECOND, beat("2"), times),
            Verdict::Open
        );
        assert_eq!(
            silent.look(start + 65 * SECOND, beat("2"), times),
            Verdict::Open
        );
        assert_eq!(
            silent.look(start + 66 * SECOND, beat("2"), times),
            Verdict::Silent
        );

        let mut alive = Watched::new(start);
        assert_eq!(alive.look(start, None, times), Verdict::Open);
        assert_eq!(alive.look(start + SECOND, beat("1"), times), Verdict::Open);
        assert_eq!(
            alive.look(start + 2 * SECOND, beat("2"), times),
            Verdict::Alive
        );
    }
}
