//! Read `spicepod.yaml` into an [`App`]: what a node serves, validated and complete.
//!
//! The crate turns text into meaning and nothing else. [`parse`] is pure; [`load`] adds the
//! reading of one file. Every fault of a manifest is reported at once, each with the key path,
//! the line and the column; a key that this version does not know, or knows and cannot honour
//! yet, is a fault, because a setting that is silently ignored is worse than none.
//!
//! ```
//! # use std::path::Path;
//! let app = spicepod::parse(
//!     "version: v1\nkind: Spicepod\nname: shop\ndatasets:\n  - name: orders\n    from: file:data/orders.parquet\n",
//!     Path::new("/srv/shop/spicepod.yaml"),
//! )?;
//! let orders = &app.datasets()[0];
//! assert_eq!(orders.name().to_string(), "orders");
//! assert_eq!(orders.source().to_string(), "file:/srv/shop/data/orders.parquet");
//! # Ok::<(), spicepod::LoadError>(())
//! ```

mod app;
mod canonical;
mod error;
mod finding;
mod format;
mod load;
mod manifest;
mod name;
mod node;
mod param;
mod runtime;
mod secret;
mod section;
mod source;
mod suggest;

pub use crate::app::{App, Dataset, View};
pub use crate::error::LoadError;
pub use crate::finding::{Finding, Position};
pub use crate::format::{CsvOptions, Format};
pub use crate::load::{MANIFEST_NAMES, MAX_MANIFEST_BYTES, load, parse};
pub use crate::name::{DEFAULT_SCHEMA, InvalidName, RESERVED_SCHEMAS, TableName};
pub use crate::param::{ParamPart, ParamValue};
pub use crate::runtime::{S3State, SchedulerSettings, StateLocation};
pub use crate::secret::{ALL_STORES, InvalidReference, SecretReference, SecretStore, StoreKind};
pub use crate::source::{FileSource, PostgresSource, S3Auth, S3Source, Source, SslMode};
