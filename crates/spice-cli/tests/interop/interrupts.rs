//! Ctrl-C and a polite kill at every one of a run's writes.

use crate::operation::{self, Operation, copied};
use crate::soundness::Place;
use crate::traced::{hit, moments};

#[test]
fn an_interrupted_init_does_everything_or_nothing() {
    all_or_nothing(&operation::INIT);
}

#[test]
fn an_interrupted_add_does_everything_or_nothing() {
    all_or_nothing(&operation::ADD);
}

#[test]
fn an_interrupted_add_of_many_does_everything_or_nothing() {
    all_or_nothing(&operation::ADD_MANY);
}

#[test]
fn an_interrupted_sign_does_everything_or_nothing() {
    all_or_nothing(&operation::SIGN);
}

#[test]
fn an_interrupted_renew_does_everything_or_nothing() {
    all_or_nothing(&operation::RENEW);
}

#[test]
fn an_interrupted_revoke_does_everything_or_nothing() {
    all_or_nothing(&operation::REVOKE);
}

#[test]
fn an_interrupted_crl_does_everything_or_nothing() {
    all_or_nothing(&operation::CRL);
}

#[test]
fn an_interrupted_start_of_a_rotation_does_everything_or_nothing() {
    all_or_nothing(&operation::START);
}

#[test]
fn an_interrupted_end_of_a_rotation_does_everything_or_nothing() {
    all_or_nothing(&operation::FINISH);
}

#[test]
fn an_interrupted_abort_of_a_rotation_does_everything_or_nothing() {
    all_or_nothing(&operation::ABORT);
}

#[test]
fn an_interrupted_csr_does_everything_or_nothing() {
    all_or_nothing(&operation::CSR);
}

#[test]
fn an_interrupted_bundle_does_everything_or_nothing() {
    all_or_nothing(&operation::BUNDLE);
}

fn all_or_nothing(operation: &Operation) {
    let prepared = operation.prepared();
    let moments = moments(&copied(&prepared), operation.line);
    for signal in ["INT", "TERM"] {
        for moment in &moments {
            let home = copied(&prepared);
            let place = Place::new(home.root());
            let before = place.files();
            let ended = hit(&home, operation.line, moment, signal);
            let told = format!("SIG{signal} before {}: {}", moment.shown, ended.said);
            if ended.code == Some(0) {
                place.assert_settled(&told);
                assert_ne!(place.files(), before, "nothing done {told}");
            } else {
                assert!(place.files() == before, "something done {told}");
            }
        }
    }
}
