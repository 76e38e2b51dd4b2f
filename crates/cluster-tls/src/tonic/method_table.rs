//! Who may call what, as data.

use std::collections::HashMap;

use super::{Method, WithoutIdentity};
use crate::role::Role;

/// Which roles may call which methods. A method without a row may be called by nobody.
///
/// # Examples
///
/// ```
/// use cluster_tls::Role;
/// use cluster_tls::tonic::MethodTable;
///
/// let table = MethodTable::new()
///     .allow("/grpc.health.v1.Health/Check", &[Role::Scheduler, Role::Executor])
///     .allow("/hello.Greeter/SayHello", &[Role::Client]);
/// assert!(table.roles("/hello.Greeter/SayGoodbye").is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct MethodTable {
    rows: HashMap<&'static str, Row>,
}

impl MethodTable {
    /// A table without rows: nobody may call anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `roles`, and those who may act as one of them, call `method`, written
    /// `/package.Service/Method`, and nobody without an identity. A second row of the same method
    /// replaces the first.
    #[must_use]
    pub fn allow(self, method: &'static str, roles: &'static [Role]) -> Self {
        let without_identity = WithoutIdentity::Refuse;
        self.with(
            method,
            Row {
                roles,
                without_identity,
            },
        )
    }

    /// Adds the row of `M`, so that the table decides about it as a permit for it does.
    #[must_use]
    pub fn method<M: Method>(self) -> Self {
        self.with(
            M::PATH,
            Row {
                roles: M::ROLES,
                without_identity: M::WITHOUT_IDENTITY,
            },
        )
    }

    /// The roles that may call `method`.
    #[must_use]
    pub fn roles(&self, method: &str) -> &'static [Role] {
        self.rows.get(method).map_or(&[], |row| row.roles)
    }

    /// The row of `method`, with its name as the table has it.
    pub(super) fn row(&self, method: &str) -> Option<(&'static str, Row)> {
        let found = self.rows.get_key_value(method);
        found.map(|(method, row)| (*method, *row))
    }

    fn with(mut self, method: &'static str, row: Row) -> Self {
        self.rows.insert(method, row);
        self
    }
}

/// Who may call one method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) roles: &'static [Role],
    pub(super) without_identity: WithoutIdentity,
}
