//! The section `runtime`.

use std::path::Path;
use std::time::Duration;

use super::location::{self, Location};
use super::{Reader, path, s3};
use crate::runtime::{SchedulerSettings, StateLocation};
use crate::section::{Cursor, Keys, Section, listed};

impl Reader<'_> {
    pub(super) fn scheduler_settings(&mut self, document: &Section<'_>) -> SchedulerSettings {
        let runtime = document.optional("runtime");
        let runtime = runtime.and_then(|it| it.section(RUNTIME, &mut self.findings));
        let scheduler = runtime.as_ref().and_then(|it| it.optional("scheduler"));
        let scheduler = scheduler.and_then(|it| it.section(SCHEDULER, &mut self.findings));
        let Some(scheduler) = scheduler else {
            return SchedulerSettings::default();
        };
        SchedulerSettings {
            state_location: self.state_location(&scheduler),
            member_ttl: scheduler
                .optional("member_ttl")
                .and_then(|cursor| self.member_ttl(cursor)),
        }
    }

    fn state_location(&mut self, scheduler: &Section<'_>) -> Option<StateLocation> {
        let params = scheduler.optional("params");
        let params = params.and_then(|it| it.section(STATE_PARAMS, &mut self.findings));
        let cursor = scheduler.optional("state_location");
        let location = cursor.and_then(|cursor| self.state_place(cursor));
        match location {
            Some(Location::S3 { bucket, key }) => {
                let access = self.s3_access(params.as_ref())?;
                Some(StateLocation::S3(s3::state(bucket, key, access)))
            }
            Some(Location::File { path }) => {
                self.refuse_params(params.as_ref());
                Some(StateLocation::File { path })
            }
            Some(Location::Postgres { .. }) | None => {
                if cursor.is_none() {
                    self.refuse_params(params.as_ref());
                }
                None
            }
        }
    }

    /// `file://` and a directory, or `s3://` and a bucket, with a prefix or without.
    fn state_place(&mut self, cursor: &Cursor<'_>) -> Option<Location> {
        let text = cursor.text(&mut self.findings)?;
        let place = match text.split_once(':') {
            Some(("file", rest)) => path::behind_file(rest)
                .and_then(|directory| path::resolved(Path::new(directory), self.base))
                .map(|path| Location::File { path })
                .map_err(|fault| fault.to_string()),
            Some(("s3", _)) => location::parse(text, self.base).map_err(|fault| fault.to_string()),
            _ => Err(format!(
                "`{text}` is no place for the state; this version takes {}",
                listed(&["file:///DIRECTORY", "s3://BUCKET/PREFIX"])
            )),
        };
        match place {
            Ok(place) => Some(place),
            Err(fault) => {
                cursor.fault(&mut self.findings, fault);
                None
            }
        }
    }

    fn refuse_params(&mut self, params: Option<&Section<'_>>) {
        for (_, cursor) in params.into_iter().flat_map(Section::entries) {
            let message = "applies to a `state_location` of the kind `s3://` only";
            cursor.fault(&mut self.findings, message);
        }
    }

    fn member_ttl(&mut self, cursor: &Cursor<'_>) -> Option<Duration> {
        let text = cursor.text(&mut self.findings)?;
        let ttl = duration(text);
        let sound = ttl.filter(|ttl| (MIN_MEMBER_TTL..=MAX_MEMBER_TTL).contains(ttl));
        if sound.is_none() {
            let message = "expected a time from `3s` to `1h`, a whole number with `s`, `m` or `h`";
            cursor.fault(&mut self.findings, message);
        }
        sound
    }
}

/// A whole number with its unit.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit.trim_start() {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// Below this, pauses of an ordinary machine look like death.
const MIN_MEMBER_TTL: Duration = Duration::from_secs(3);

/// Nobody would wait longer for a scheduler to be taken for dead.
const MAX_MEMBER_TTL: Duration = Duration::from_secs(60 * 60);

const RUNTIME: Keys = Keys {
    known: &["scheduler"],
    later: &["task_history"],
    ignored: &[],
};

const SCHEDULER: Keys = Keys {
    known: &["state_location", "params", "member_ttl"],
    later: &[
        "partition_assignment_interval",
        "max_partition_assignments_per_interval",
        "max_partitions_per_executor",
        "partition_discovery_timeout",
        "partition_management",
    ],
    ignored: &[],
};

const STATE_PARAMS: Keys = Keys {
    known: &[
        "s3_endpoint",
        "s3_region",
        "s3_auth",
        "s3_key",
        "s3_secret",
        "s3_session_token",
        "allow_http",
    ],
    later: &[],
    ignored: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_with_their_unit_and_nothing_else() {
        for (text, seconds) in [("3s", 3), ("10 s", 10), ("2m", 120), ("1h", 3600)] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "3",
            "s",
            "-3s",
            "3.5s",
            "3ms",
            "3s3",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
