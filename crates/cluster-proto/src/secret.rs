//! The one message with a secret in it: it prints none, and leaves none in memory.

use std::fmt;

use zeroize::Zeroize as _;

use crate::pb::ExpandSecretResponse;

/// The header by which the answers to requests for secrets are found in the audit log.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

impl fmt::Debug for ExpandSecretResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpandSecretResponse")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Drop for ExpandSecretResponse {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_prints_its_key_alone() {
        let answer = ExpandSecretResponse {
            key: "PASSWORD".to_owned(),
            value: "hunter2".to_owned(),
        };
        let shown = format!("{answer:?}");
        assert!(shown.contains("PASSWORD") && !shown.contains("hunter2"));
    }
}
