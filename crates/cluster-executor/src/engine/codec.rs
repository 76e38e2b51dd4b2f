//! Tasks as bytes, with scans of databases that only name a dataset.

use std::fmt;
use std::sync::Arc;

use ballista_core::serde::{
    BallistaCodec, BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use spice_runtime::{QueryError, Runtime};

/// Where the datasets that a task names are open.
pub(crate) trait Tables: fmt::Debug + Send + Sync {
    /// The scan that a task asks for.
    fn scan(&self, request: &[u8]) -> Result<Arc<dyn ExecutionPlan>, QueryError>;
}

impl Tables for Runtime {
    fn scan(&self, request: &[u8]) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        self.requested_scan(request)
    }
}

/// Reads tasks whose scans are open in `tables`.
pub(super) fn codec(tables: Arc<dyn Tables>) -> BallistaCodec<LogicalPlanNode, PhysicalPlanNode> {
    let logical = Arc::new(BallistaLogicalExtensionCodec::default());
    let inner = BallistaPhysicalExtensionCodec::default();
    BallistaCodec::new(logical, Arc::new(TaskCodec { inner, tables }))
}

#[derive(Debug)]
struct TaskCodec {
    inner: BallistaPhysicalExtensionCodec,
    tables: Arc<dyn Tables>,
}

impl PhysicalExtensionCodec for TaskCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some((&MARK, request)) = bytes.split_first() else {
            return self.inner.try_decode(bytes, inputs, context, converter);
        };
        let scan = self.tables.scan(request);
        scan.map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn try_encode(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        self.inner.try_encode(plan, bytes, converter)
    }
}

/// What stands before a request; the same in the scheduler's `engine/codec.rs`. No message of
/// protobuf, which all other plans are, begins with it.
const MARK: u8 = 0;
