//! Views, created so that each finds what it uses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::common::{ResolvedTableReference, TableReference};
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use spicepod::{DEFAULT_SCHEMA, TableName, View};

use crate::engine::read_only_plan;
use crate::open_error::{OpenFault, Reason};
use crate::query_error::QueryError;
use crate::session::CATALOG;

/// A table's place in the catalog.
pub(crate) type Place = ResolvedTableReference;

/// What became of views.
pub(crate) struct Made {
    /// What is wrong with views themselves.
    pub(crate) faults: Vec<OpenFault>,
    /// Tables that are not there, with the reason.
    pub(crate) missing: BTreeMap<Place, Reason>,
}

/// Create every view that can be created. `missing` holds the datasets that could not be opened:
/// a view over one of them is left out for the same reason, and is no fault of its own.
pub(crate) async fn create(
    context: &SessionContext,
    views: &[&View],
    missing: BTreeMap<Place, Reason>,
) -> Made {
    let mut plan = Order {
        waiting: BTreeMap::new(),
        missing,
        faults: Vec::new(),
    };
    for view in views {
        plan.add(&context.state(), view);
    }
    while let Some(step) = plan.next() {
        match step {
            Step::Create(view) => {
                if let Err(fault) = register(context, view).await {
                    plan.fail(view, fault);
                }
            }
            Step::Circle(views) => plan.fail_circle(&views),
        }
    }
    Made {
        faults: plan.faults,
        missing: plan.missing,
    }
}

/// The full reference to a table of the manifest.
pub(crate) fn reference(name: &TableName) -> TableReference {
    TableReference::full(CATALOG, name.schema(), name.table())
}

/// Views that wait, each with the tables it uses.
struct Order<'a> {
    waiting: BTreeMap<Place, (&'a View, BTreeSet<Place>)>,
    missing: BTreeMap<Place, Reason>,
    faults: Vec<OpenFault>,
}

enum Step<'a> {
    Create(&'a View),
    Circle(Vec<&'a View>),
}

impl<'a> Order<'a> {
    fn add(&mut self, state: &SessionState, view: &'a View) {
        match uses(state, view.sql()) {
            Ok(uses) => {
                self.waiting.insert(place(view.name()), (view, uses));
            }
            Err(error) => self.fail(view, invalid(view, &error)),
        }
    }

    fn fail(&mut self, view: &View, fault: OpenFault) {
        self.missing.insert(place(view.name()), Reason::of(&fault));
        self.faults.push(fault);
    }

    fn fail_circle(&mut self, views: &[&View]) {
        let names = views.iter().map(|view| view.name());
        let fault = OpenFault::ViewCycle {
            views: names.clone().cloned().collect(),
        };
        let reason = Reason::of(&fault);
        self.missing
            .extend(names.map(|name| (place(name), reason.clone())));
        self.faults.push(fault);
    }

    /// The next view whose uses are all there, or else a circle. Every step takes at least one
    /// view out of those that wait.
    fn next(&mut self) -> Option<Step<'a>> {
        self.drop_dependents_of_missing();
        let ready = self
            .waiting
            .iter()
            .find(|(_, (_, uses))| uses.iter().all(|used| !self.waiting.contains_key(used)))
            .map(|(place, _)| place.clone());
        if let Some((view, _)) = ready.and_then(|ready| self.waiting.remove(&ready)) {
            return Some(Step::Create(view));
        }
        let circle = self.circle()?;
        let views = circle
            .into_iter()
            .filter_map(|place| self.waiting.remove(&place))
            .map(|(view, _)| view);
        Some(Step::Circle(views.collect()))
    }

    fn drop_dependents_of_missing(&mut self) {
        let reason = |uses: &BTreeSet<Place>, missing: &BTreeMap<Place, Reason>| {
            uses.iter().find_map(|used| missing.get(used).cloned())
        };
        loop {
            let lost = self
                .waiting
                .iter()
                .find_map(|(place, (_, uses))| Some((place.clone(), reason(uses, &self.missing)?)));
            let Some((lost, reason)) = lost else { return };
            self.waiting.remove(&lost);
            self.missing.insert(lost, reason);
        }
    }

    /// Follow uses from any waiting view until one comes again. Called when each of them uses
    /// another one that waits, so the walk has no end but a circle.
    fn circle(&self) -> Option<Vec<Place>> {
        let mut walked: Vec<Place> = Vec::new();
        let mut here = self.waiting.keys().next()?.clone();
        loop {
            if let Some(start) = walked.iter().position(|place| *place == here) {
                return Some(walked.split_off(start));
            }
            let (_, uses) = self.waiting.get(&here)?;
            let next = uses.iter().find(|used| self.waiting.contains_key(used))?;
            walked.push(std::mem::replace(&mut here, next.clone()));
        }
    }
}

async fn register(context: &SessionContext, view: &View) -> Result<(), OpenFault> {
    let plan = read_only_plan(&context.state(), view.sql())
        .await
        .map_err(|error| invalid(view, &error))?;
    let table = ViewTable::new(plan, Some(view.sql().to_owned()));
    context
        .register_table(reference(view.name()), Arc::new(table))
        .map_err(|source| OpenFault::Engine { source })?;
    Ok(())
}

fn uses(state: &SessionState, sql: &str) -> Result<BTreeSet<Place>, QueryError> {
    let dialect = state.config_options().sql_parser.dialect;
    used_by(state, &state.sql_to_statement(sql, &dialect)?)
}

/// The tables that a statement names; names of its own common table expressions are none.
pub(crate) fn used_by(
    state: &SessionState,
    statement: &Statement,
) -> Result<BTreeSet<Place>, QueryError> {
    let references = state.resolve_table_references(statement)?;
    Ok(references
        .into_iter()
        .map(|reference| reference.resolve(CATALOG, DEFAULT_SCHEMA))
        .collect())
}

pub(crate) fn place(name: &TableName) -> Place {
    reference(name).resolve(CATALOG, DEFAULT_SCHEMA)
}

fn invalid(view: &View, error: &QueryError) -> OpenFault {
    OpenFault::InvalidView {
        view: view.name().clone(),
        message: error.to_string(),
    }
}
