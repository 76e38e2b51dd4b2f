//! `GET /v1/status`: the node itself.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::node_info::NodeDescription;
use super::{HttpState, ReadyState};

/// The answer is the same document whether the node is ready or not: who asks wants to know why.
pub(super) async fn status(State(state): State<HttpState>) -> Json<Document> {
    let not_ready_reasons = match state.readiness.check() {
        ReadyState::Ready => None,
        ReadyState::NotReady { reasons } => Some(reasons),
    };
    Json(Document {
        node: state.info.describe(),
        ready: not_ready_reasons.is_none(),
        not_ready_reasons: not_ready_reasons.unwrap_or_default(),
    })
}

#[derive(Serialize)]
pub(super) struct Document {
    #[serde(flatten)]
    node: NodeDescription,
    ready: bool,
    not_ready_reasons: Vec<String>,
}
