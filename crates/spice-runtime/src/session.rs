//! The DataFusion session that every query of a node starts from.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use spicepod::DEFAULT_SCHEMA;

use crate::history::TaskHistory;
use crate::origin::with_app_digest;

/// The one catalog, which SQL may leave out.
pub const CATALOG: &str = "spice";

/// What a node decides about its engine.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    /// Into how many partitions a query is cut, which is how many cores it can use at once.
    pub target_partitions: NonZeroUsize,
    /// Where operators that outgrow memory spill; the system's temporary directory if `None`.
    /// Made when first needed.
    pub spill_directory: Option<PathBuf>,
    /// Where queries are recorded, which is a table then; nowhere if `None`.
    pub history: Option<TaskHistory>,
}

impl Default for RuntimeOptions {
    /// One partition for each core the process may use.
    fn default() -> Self {
        let target_partitions = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        RuntimeOptions {
            target_partitions,
            spill_directory: None,
            history: None,
        }
    }
}

/// A session without tables, over the application with this digest.
pub(crate) fn open(options: &RuntimeOptions, app_digest: &str) -> Result<SessionContext> {
    // A cached listing has no end by default, so a file added to a dataset's directory would
    // stay unseen until a restart. Footers and statistics stay cached: they are checked against
    // size and modification time.
    let caches = CacheManagerConfig::default().with_list_files_cache_limit(0);
    let mut environment = RuntimeEnvBuilder::new().with_cache_manager(caches);
    if let Some(directory) = &options.spill_directory {
        environment = environment.with_temp_file_path(directory);
    }
    let environment = environment.build_arc()?;
    let state = SessionStateBuilder::new()
        .with_config(with_app_digest(config(options), app_digest))
        .with_runtime_env(environment)
        .with_default_features()
        .build();
    Ok(SessionContext::new_with_state(state))
}

fn config(options: &RuntimeOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(true)
        .with_information_schema(true)
        .with_collect_statistics(true)
        .with_target_partitions(options.target_partitions.get());
    let settings = config.options_mut();
    // Text as plain Utf8: string views reach clients that cannot read them (older Arrow
    // releases), and they bloat shuffles, where each view keeps its whole buffer alive.
    settings.execution.parquet.schema_force_view_types = false;
    settings.sql_parser.map_string_types_to_utf8view = false;
    // Row groups and pages are pruned by statistics in any case. Filtering single rows while
    // decoding pays for selective predicates only and slows the others down, so it stays off,
    // as upstream has it.
    settings.execution.parquet.pushdown_filters = false;
    config
}
