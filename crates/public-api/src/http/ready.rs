//! `GET /v1/ready`: should this node get traffic?

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::HttpState;
use super::error::ApiError;

/// What the composition of a node knows about its readiness.
pub trait Readiness: Send + Sync + 'static {
    /// The state right now. Asked on every probe, so it answers from memory.
    fn check(&self) -> ReadyState;

    /// How many executors are ready; none on a node that is no scheduler.
    fn executors(&self) -> Option<usize>;
}

/// Whether a node can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyState {
    /// It can.
    Ready,
    /// It cannot yet, or no more.
    NotReady {
        /// What is missing, one sentence each, for a person.
        reasons: Vec<String>,
    },
}

/// The parameters of the probe.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Probe {
    min_ready_executors: Option<usize>,
    min_ready_executors_percent: Option<u32>,
    verbose: bool,
}

pub(super) async fn ready(
    State(state): State<HttpState>,
    probe: Result<Query<Probe>, QueryRejection>,
) -> Result<(StatusCode, String), ApiError> {
    let Query(probe) = probe.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let reasons = reasons(&probe, state.readiness.as_ref())?;
    if reasons.is_empty() {
        return Ok((StatusCode::OK, "ready".to_owned()));
    }
    let text = if probe.verbose {
        all(&reasons)
    } else {
        brief(&reasons)
    };
    Ok((StatusCode::SERVICE_UNAVAILABLE, text))
}

/// Every reason, on a line of its own.
fn all(reasons: &[String]) -> String {
    let lines = reasons.iter().map(|reason| format!("\n- {reason}"));
    std::iter::once("not ready".to_owned())
        .chain(lines)
        .collect()
}

/// One line, for probes that show no more.
fn brief(reasons: &[String]) -> String {
    match reasons {
        [] => "not ready".to_owned(),
        [one] => format!("not ready: {one}"),
        [one, others @ ..] => {
            let count = others.len();
            format!("not ready: {one} (and {count} more: ask with verbose=true)")
        }
    }
}

fn reasons(probe: &Probe, readiness: &dyn Readiness) -> Result<Vec<String>, ApiError> {
    let missing = executors_missing(probe, readiness.executors())?;
    let mut reasons = match readiness.check() {
        ReadyState::Ready => Vec::new(),
        ReadyState::NotReady { reasons } if reasons.is_empty() => {
            vec!["the node gave no reason".to_owned()]
        }
        ReadyState::NotReady { reasons } => reasons,
    };
    reasons.extend(missing);
    Ok(reasons)
}

fn executors_missing(probe: &Probe, ready: Option<usize>) -> Result<Option<String>, ApiError> {
    if let Some(percent) = probe.min_ready_executors_percent {
        return Err(ApiError::bad_request(match (percent, ready) {
            (101.., _) => "min_ready_executors_percent is at most 100",
            (_, None) => "min_ready_executors_percent can be asked of a scheduler only",
            (_, Some(_)) => "min_ready_executors_percent is not supported by this version yet",
        }));
    }
    let Some(wanted) = probe.min_ready_executors else {
        return Ok(None);
    };
    let Some(ready) = ready else {
        let message = "min_ready_executors can be asked of a scheduler only";
        return Err(ApiError::bad_request(message));
    };
    Ok((ready < wanted).then(|| format!("{ready} of {wanted} executors are ready")))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(ReadyState, Option<usize>);

    impl Readiness for Fixed {
        fn check(&self) -> ReadyState {
            self.0.clone()
        }

        fn executors(&self) -> Option<usize> {
            self.1
        }
    }

    fn at_least(min_ready_executors: usize) -> Probe {
        Probe {
            min_ready_executors: Some(min_ready_executors),
            ..Probe::default()
        }
    }

    #[test]
    fn counts_executors_on_a_scheduler() {
        let scheduler = Fixed(ReadyState::Ready, Some(2));
        assert!(reasons(&at_least(2), &scheduler).unwrap().is_empty());
        let missing = reasons(&at_least(3), &scheduler).unwrap();
        assert_eq!(missing, ["2 of 3 executors are ready"]);
    }

    #[test]
    fn refuses_to_count_executors_where_there_are_none_to_count() {
        let executor = Fixed(ReadyState::Ready, None);
        assert!(reasons(&at_least(0), &executor).is_err());
        assert!(reasons(&Probe::default(), &executor).is_ok());
    }

    #[test]
    fn tells_one_reason_or_all_of_them() {
        let reasons = ["starting", "no scheduler", "1 of 2"].map(ToOwned::to_owned);
        assert_eq!(brief(&reasons[..1]), "not ready: starting");
        let more = "not ready: starting (and 2 more: ask with verbose=true)";
        assert_eq!(brief(&reasons), more);
        let lines = "not ready\n- starting\n- no scheduler\n- 1 of 2";
        assert_eq!(all(&reasons), lines);
    }

    #[test]
    fn refuses_percentages() {
        let scheduler = Fixed(ReadyState::Ready, Some(2));
        for percent in [50, 101] {
            let probe = Probe {
                min_ready_executors_percent: Some(percent),
                ..Probe::default()
            };
            assert!(reasons(&probe, &scheduler).is_err(), "{percent}");
        }
    }

    #[test]
    fn stays_unready_without_a_reason() {
        let reasons_given = Vec::new();
        let node = Fixed(
            ReadyState::NotReady {
                reasons: reasons_given,
            },
            None,
        );
        assert_eq!(reasons(&Probe::default(), &node).unwrap().len(), 1);
    }
}
