//! Every change that is made to `cluster.json`, as a pure function.

use super::document::{ClusterDocument, InstanceId, MemberId, SchedulerEntry};

/// What a function made of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change<T> {
    /// It is to be written.
    Write(T),
    /// It is as it should be.
    Keep(T),
}

/// What became of a request to be a member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Joined {
    /// The entry is in the document.
    Member,
    /// Another run holds the id.
    Held(Box<SchedulerEntry>),
    /// The cluster has as many members as it can.
    Full,
}

/// Makes `own` a member, in the place of the run `over` if that still holds the id.
pub(crate) fn join(
    document: &mut ClusterDocument,
    own: &SchedulerEntry,
    over: Option<&InstanceId>,
) -> Change<Joined> {
    let full = document.schedulers.len() >= MEMBER_LIMIT;
    match document.schedulers.get(&own.scheduler_id) {
        Some(entry) if entry.instance_id == own.instance_id => return Change::Keep(Joined::Member),
        Some(entry) if over != Some(&entry.instance_id) => {
            return Change::Keep(Joined::Held(Box::new(entry.clone())));
        }
        None if full => return Change::Keep(Joined::Full),
        Some(_) | None => {}
    }
    document
        .schedulers
        .insert(own.scheduler_id.clone(), own.clone());
    Change::Write(Joined::Member)
}

/// Notes that the run `instance` of a member serves the application `digest`, and says whether it
/// is a member.
pub(crate) fn serve(
    document: &mut ClusterDocument,
    id: &MemberId,
    instance: &InstanceId,
    digest: &str,
) -> Change<bool> {
    match document.schedulers.get_mut(id) {
        Some(entry) if entry.instance_id == *instance => {
            if entry.app_digest.as_deref() == Some(digest) {
                return Change::Keep(true);
            }
            entry.app_digest = Some(digest.to_owned());
            Change::Write(true)
        }
        Some(_) | None => Change::Keep(false),
    }
}

/// Takes the run `instance` of a member away, and says whether it was there.
pub(crate) fn remove(
    document: &mut ClusterDocument,
    id: &MemberId,
    instance: &InstanceId,
) -> Change<bool> {
    match document.schedulers.get(id) {
        Some(entry) if entry.instance_id == *instance => {
            document.schedulers.remove(id);
            Change::Write(true)
        }
        Some(_) | None => Change::Keep(false),
    }
}

/// More schedulers than one cluster can make use of; a bound against a mistake that goes on.
const MEMBER_LIMIT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::super::fixture::entry;
    use super::*;

    #[test]
    fn an_id_belongs_to_one_run_until_that_is_taken_over_or_removed() {
        let mut document = ClusterDocument::new();
        let (first, second) = (entry("s1:1", "first"), entry("s1:1", "second"));
        assert_eq!(
            join(&mut document, &first, None),
            Change::Write(Joined::Member)
        );
        assert_eq!(
            join(&mut document, &first, None),
            Change::Keep(Joined::Member)
        );
        let held = Joined::Held(Box::new(first.clone()));
        assert_eq!(
            join(&mut document, &second, None),
            Change::Keep(held.clone())
        );
        let third = entry("s1:1", "third").instance_id;
        assert_eq!(
            join(&mut document, &second, Some(&third)),
            Change::Keep(held)
        );

        let over = Some(&first.instance_id);
        assert_eq!(
            join(&mut document, &second, over),
            Change::Write(Joined::Member)
        );
        let gone = remove(&mut document, &first.scheduler_id, &first.instance_id);
        assert_eq!(gone, Change::Keep(false));
        let gone = remove(&mut document, &first.scheduler_id, &second.instance_id);
        assert_eq!(gone, Change::Write(true));
        assert_eq!(
            join(&mut document, &first, None),
            Change::Write(Joined::Member)
        );
    }

    #[test]
    fn a_run_says_what_it_serves_in_its_own_entry_and_in_no_other() {
        let mut document = ClusterDocument::new();
        let (own, other) = (entry("s1:1", "own"), entry("s1:1", "other"));
        let id = &own.scheduler_id;
        let tell = |document: &mut _, run: &InstanceId, digest| serve(document, id, run, digest);
        assert_eq!(
            tell(&mut document, &own.instance_id, "one"),
            Change::Keep(false)
        );
        join(&mut document, &own, None);
        let told = tell(&mut document, &own.instance_id, "one");
        assert_eq!(told, Change::Write(true));
        let again = tell(&mut document, &own.instance_id, "one");
        assert_eq!(again, Change::Keep(true));
        let foreign = tell(&mut document, &other.instance_id, "two");
        assert_eq!(foreign, Change::Keep(false));
        let served = document.schedulers[id].app_digest.as_deref();
        assert_eq!(served, Some("one"));
    }

    #[test]
    fn a_full_cluster_takes_nobody_in_and_lets_its_members_be_replaced() {
        let mut document = ClusterDocument::new();
        for port in 1..=MEMBER_LIMIT {
            let own = entry(&format!("s:{port}"), "old");
            assert_eq!(
                join(&mut document, &own, None),
                Change::Write(Joined::Member)
            );
        }
        let own = entry("t:1", "new");
        assert_eq!(join(&mut document, &own, None), Change::Keep(Joined::Full));
        let (old, own) = (entry("s:7", "old"), entry("s:7", "new"));
        let over = Some(&old.instance_id);
        assert_eq!(
            join(&mut document, &own, over),
            Change::Write(Joined::Member)
        );
    }
}
