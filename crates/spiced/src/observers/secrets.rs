//! What came of requests for secrets: audit events and a metric.

use std::future::ready;

use cluster_scheduler::{Keeping, NotKept, SecretAnswer, SecretOutcome};

use super::Observer;
use super::denials::{Audited, Caller};
use crate::metrics::SecretLabels;

impl Observer {
    /// A secret is given once that is written down; of refusals a caller gets a share of the log.
    pub(super) fn keep_secret_answer(&self, answer: &SecretAnswer<'_>) -> Keeping<'_> {
        if answer.outcome == SecretOutcome::Given {
            let kept = self.audit.secret_given(answer);
            return Box::pin(async move {
                let kept = kept.await;
                match kept {
                    Ok(()) => self.count_secret_answer(SecretOutcome::Given),
                    Err(NotKept) => self.tell_withheld(),
                }
                kept
            });
        }
        self.count_secret_answer(answer.outcome);
        let caller = Caller::of(answer.peer, answer.remote);
        if let Some(suppressed) = self.audited.record(caller, Audited::Refusal) {
            self.audit.secret_refused(answer, suppressed);
        }
        Box::pin(ready(Ok(())))
    }

    fn count_secret_answer(&self, outcome: SecretOutcome) {
        let labels = SecretLabels {
            outcome: outcome.as_str(),
        };
        let answers = &self.metrics.audit.secret_answers;
        answers.get_or_create(&labels).inc();
    }

    /// Executors ask again and again, so that this is a line a minute.
    fn tell_withheld(&self) {
        self.count_secret_answer(SecretOutcome::Withheld);
        if let Some(repeated) = self.withheld.record((), ()) {
            let repeated = (repeated > 0).then_some(repeated);
            tracing::error!(
                repeated,
                "secrets are withheld, because the audit log does not take who is given them; make \
                 room where --audit-log is"
            );
        }
    }
}
