//! Opening the datasets and views of an application: all that can be, and the rest later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::listing::ListingTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::SessionContext;
use futures::{StreamExt as _, stream};
use spicepod::{App, Dataset, Source, TableName, View};

use crate::contents::{Contents, UnavailableTable};
use crate::open_error::{OpenError, OpenFault, Reason};
use crate::opened::{Access, OpenDataset};
use crate::placement::{Placement, placement};
use crate::postgres::PostgresTable;
use crate::runtime::{TableEntry, TableKind};
use crate::s3::S3Dataset;
use crate::secrets::SecretSource;
use crate::table::Files;
use crate::views::{Place, place};
use crate::{s3, table, views};

/// What it takes to open an application.
pub(crate) struct Opening {
    pub(crate) context: SessionContext,
    pub(crate) app: App,
    pub(crate) secrets: Arc<dyn SecretSource>,
}

/// Datasets after a try at each.
#[derive(Default)]
struct Tried {
    opened: Vec<OpenDataset>,
    failed: Vec<(TableName, OpenFault)>,
}

impl Opening {
    /// Opens everything. What is out of reach is left for [`again`](Self::again); it is told as a
    /// fault where there are others.
    pub(crate) async fn first(&self) -> Result<Contents, OpenError> {
        let tried = self.datasets(self.app.datasets().to_vec()).await;
        let made = self.views(|_| true, &tried.failed).await;
        let is_wrong = |fault: &OpenFault| !fault.is_outage();
        if tried.failed.iter().any(|(_, fault)| is_wrong(fault)) || !made.faults.is_empty() {
            let failed = tried.failed.into_iter().map(|(_, fault)| fault);
            let faults = failed.chain(made.faults).collect();
            return Err(OpenError { faults });
        }
        self.contents(tried.opened, &made.missing).await
    }

    /// Opens what was unavailable. What cannot be opened now, for whatever reason, stays so.
    pub(crate) async fn again(&self, before: &Contents) -> Result<Contents, OpenError> {
        let missing: BTreeSet<&TableName> = before.unavailable.iter().map(|it| &it.name).collect();
        // A try that failed after its tables were registered has left them.
        for name in &missing {
            let left = self.context.deregister_table(views::reference(name));
            left.map_err(OpenError::engine)?;
        }
        let datasets = self.app.datasets().iter();
        let datasets = datasets.filter(|it| missing.contains(it.name())).cloned();
        let tried = self.datasets(datasets.collect()).await;
        let is_missing = |view: &View| missing.contains(view.name());
        let made = self.views(is_missing, &tried.failed).await;
        let opened = before.datasets.iter().cloned().chain(tried.opened);
        self.contents(opened.collect(), &made.missing).await
    }

    async fn views(
        &self,
        wanted: impl Fn(&View) -> bool,
        failed: &[(TableName, OpenFault)],
    ) -> views::Made {
        let views: Vec<&View> = self.app.views().iter().filter(|it| wanted(it)).collect();
        let failed = failed.iter();
        let missing = failed.map(|(name, fault)| (place(name), Reason::of(fault)));
        views::create(&self.context, &views, missing.collect()).await
    }

    /// What there is now, with the reason of each table that is missing.
    async fn contents(
        &self,
        datasets: Vec<OpenDataset>,
        missing: &BTreeMap<Place, Reason>,
    ) -> Result<Contents, OpenError> {
        let mut contents = Contents {
            datasets,
            ..Contents::default()
        };
        for (name, source) in names(&self.app) {
            let kind = source.map_or(TableKind::View, |_| TableKind::Dataset);
            match missing.get(&place(name)) {
                Some(reason) => contents.unavailable.push(UnavailableTable {
                    name: name.clone(),
                    kind,
                    source: source.cloned(),
                    reason: reason.shown.clone(),
                    told: reason.told.clone(),
                }),
                None => {
                    let entry = self.entry(name, kind, source).await;
                    contents.tables.push(entry.map_err(OpenError::engine)?);
                }
            }
        }
        Ok(contents)
    }

