//! The members by their ids, with the counts that every word of any of them asks for.
//!
//! Thousands of executors open a new application within the same second, and each one's word is
//! logged with the number of those that are done. So that number is kept, not counted anew.

use std::collections::HashMap;

use cluster_proto::NodeId;

use super::Member;

#[derive(Debug, Default)]
pub(super) struct Table {
    members: HashMap<NodeId, Member>,
    tally: Tally,
}

impl Table {
    pub(super) fn get(&self, id: &NodeId) -> Option<&Member> {
        self.members.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Member)> {
        self.members.iter()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Changes a member, if there is one of this id.
    pub(super) fn change<R>(
        &mut self,
        id: &NodeId,
        change: impl FnOnce(&mut Member) -> R,
    ) -> Option<R> {
        let member = self.members.get_mut(id)?;
        self.tally.take(member);
        let result = change(member);
        self.tally.add(member);
        Some(result)
    }

    pub(super) fn change_all(&mut self, mut change: impl FnMut(&mut Member)) {
        for member in self.members.values_mut() {
            self.tally.take(member);
            change(member);
            self.tally.add(member);
        }
    }

    pub(super) fn insert(&mut self, id: NodeId, member: Member) {
        self.tally.add(&member);
        if let Some(before) = self.members.insert(id, member) {
            self.tally.take(&before);
        }
    }

    pub(super) fn remove(&mut self, id: &NodeId) {
        if let Some(member) = self.members.remove(id) {
            self.tally.take(&member);
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Member) -> bool) {
        for (_, member) in self.members.extract_if(|_, member| !keep(member)) {
            self.tally.take(&member);
        }
    }
}

/// How many members there are that can be given tasks, and how far they are with each application.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    able: usize,
    ready: HashMap<String, usize>,
    failed: HashMap<String, usize>,
}

impl Tally {
    /// Those that have the application with this digest open.
    pub(super) fn ready(&self, digest: &str) -> usize {
        self.ready.get(digest).copied().unwrap_or_default()
    }

    /// Those that have not said yet how they are with it.
    pub(super) fn waiting(&self, digest: &str) -> usize {
        let failed = self.failed.get(digest).copied().unwrap_or_default();
        self.able.saturating_sub(self.ready(digest) + failed)
    }

    fn add(&mut self, member: &Member) {
        if !member.takes_work() {
            return;
        }
        self.able += 1;
        for digest in member.app.all_loaded() {
            increase(&mut self.ready, digest);
        }
        if let Some(digest) = member.app.only_failed() {
            increase(&mut self.failed, digest);
        }
    }

    fn take(&mut self, member: &Member) {
        if !member.takes_work() {
            return;
        }
        self.able -= 1;
        for digest in member.app.all_loaded() {
            decrease(&mut self.ready, digest);
        }
        if let Some(digest) = member.app.only_failed() {
            decrease(&mut self.failed, digest);
        }
    }
}

fn increase(counts: &mut HashMap<String, usize>, digest: &str) {
    match counts.get_mut(digest) {
        Some(count) => *count += 1,
        None => {
            counts.insert(digest.to_owned(), 1);
        }
    }
}

/// Digests that nobody names any more leave the table: peers choose them.
fn decrease(counts: &mut HashMap<String, usize>, digest: &str) {
    if let Some(count) = counts.get_mut(digest) {
        *count -= 1;
        if *count == 0 {
            counts.remove(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::{AppFailure, Owner};
    use super::*;

    fn failure() -> AppFailure {
        AppFailure {
            digest: "x".to_owned(),
            reason: "no such file".to_owned(),
        }
    }

    /// What the table says is what counting says.
    fn check(table: &Table) {
        let mut counted = Tally::default();
        table.values().for_each(|member| counted.add(member));
        assert_eq!(table.tally, counted);
    }

    #[test]
    fn the_counts_stay_those_of_the_members_through_every_change() {
        let mut table = Table::default();
        let ids = ["a:1", "b:1", "c:1"].map(|id| id.parse::<NodeId>().unwrap());
        for id in &ids {
            table.insert(id.clone(), Member::new(Owner::Anonymous, Instant::now()));
            table.change(id, |member| member.connected = true).unwrap();
            check(&table);
        }
        assert_eq!((table.tally.ready("x"), table.tally.waiting("x")), (0, 3));
        table.change(&ids[0], |member| member.app.loaded("x"));
        table.change(&ids[1], |member| member.app.fail(failure()));
        check(&table);
        assert_eq!((table.tally.ready("x"), table.tally.waiting("x")), (1, 1));
        table.change(&ids[1], |member| member.app.loaded("x"));
        table.change(&ids[0], |member| member.app.fail(failure()));
        check(&table);
        assert_eq!((table.tally.ready("x"), table.tally.waiting("x")), (2, 1));
        table.change(&ids[0], |member| member.draining = true);
        table.insert(
            ids[2].clone(),
            Member::new(Owner::Anonymous, Instant::now()),
        );
        check(&table);
        assert_eq!((table.tally.ready("x"), table.tally.waiting("x")), (1, 0));
        table.remove(&ids[0]);
        table.retain(|member| !member.connected);
        check(&table);
        assert_eq!(table.tally, Tally::default());
    }
}
