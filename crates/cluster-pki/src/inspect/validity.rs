//! From when until when, and where in between we are.

use std::time::SystemTime;

use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use x509_parser::time::ASN1Time;

use crate::timestamp::whole_seconds;

/// The time of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Validity {
    /// The first moment, RFC 3339 in UTC.
    pub not_before: String,
    /// The last moment, RFC 3339 in UTC.
    pub not_after: String,
    /// Which part of it we are in.
    pub status: ValidityStatus,
    /// Whole days from now to the end; negative once it has passed.
    pub expires_in_days: i64,
}

/// Where a moment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ValidityStatus {
    /// Before the first moment.
    NotYetValid,
    /// From the first to the last moment.
    Valid,
    /// After the last moment.
    Expired,
}

impl Validity {
    pub(super) fn new(not_before: ASN1Time, not_after: ASN1Time, now: SystemTime) -> Self {
        let now = seconds(now);
        let left = not_after.timestamp().saturating_sub(now);
        let status = if left < 0 {
            ValidityStatus::Expired
        } else if now < not_before.timestamp() {
            ValidityStatus::NotYetValid
        } else {
            ValidityStatus::Valid
        };
        Self {
            not_before: moment(not_before),
            not_after: moment(not_after),
            status,
            expires_in_days: left / SECONDS_PER_DAY,
        }
    }
}

/// A moment of a certificate as RFC 3339. Those of certificates end with the year 9999, so that
/// all of them can be written so.
pub(super) fn moment(time: ASN1Time) -> String {
    time.to_datetime().format(&Rfc3339).unwrap_or_default()
}

pub(super) fn seconds(time: SystemTime) -> i64 {
    i64::try_from(whole_seconds(time)).unwrap_or(i64::MAX)
}

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;
