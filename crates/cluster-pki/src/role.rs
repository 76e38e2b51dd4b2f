//! Which role a node's certificate states, and why.

use std::fmt;

use cluster_tls::Role;

use crate::name::NodeName;

/// Why a certificate states the role it states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoleReason {
    /// It was asked for.
    Requested,
    /// The node's name starts with the role's word.
    NamePrefix(Role),
    /// It is the role that the certificate before it stated.
    Renewed,
    /// Neither: such a node may act as a scheduler and as an executor.
    Default,
}

impl fmt::Display for RoleReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => out.write_str("as requested"),
            Self::NamePrefix(role) => write!(out, "from the name, which starts with `{role}`"),
            Self::Renewed => out.write_str("as before"),
            Self::Default => out.write_str("the default: it may act as scheduler and as executor"),
        }
    }
}

pub(crate) fn decide_role(requested: Option<Role>, name: &NodeName) -> (Role, RoleReason) {
    if let Some(role) = requested {
        return (role, RoleReason::Requested);
    }
    let canonical = name.canonical();
    [Role::Scheduler, Role::Executor, Role::Client]
        .into_iter()
        .find(|role| canonical.starts_with(role.as_str()))
        .map_or((Role::Node, RoleReason::Default), |role| {
            (role, RoleReason::NamePrefix(role))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(requested: Option<Role>, name: &str) -> (Role, RoleReason) {
        decide_role(requested, &name.parse().unwrap())
    }

    #[test]
    fn a_name_decides_when_nothing_is_requested() {
        let table = [
            ("scheduler1", Role::Scheduler),
            ("Scheduler", Role::Scheduler),
            ("executor-7.rack3", Role::Executor),
            ("client1", Role::Client),
        ];
        for (name, role) in table {
            assert_eq!(decided(None, name), (role, RoleReason::NamePrefix(role)));
        }
    }

    #[test]
    fn other_names_get_the_role_that_covers_both() {
        for name in ["node1", "my-scheduler", "exec1"] {
            assert_eq!(decided(None, name), (Role::Node, RoleReason::Default));
        }
    }

    #[test]
    fn a_request_wins_over_the_name() {
        let client = decided(Some(Role::Client), "scheduler1");
        assert_eq!(client, (Role::Client, RoleReason::Requested));
    }
}
