//! Disks without room, and disks that cannot be written to.

use crate::fixture::{DONE, REFUSED};
use crate::machine::{Machine, Scarce};
use crate::operation::{self, Operation};

#[test]
fn an_init_on_a_full_disk_says_so_and_succeeds_when_there_is_room() {
    waits_for_room(&operation::INIT);
}

#[test]
fn an_add_on_a_full_disk_says_so_and_succeeds_when_there_is_room() {
    waits_for_room(&operation::ADD);
}

#[test]
fn an_add_of_many_on_a_full_disk_says_so_and_succeeds_when_there_is_room() {
    waits_for_room(&operation::ADD_MANY);
}

#[test]
fn a_renewal_on_a_full_disk_says_so_and_succeeds_when_there_is_room() {
    waits_for_room(&operation::RENEW);
}

#[test]
fn a_revocation_on_a_full_disk_says_so_and_succeeds_when_there_is_room() {
    waits_for_room(&operation::REVOKE);
}

#[test]
fn a_rotation_on_a_full_disk_says_so_and_succeeds_when_there_is_room() {
    for step in [operation::START, operation::FINISH, operation::ABORT] {
        waits_for_room(&step);
    }
}

#[test]
fn a_bundle_on_a_full_disk_says_so_and_succeeds_when_there_is_room() {
    waits_for_room(&operation::BUNDLE);
}

#[test]
fn a_disk_that_cannot_be_written_to_is_named_and_the_command_succeeds_on_one_that_can() {
    for operation in [
        operation::INIT,
        operation::ADD,
        operation::RENEW,
        operation::REVOKE,
        operation::START,
        operation::BUNDLE,
    ] {
        let machine = Machine::with(&operation.prepared());
        let before = machine.place().files();
        machine.make_read_only();
        let ended = machine.tls(operation.line).expect(REFUSED);
        assert!(ended.stderr.contains("Read-only file system"), "{ended:#?}");
        assert!(ended.next().contains("can be written to"), "{ended:#?}");
        machine.make_writable();
        assert!(machine.place().files() == before, "{operation:?}");
        machine.tls(operation.line).expect(DONE);
        machine
            .place()
            .assert_settled("after a disk that could not be written to");
    }
}

/// Lets the command run with room for nothing, for one file more each time, until it succeeds.
fn waits_for_room(operation: &Operation) {
    let prepared = operation.prepared();
    for scarce in [Scarce::Pages, Scarce::Files] {
        let mut left = 0;
        while refused_for_room(&Machine::with(&prepared), operation, (scarce, left)) {
            left += 1;
        }
        assert!(left > 0, "{operation:?} needs no {scarce:?}");
    }
}

/// Whether there was too little room; then all that must hold was found to.
fn refused_for_room(machine: &Machine, operation: &Operation, room: (Scarce, u64)) -> bool {
    let (scarce, left) = room;
    let told = format!("`{}` with room for {left} {scarce:?}", operation.line);
    machine.leave(scarce, left);
    let ended = machine.tls(operation.line);
    if ended.code == DONE {
        machine.place().assert_settled(&told);
        return false;
    }
    let ended = ended.expect(REFUSED);
    assert!(
        ended.stderr.contains("No space left on device"),
        "{told}: {ended:#?}"
    );
    assert!(
        ended.next().starts_with("make room on that file system"),
        "{told}: {ended:#?}"
    );
    assert!(
        ended.next().ends_with("type the same command again"),
        "{told}: {ended:#?}"
    );
    machine.place().assert_sound(&told);
    machine.make_room();
    machine.tls(operation.line).expect(DONE);
    machine.place().assert_settled(&told);
    true
}
