//! `spice status`, `spice nodes` and `spice datasets`: what a node is asked over HTTP.

use clap::Args;

use super::ReportFormat;
use crate::endpoint::PublicEndpoint;

#[derive(Args)]
pub(crate) struct HttpArgs {
    /// The node's HTTP endpoint.
    #[arg(long, value_name = "URL", env = ENDPOINT_VARIABLE, default_value = PublicEndpoint::HTTP)]
    pub(crate) http_endpoint: PublicEndpoint,

    /// How to print the answer.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: ReportFormat,
}

/// Show one node: its role, whether it is ready, and when its certificates expire.
///
/// Ends with 1 when the node is not ready.
#[derive(Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(crate) struct NodeStatusArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
}

/// List the members of a cluster, as its scheduler sees them.
///
/// The endpoint is the scheduler's: executors do not know of each other. Members that have another
/// application than it has, or cannot open one, are marked and told below the list.
#[derive(Args)]
#[command(after_help = NODES_EXAMPLES)]
pub(crate) struct NodesArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
}

/// List the datasets and views of a node, and what is wrong with their data.
#[derive(Args)]
#[command(after_help = DATASETS_EXAMPLES)]
pub(crate) struct DatasetsArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
}

/// Names the HTTP endpoint where the flag does not.
const ENDPOINT_VARIABLE: &str = "SPICE_HTTP_ENDPOINT";

const STATUS_EXAMPLES: &str = "\
Examples:
  spice status
  spice status --http-endpoint http://executor1:8090
  spice status -o json";

const NODES_EXAMPLES: &str = "\
Examples:
  spice nodes
  spice nodes --http-endpoint http://scheduler1:8090 -o json";

const DATASETS_EXAMPLES: &str = "\
Examples:
  spice datasets
  spice datasets --http-endpoint http://executor1:8090";
