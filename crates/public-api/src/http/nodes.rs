//! `GET /v1/nodes`: the members of the cluster.

use axum::Json;
use axum::extract::State;

use super::HttpState;
use super::error::ApiError;
use super::node_info::MemberList;

pub(super) async fn nodes(State(state): State<HttpState>) -> Result<Json<MemberList>, ApiError> {
    let members = state.info.members();
    members.map(Json).ok_or_else(ApiError::not_a_scheduler)
}
