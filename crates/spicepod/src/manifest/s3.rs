//! How a dataset, or the state of a cluster, gets to its objects in an S3 store.

use super::Reader;
use super::param::flag;
use crate::format::Format;
use crate::param::ParamValue;
use crate::runtime::S3State;
use crate::section::Section;
use crate::source::{S3Auth, S3Source};

/// The parameters of an S3 source.
pub(super) struct S3Access {
    endpoint: Option<ParamValue>,
    region: Option<ParamValue>,
    auth: S3Auth,
    allow_http: bool,
}

impl S3Access {
    /// What a source without parameters has.
    fn public() -> S3Access {
        S3Access {
            endpoint: None,
            region: None,
            auth: S3Auth::Public,
            allow_http: false,
        }
    }
}

pub(super) fn source(bucket: String, key: String, format: Format, access: S3Access) -> S3Source {
    S3Source {
        bucket,
        key,
        format,
        endpoint: access.endpoint,
        region: access.region,
        auth: access.auth,
        allow_http: access.allow_http,
    }
}

pub(super) fn state(bucket: String, prefix: String, access: S3Access) -> S3State {
    S3State {
        bucket,
        prefix,
        endpoint: access.endpoint,
        region: access.region,
        auth: access.auth,
        allow_http: access.allow_http,
    }
}

impl Reader<'_> {
    pub(super) fn s3_access(&mut self, params: Option<&Section<'_>>) -> Option<S3Access> {
        let Some(params) = params else {
            return Some(S3Access::public());
        };
        let allow_http = params
            .optional("allow_http")
            .and_then(|cursor| flag(cursor, &mut self.findings))
            .unwrap_or(false);
        let endpoint = self.s3_endpoint(params, allow_http);
        let region = self.param(params, "s3_region");
        let auth = self.s3_auth(params);
        Some(S3Access {
            endpoint,
            region,
            auth: auth?,
            allow_http,
        })
    }

    fn s3_endpoint(&mut self, params: &Section<'_>, allow_http: bool) -> Option<ParamValue> {
        let endpoint = self.param(params, "s3_endpoint")?;
        let cursor = params.optional("s3_endpoint")?;
        // What a reference stands for is judged when it is known.
        let text = endpoint.literal().unwrap_or("https://");
        if text.starts_with("http://") && !allow_http {
            let message = "without TLS whoever is on the way reads and changes the data; use \
                           `https://`, or set `allow_http: true`";
            cursor.fault(&mut self.findings, message);
        } else if !text.starts_with("http://") && !text.starts_with("https://") {
            let message = "must be a URL that starts with `https://`";
            cursor.fault(&mut self.findings, message);
        }
        Some(endpoint)
    }

    /// Public where no key is given, unless `s3_auth` says otherwise.
    fn s3_auth(&mut self, params: &Section<'_>) -> Option<S3Auth> {
        let given = KEYS.iter().any(|key| params.optional(key).is_some());
        let named = self.word(params, "s3_auth", &["key", "public"]);
        match named {
            Some("public") => {
                let keys = KEYS.iter().filter_map(|key| params.optional(key));
                for cursor in keys {
                    let message = "has no effect with `s3_auth: public`; remove one of the two";
                    cursor.fault(&mut self.findings, message);
                }
                Some(S3Auth::Public)
            }
            None if !given => Some(S3Auth::Public),
            _ => {
                let key = self.required_param(params, "s3_key");
                params.required("s3_secret", &mut self.findings);
                let secret = self.secret_param(params, "s3_secret");
                let session_token = self.secret_param(params, "s3_session_token");
                Some(S3Auth::Key {
                    key: key?,
                    secret: secret?,
                    session_token,
                })
            }
        }
    }
}

/// The parameters that tell who the node is.
const KEYS: [&str; 3] = ["s3_key", "s3_secret", "s3_session_token"];