    async fn entry(
        &self,
        name: &TableName,
        kind: TableKind,
        source: Option<&Source>,
    ) -> Result<TableEntry, DataFusionError> {
        let provider = self.context.table_provider(views::reference(name)).await?;
        let schema = provider.schema();
        let table = provider_as_source(provider);
        let scan = LogicalPlanBuilder::scan(views::reference(name), table, None)?.build()?;
        Ok(TableEntry {
            name: name.clone(),
            kind,
            schema,
            source: source.cloned(),
            locations: match placement(&scan)? {
                Placement::Here => BTreeSet::new(),
                Placement::WithTheData(locations) | Placement::HereWithData(locations) => locations,
            },
        })
    }

    /// Registers each dataset that opens.
    async fn datasets(&self, datasets: Vec<Dataset>) -> Tried {
        let results = stream::iter(datasets).map(|dataset| async move {
            let name = dataset.name().clone();
            (name, self.dataset(dataset).await)
        });
        let mut results = results.buffered(CONCURRENT_OPENS);
        let mut tried = Tried::default();
        while let Some((name, result)) = results.next().await {
            match result {
                Ok(dataset) => tried.opened.push(dataset),
                Err(fault) => tried.failed.push((name, fault)),
            }
        }
        tried
    }

    async fn dataset(&self, dataset: Dataset) -> Result<OpenDataset, OpenFault> {
        let (access, table): (Access, Arc<dyn TableProvider>) = match dataset.source() {
            Source::File(file) => {
                let files = Files::local(&dataset, file).await?;
                let access = Access::File(file.clone());
                (access, Arc::new(self.files(&dataset, files).await?))
            }
            Source::S3(source) => {
                let objects = S3Dataset::connect(&dataset, source, &self.secrets).await?;
                let url = s3::url(dataset.name()).map_err(OpenFault::engine)?;
                self.context.register_object_store(&url, objects.store());
                objects.check().await?;
                let files = Files::remote(&objects).map_err(OpenFault::engine)?;
                let table = self.files(&dataset, files).await?;
                (Access::S3(Box::new(objects)), Arc::new(table))
            }
            Source::Postgres(source) => {
                let table = PostgresTable::open(&dataset, source, &self.secrets).await?;
                (Access::Postgres(table.clone()), Arc::new(table))
            }
        };
        self.context
            .register_table(views::reference(dataset.name()), table)
            .map_err(OpenFault::engine)?;
        Ok(OpenDataset { dataset, access })
    }

    async fn files(&self, dataset: &Dataset, files: Files) -> Result<ListingTable, OpenFault> {
        table::open(&self.context.state(), dataset, files).await
    }
}

/// The name of every table, and its source where it has one.
pub(crate) fn names(app: &App) -> impl Iterator<Item = (&TableName, Option<&Source>)> {
    let datasets = app.datasets().iter().map(|d| (d.name(), Some(d.source())));
    datasets.chain(app.views().iter().map(|v| (v.name(), None)))
}

/// How many datasets are opened at once. Opening waits for files more than it computes.
const CONCURRENT_OPENS: usize = 8;

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::secrets::NoSecrets;
    use crate::session::{self, RuntimeOptions};

    use super::*;

    #[tokio::test]
    async fn a_try_that_failed_halfway_does_not_keep_the_next_from_succeeding() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("t.csv"), "n\n1\n").unwrap();
        let manifest = "{version: v1, kind: Spicepod, name: a, datasets: [{name: t, from: \
            'file:t.csv'}], views: [{name: v, sql: SELECT n FROM t}]}";
        let app = spicepod::parse(manifest, &directory.path().join("spicepod.yaml")).unwrap();
        let opening = Opening {
            context: session::open(&RuntimeOptions::default(), app.digest()).unwrap(),
            app,
            secrets: Arc::new(NoSecrets),
        };
        // All that the failed try did is in the session, and nothing of it in the contents.
        opening.first().await.unwrap();
        let unavailable = names(&opening.app).map(|(name, source)| UnavailableTable {
            name: name.clone(),
            kind: source.map_or(TableKind::View, |_| TableKind::Dataset),
            source: source.cloned(),
            reason: String::new(),
            told: String::new(),
        });
        let before = Contents {
            unavailable: unavailable.collect(),
            ..Contents::default()
        };
        let now = opening.again(&before).await.unwrap();
        assert!(now.unavailable.is_empty(), "{:?}", now.unavailable);
        assert_eq!((now.tables.len(), now.datasets.len()), (2, 1));
    }
}
