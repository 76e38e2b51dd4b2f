//! What a node may be in the cluster.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// The role that a certificate gives its holder, read from its identity URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Plans and coordinates queries.
    Scheduler,
    /// Holds data and does the work.
    Executor,
    /// May be both a scheduler and an executor.
    Node,
    /// Uses the cluster without being a member of it.
    Client,
    /// The certificate names no role; see [`UnspecifiedRole`](crate::UnspecifiedRole).
    Unspecified,
}

impl Role {
    /// The role as it is written in identity URIs, configuration, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Executor => "executor",
            Self::Node => "node",
            Self::Client => "client",
            Self::Unspecified => "unspecified",
        }
    }

    /// Whether a peer whose certificate says `self` may be treated as a `wanted`.
    ///
    /// A node may act as scheduler, executor and node; a certificate without a role may act as any
    /// member, but never as a client; every other role is only itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_tls::Role;
    ///
    /// assert!(Role::Node.may_act_as(Role::Scheduler));
    /// assert!(!Role::Executor.may_act_as(Role::Scheduler));
    /// ```
    #[must_use]
    pub fn may_act_as(self, wanted: Self) -> bool {
        match self {
            Self::Node | Self::Unspecified => {
                self == wanted || matches!(wanted, Self::Scheduler | Self::Executor | Self::Node)
            }
            Self::Scheduler | Self::Executor | Self::Client => self == wanted,
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Self::Scheduler,
            Self::Executor,
            Self::Node,
            Self::Client,
            Self::Unspecified,
        ]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// A text that is the name of no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown role {0:?}: expected scheduler, executor, node, client or unspecified")]
pub struct UnknownRole(String);

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 5] = [
        Role::Scheduler,
        Role::Executor,
        Role::Node,
        Role::Client,
        Role::Unspecified,
    ];

    #[test]
    fn every_role_reads_back_from_its_name() {
        for role in ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("Scheduler".parse::<Role>().is_err());
    }

    #[test]
    fn only_nodes_and_unspecified_roles_act_as_another_member() {
        for held in ALL {
            for wanted in ALL {
                let member = matches!(wanted, Role::Scheduler | Role::Executor | Role::Node);
                let expected =
                    held == wanted || (member && matches!(held, Role::Node | Role::Unspecified));
                assert_eq!(held.may_act_as(wanted), expected, "{held} as {wanted}");
            }
        }
    }
}
