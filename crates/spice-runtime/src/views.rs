//! Views, created so that each finds what it uses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::common::{ResolvedTableReference, TableReference};
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use spicepod::{DEFAULT_SCHEMA, TableName, View};

use crate::engine::read_only_plan;
use crate::open_error::OpenFault;
use crate::query_error::QueryError;
use crate::session::CATALOG;

/// A table's place in the catalog.
type Place = ResolvedTableReference;

/// Create every view that can be created. `broken` holds the datasets that could not be opened:
/// a view over one of them is left out without a word, since the fault is told already.
pub(crate) async fn create(
    context: &SessionContext,
    views: &[View],
    broken: &[TableName],
) -> Vec<OpenFault> {
    let mut plan = Order::new(broken.iter().map(place).collect());
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
            Step::Circle(names) => plan.faults.push(OpenFault::ViewCycle { views: names }),
        }
    }
    plan.faults
}

/// The full reference to a table of the manifest.
pub(crate) fn reference(name: &TableName) -> TableReference {
    TableReference::full(CATALOG, name.schema(), name.table())
}

/// Views that wait, each with the views and broken tables it uses.
struct Order<'a> {
    waiting: BTreeMap<Place, (&'a View, BTreeSet<Place>)>,
    broken: BTreeSet<Place>,
    faults: Vec<OpenFault>,
}

enum Step<'a> {
    Create(&'a View),
    Circle(Vec<TableName>),
}

impl<'a> Order<'a> {
    fn new(broken: BTreeSet<Place>) -> Order<'a> {
        Order {
            waiting: BTreeMap::new(),
            broken,
            faults: Vec::new(),
        }
    }

    fn add(&mut self, state: &SessionState, view: &'a View) {
        match uses(state, view.sql()) {
            Ok(uses) => {
                self.waiting.insert(place(view.name()), (view, uses));
            }
            Err(error) => self.fail(view, invalid(view, &error)),
        }
    }

    fn fail(&mut self, view: &View, fault: OpenFault) {
        self.broken.insert(place(view.name()));
        self.faults.push(fault);
    }

    /// The next view whose uses are all there, or else a circle. Every step takes at least one
    /// view out of those that wait.
    fn next(&mut self) -> Option<Step<'a>> {
        self.drop_dependents_of_broken();
        let ready = self
            .waiting
            .iter()
            .find(|(_, (_, uses))| uses.iter().all(|used| !self.waiting.contains_key(used)))
            .map(|(place, _)| place.clone());
        if let Some((view, _)) = ready.and_then(|ready| self.waiting.remove(&ready)) {
            return Some(Step::Create(view));
        }
        let circle = self.circle()?;
        let names = circle
            .into_iter()
            .filter_map(|place| {
                let (view, _) = self.waiting.remove(&place)?;
                self.broken.insert(place);
                Some(view.name().clone())
            })
            .collect();
        Some(Step::Circle(names))
    }

    fn drop_dependents_of_broken(&mut self) {
        loop {
            let lost = self
                .waiting
                .iter()
                .find(|(_, (_, uses))| !uses.is_disjoint(&self.broken))
                .map(|(place, _)| place.clone());
            let Some(lost) = lost else { return };
            self.waiting.remove(&lost);
            self.broken.insert(lost);
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

/// The tables that a query names; names of its own common table expressions are none.
fn uses(state: &SessionState, sql: &str) -> Result<BTreeSet<Place>, QueryError> {
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect)?;
    let references = state.resolve_table_references(&statement)?;
    Ok(references
        .into_iter()
        .map(|reference| reference.resolve(CATALOG, DEFAULT_SCHEMA))
        .collect())
}

fn place(name: &TableName) -> Place {
    reference(name).resolve(CATALOG, DEFAULT_SCHEMA)
}

fn invalid(view: &View, error: &QueryError) -> OpenFault {
    OpenFault::InvalidView {
        view: view.name().clone(),
        message: error.to_string(),
    }
}
