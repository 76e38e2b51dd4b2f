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
use spice_runtime::{QueryError, SCAN_MARK};

use crate::apps::OpenApps;

/// Reads tasks whose scans are open in the definition that each was planned for.
pub(super) fn codec(apps: Arc<OpenApps>) -> BallistaCodec<LogicalPlanNode, PhysicalPlanNode> {
    let logical = Arc::new(BallistaLogicalExtensionCodec::default());
    let inner = BallistaPhysicalExtensionCodec::default();
    BallistaCodec::new(logical, Arc::new(TaskCodec { inner, apps }))
}

struct TaskCodec {
    inner: BallistaPhysicalExtensionCodec,
    apps: Arc<OpenApps>,
}

impl fmt::Debug for TaskCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskCodec").finish_non_exhaustive()
    }
}

impl PhysicalExtensionCodec for TaskCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some((&SCAN_MARK, request)) = bytes.split_first() else {
            return self.inner.try_decode(bytes, inputs, context, converter);
        };
        let runtime = self.apps.runtime_of(context.session_config())?;
        let scan = runtime.requested_scan(request);
        scan.map_err(|error| match error {
            // Another executor may reach what this one does not. As an I/O error the engine takes it
            // for temporary, and gives the task to one.
            QueryError::Unavailable(reason) => DataFusionError::IoError(std::io::Error::new(
                std::io::ErrorKind::NotConnected,
                reason,
            )),
            error => DataFusionError::External(Box::new(error)),
        })
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
