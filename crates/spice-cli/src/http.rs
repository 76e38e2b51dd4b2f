//! `spice status`, `spice nodes`, `spice datasets`: what a node says about itself over HTTP.

mod client;
mod datasets;
mod fetch_error;
mod nodes;
mod status;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Builder;

use crate::endpoint::PublicEndpoint;
use crate::http::client::{Limits, Reply};
use crate::http::fetch_error::FetchError;
use crate::printable::printable;

pub(crate) use self::datasets::run as datasets;
pub(crate) use self::nodes::run as nodes;
pub(crate) use self::status::run as status;

/// A node's answer: what this version understands of it, and all of it.
struct Answer<T> {
    document: T,
    json: Value,
}

/// Asks a node for what is at `path`.
fn fetch<T: DeserializeOwned>(
    endpoint: &PublicEndpoint,
    path: &'static str,
) -> Result<Answer<T>, FetchError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(FetchError::Unreachable)?;
    let reply = runtime.block_on(client::get(endpoint, path, Limits::default()));
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    understand(&reply?)
}

fn understand<T: DeserializeOwned>(reply: &Reply) -> Result<Answer<T>, FetchError> {
    let json: Value = match serde_json::from_slice(&reply.body) {
        Ok(json) => json,
        Err(_) => return Err(foreign(reply, "is not JSON")),
    };
    if !reply.status.is_success() {
        return Err(refusal(&json).unwrap_or_else(|| foreign(reply, "is no error of a node")));
    }
    match T::deserialize(&json) {
        Ok(document) => Ok(Answer { document, json }),
        Err(error) => Err(foreign(
            reply,
            &format!("is not what a node says ({error})"),
        )),
    }
}

/// An error in the shape that every node gives it.
fn refusal(json: &Value) -> Option<FetchError> {
    let error = json.get("error")?;
    Some(FetchError::Refused {
        code: error.get("code")?.as_str()?.to_owned(),
        message: error.get("message")?.as_str()?.to_owned(),
    })
}

fn foreign(reply: &Reply, what: &str) -> FetchError {
    FetchError::Foreign {
        status: reply.status,
        what: what.to_owned(),
    }
}

/// A server's text, or a dash where it is missing.
fn or_dash(text: Option<&str>) -> String {
    text.map_or_else(|| "-".to_owned(), printable)
}
