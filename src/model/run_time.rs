//! How long a run takes, as it goes on and in the end.

use jiff::SignedDuration;

use super::{Estimate, Run, Step};

impl Estimate {
    /// From the beginning of the step until every service is ready again. What the run has done already takes no time.
    pub fn left_from(&self, step: &Step, run: &Run) -> SignedDuration {
        let rest = self.steps.iter().skip_while(|estimate| &estimate.step != step);
        let rest = rest.filter(|estimate| estimate.step != Step::Verify && !run.has_finished(&estimate.step));
        rest.map(|estimate| estimate.takes).sum::<SignedDuration>() + self.until_ready
    }
}

impl Run {
    /// How long the services were away: from the first stop until the last of them was seen ready. None while one of them
    /// is not back: what is not over has no length.
    pub fn measured_downtime(&self) -> Option<SignedDuration> {
        let began = self.history.iter().find(|record| record.attempt.step.is_stop())?.attempt.began;
        let services = &self.verification.as_ref()?.services;
        if services.iter().any(|service| service.problem.is_some()) {
            return None;
        }
        let back = services.iter().filter_map(|service| service.ready_at).max()?;
        Some(back.duration_since(began)).filter(SignedDuration::is_positive)
    }
}
