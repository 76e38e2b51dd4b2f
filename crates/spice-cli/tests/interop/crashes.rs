//! Runs that are killed before every one of their writes.

use crate::fixture::{DONE, Home};
use crate::operation::{self, Operation, copied};
use crate::soundness::Place;
use crate::tool::{tls, tool};
use crate::traced::{hit, moments};

#[test]
fn a_killed_init_leaves_no_authority_or_a_whole_one() {
    survives(&operation::INIT);
}

#[test]
fn a_killed_add_leaves_an_authority_that_works() {
    survives(&operation::ADD);
}

#[test]
fn a_killed_add_of_many_leaves_an_authority_that_works() {
    survives(&operation::ADD_MANY);
}

#[test]
fn a_killed_sign_leaves_an_authority_that_works() {
    survives(&operation::SIGN);
}

#[test]
fn a_killed_renew_leaves_an_authority_that_works() {
    survives(&operation::RENEW);
}

#[test]
fn a_killed_revoke_leaves_an_authority_that_works_and_what_was_revoked_gets_on_the_list() {
    for home in survives(&operation::REVOKE) {
        let checked = |name: &str| {
            let verify = "openssl verify -crl_check -CRLfile crl.pem -CAfile ca.pem";
            tool(&home.work(), &format!("{verify} {name}.pem"))
        };
        checked("n1").refused("certificate revoked");
        checked("n2").accepted();
    }
}

#[test]
fn a_killed_crl_leaves_an_authority_that_works() {
    survives(&operation::CRL);
}

#[test]
fn a_killed_start_of_a_rotation_leaves_an_authority_that_works() {
    survives(&operation::START);
}

#[test]
fn a_killed_end_of_a_rotation_leaves_an_authority_that_works() {
    for home in survives(&operation::FINISH) {
        Place::new(home.root()).assert_one_key();
    }
}

#[test]
fn a_killed_abort_of_a_rotation_leaves_an_authority_that_works() {
    for home in survives(&operation::ABORT) {
        Place::new(home.root()).assert_one_key();
    }
}

#[test]
fn a_killed_csr_leaves_no_request_or_a_whole_one() {
    survives(&operation::CSR);
}

#[test]
fn a_killed_bundle_leaves_no_file_or_a_whole_one() {
    survives(&operation::BUNDLE);
}

/// Kills the command before each of its writes, looks at what is left, and goes on as a person
/// would who types it again and reads what it says. Gives the homes that came of it.
fn survives(operation: &Operation) -> Vec<Home> {
    let prepared = operation.prepared();
    let mut homes = Vec::new();
    for moment in moments(&copied(&prepared), operation.line) {
        let home = copied(&prepared);
        let killed = hit(&home, operation.line, &moment, "KILL");
        let told = format!(
            "after a kill of `{}` before {}",
            operation.line, moment.shown
        );
        assert_eq!(killed.signal, Some(KILL), "{killed:?} {told}");
        let place = Place::new(home.root());
        place.assert_sound(&told);
        let listed = tls(&home, "list");
        if listed.code == DONE {
            place.assert_paired(&told);
        } else {
            let without = listed.stderr.contains("there is no authority");
            assert!(without, "{listed:?} {told}");
        }
        operation.heal(&home);
        place.assert_settled(&told);
        homes.push(home);
    }
    homes
}

/// The number of SIGKILL.
const KILL: i32 = 9;
