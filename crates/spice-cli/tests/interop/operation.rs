//! The commands that change something, each with the state in which it is typed.

use std::fs;

use crate::fixture::{DONE, Home};
use crate::tool::{done, tls, tool};

/// A command that is to survive whatever happens to it.
#[derive(Debug)]
pub(crate) struct Operation {
    /// What is typed before it.
    before: &'static [&'static str],
    /// The command.
    pub(crate) line: &'static str,
    /// What its refusal says when it is typed again although it was done: why, what is next, and
    /// that as it is typed here.
    again: [&'static str; 3],
}

impl Operation {
    /// A home in which it can be typed.
    pub(crate) fn prepared(&self) -> Home {
        let home = Home::new();
        fs::write(home.work().join("nodes.csv"), "name\na1\na2\na3\n").unwrap();
        for line in self.before {
            done(&home, line);
        }
        home
    }

    /// Types it again after something happened to it, and does what it says when it refuses.
    pub(crate) fn heal(&self, home: &Home) {
        let ended = tls(home, self.line);
        if ended.code == DONE {
            return;
        }
        let [why, next, typed] = self.again;
        assert!(!why.is_empty(), "{self:?}: {ended:#?}");
        assert!(ended.stderr.contains(why), "{self:?}: {ended:#?}");
        assert!(ended.next().contains(next), "{self:?}: {ended:#?}");
        done(home, typed);
    }
}

/// A copy of a home, with its modes.
pub(crate) fn copied(home: &Home) -> Home {
    let copy = Home::new();
    let command = copy_command(home, &copy.root().display().to_string());
    tool(home.root(), &command).accepted();
    copy
}

/// What copies a home over another one.
pub(crate) fn copy_command(home: &Home, root: &str) -> String {
    format!("cp -a {}/. {root}", home.root().display())
}

pub(crate) const INIT: Operation = Operation {
    before: &[],
    line: "init",
    again: [
        "there is an authority in",
        "spice cluster tls add NAME",
        "add n1",
    ],
};

pub(crate) const ADD: Operation = Operation {
    before: &["init", "add n1"],
    line: "add n2",
    again: ["has a certificate already", ADD_AGAIN, ADD_AGAIN],
};

pub(crate) const ADD_MANY: Operation = Operation {
    before: &["init", "add n1"],
    line: "add --from nodes.csv",
    again: [
        "has a certificate already",
        "--force",
        "add --from nodes.csv --force",
    ],
};

pub(crate) const SIGN: Operation = Operation {
    before: &["init", "add n1", "csr n2"],
    line: "sign n2.csr --yes",
    again: [
        "has a certificate already",
        "the same command with --force",
        "sign n2.csr --force --yes",
    ],
};

pub(crate) const RENEW: Operation = Operation {
    before: &["init", "add n1"],
    line: "renew n1",
    again: NEVER,
};

pub(crate) const REVOKE: Operation = Operation {
    before: &["init", "add n1", "add n2"],
    line: "revoke n1 --yes",
    again: ["is revoked already", "spice cluster tls crl", "crl"],
};

pub(crate) const CRL: Operation = Operation {
    before: &["init", "add n1", "add n2", "revoke n2 --yes"],
    line: "crl",
    again: NEVER,
};

pub(crate) const START: Operation = Operation {
    before: &["init", "add n1"],
    line: "rotate-ca start",
    again: ["a rotation is under way", STATUS, STATUS],
};

pub(crate) const FINISH: Operation = Operation {
    before: &["init", "add n1", "rotate-ca start", "renew n1"],
    line: "rotate-ca finish --yes",
    again: ["no rotation is under way", "rotate-ca start", STATUS],
};

pub(crate) const ABORT: Operation = Operation {
    before: &["init", "add n1", "rotate-ca start"],
    line: "rotate-ca abort --yes",
    again: ["no rotation is under way", "rotate-ca start", STATUS],
};

pub(crate) const CSR: Operation = Operation {
    before: &["init"],
    line: "csr n2",
    again: ["exists already", "csr n2 --force", "csr n2 --force"],
};

pub(crate) const BUNDLE: Operation = Operation {
    before: &["init", "add n1"],
    line: "bundle n1 --format pem",
    again: [
        "exists already",
        "--force",
        "bundle n1 --format pem --force",
    ],
};

/// It can be done any number of times.
const NEVER: [&str; 3] = ["", "", ""];

const ADD_AGAIN: &str = "add n2 --force";

const STATUS: &str = "rotate-ca status";
