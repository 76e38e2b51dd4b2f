//! Tasks as bytes, with scans of databases that only name a dataset.

use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

/// Writes tasks. An executor reads a dataset with the access that it has itself, so that a task
/// carries neither addresses nor secrets.
#[derive(Debug, Default)]
pub(super) struct TaskCodec {
    inner: BallistaPhysicalExtensionCodec,
}

impl PhysicalExtensionCodec for TaskCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.try_decode(bytes, inputs, context, converter)
    }

    fn try_encode(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let request = spice_runtime::scan_request(&*plan);
        match request.map_err(|error| DataFusionError::External(Box::new(error)))? {
            Some(request) => {
                bytes.push(spice_runtime::SCAN_MARK);
                bytes.extend(request);
                Ok(())
            }
            None => self.inner.try_encode(plan, bytes, converter),
        }
    }
}
