//! Calls of the administrator's programs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{HookPolicy, Outcome, Step};

/// One call of such a program: recorded before it is made, so that it is made once and never forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    /// The step that called it.
    pub step: Step,
    pub program: String,
    /// What it means where it does not succeed.
    pub policy: HookPolicy,
    /// When it was called.
    pub began: Timestamp,
    /// Its end; none if it is not known yet.
    pub end: Option<HookEnd>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookEnd {
    /// When its end was recorded.
    pub at: Timestamp,
    /// How: it succeeded, failed, or nobody knows what became of it (`interrupted`).
    pub outcome: Outcome,
    /// Why it did not succeed.
    pub why: Option<String>,
    /// The last lines that it wrote.
    pub lines: Vec<String>,
}

impl HookRun {
    /// Why it is worth a word: it ended, and not well. Nothing where nobody cares.
    pub fn problem(&self) -> Option<&str> {
        let end = self.end.as_ref().filter(|end| end.outcome != Outcome::Succeeded)?;
        (self.policy != HookPolicy::Ignore).then(|| end.why.as_deref().unwrap_or("it did not succeed"))
    }

    /// It had to succeed, and did not.
    pub fn is_fatal(&self) -> bool {
        self.policy == HookPolicy::MustSucceed && self.problem().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_cares_about_is_a_problem() {
        let at: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        let hook = |policy, outcome| HookRun {
            step: "hook:before-stop:1".parse().unwrap(),
            program: "/usr/local/sbin/drain".into(),
            policy,
            began: at,
            end: Some(HookEnd { at, outcome, why: Some("exit status 1".into()), lines: Vec::new() }),
        };
        for (policy, outcome, problem, fatal) in [
            (HookPolicy::MustSucceed, Outcome::Failed, true, true),
            (HookPolicy::MustSucceed, Outcome::Interrupted, true, true),
            (HookPolicy::MustSucceed, Outcome::Succeeded, false, false),
            (HookPolicy::Warn, Outcome::Failed, true, false),
            (HookPolicy::Ignore, Outcome::Failed, false, false),
        ] {
            let hook = hook(policy, outcome);
            assert_eq!((hook.problem().is_some(), hook.is_fatal()), (problem, fatal), "{policy:?} {outcome:?}");
            assert!(!HookRun { end: None, ..hook }.is_fatal(), "it is still at work");
        }
    }
}
