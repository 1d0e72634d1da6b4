//! Work that may safely be ended has a time, and obeys who wants the run to end. Only dpkg is never cut short: of that,
//! `standstill` tells.

use jiff::{SignedDuration, Timestamp};

use super::task::Task;
use super::{StepContext, StepError};
use crate::config::Settings;
use crate::events::EventKind;
use crate::host::PackageWork;
use crate::model::spoken::{exactly, running};
use crate::model::{Step, UnitName};

/// systemd ends the work itself; where it did not, this much later we ask it to.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// Silence is told after this, then when it has lasted twice as long, and so on, but this often at least.
const SILENT_FOR: SignedDuration = SignedDuration::from_mins(1);
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// How long the work may take, and the key that says so; none for what must never be cut short.
pub(super) fn of(task: &Task, settings: &Settings) -> Option<(SignedDuration, &'static str)> {
    match task {
        Task::Packages(PackageWork::Refresh | PackageWork::Download) => {
            Some((settings.upgrade.fetch_timeout, "[upgrade] fetch-timeout"))
        }
        Task::Packages(_) => None,
        Task::Kernel { .. } => Some((settings.kernel.build_timeout, "[kernel] build-timeout")),
        Task::Dkms { .. } => Some((settings.kernel.modules_timeout, "[kernel] modules-timeout")),
    }
}

/// The time of work that runs.
pub(super) struct Deadline {
    step: Step,
    description: String,
    began: Timestamp,
    limit: (SignedDuration, &'static str),
    heard: Timestamp,
    /// How long it was silent when that was told last.
    told: SignedDuration,
    fraction: Option<f64>,
}

impl Deadline {
    pub(super) fn new(
        step: Step,
        description: &str,
        began: Timestamp,
        now: Timestamp,
        limit: (SignedDuration, &'static str),
    ) -> Self {
        let description = description.strip_prefix("Patchday: ").unwrap_or(description).to_owned();
        Self { step, description, began, limit, heard: now, told: SignedDuration::ZERO, fraction: None }
    }

    /// It has said something.
    pub(super) fn hear(&mut self, now: Timestamp, fraction: Option<f64>) {
        (self.heard, self.told) = (now, SignedDuration::ZERO);
        self.fraction = fraction;
    }

    /// Ends what is to be ended, and tells of a long silence.
    ///
    /// # Errors
    ///
    /// When it was ended.
    pub(super) async fn look(&mut self, ctx: &StepContext<'_>, unit: &UnitName) -> Result<(), StepError> {
        let now = ctx.host.clock.now();
        let (limit, key) = self.limit;
        if ctx.abort.is_requested() {
            ctx.note(format!("{} is ended, since the run was asked to end", self.description));
            ctx.host.work.end(unit).await?;
            return Err(StepError::Aborted);
        }
        if now.duration_since(self.began) >= limit + MARGIN {
            ctx.host.work.end(unit).await?;
            return Err(StepError::Failed(overtime(&self.description, limit, key)));
        }
        if let Some(message) = self.silence(now) {
            let (step, fraction) = (self.step.clone(), self.fraction);
            ctx.events.emit(EventKind::StepProgressed { step, fraction, remaining: None, message });
        }
        Ok(())
    }

    fn silence(&mut self, now: Timestamp) -> Option<String> {
        let silent = now.duration_since(self.heard);
        let next = if self.told.is_zero() { SILENT_FOR } else { (self.told * 2).min(self.told + TOLD_EVERY) };
        if silent < next {
            return None;
        }
        self.told = silent;
        let at_work = now.duration_since(self.began);
        let (limit, key) = self.limit;
        let rest = format!("it is ended in {} at the latest ({key})", running(limit - at_work));
        let [silent, at_work] = [silent, at_work].map(running);
        Some(format!("{}: no word for {silent}, at work for {at_work}; {rest}", self.description))
    }
}

/// Why work was ended.
pub(super) fn overtime(description: &str, limit: SignedDuration, key: &str) -> String {
    format!("{description} took longer than {} ({key}), and was ended", exactly(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_seldomer_the_longer_it_lasts_and_says_how_long_it_may_last() {
        let at = |seconds| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let limit = (SignedDuration::from_hours(1), "[upgrade] fetch-timeout");
        let mut watch = Deadline::new(Step::Fetch, "Patchday: download the packages", at(0), at(0), limit);
        let told: Vec<i64> = (0..3600).filter(|second| watch.silence(at(*second)).is_some()).collect();
        assert_eq!(told, [60, 120, 240, 480, 960, 1560, 2160, 2760, 3360]);
        watch.hear(at(3600), None);
        assert_eq!(watch.silence(at(3650)), None);

        let mut watch = Deadline::new(Step::Fetch, "Patchday: download the packages", at(0), at(0), limit);
        assert_eq!(
            watch.silence(at(90)).unwrap(),
            "download the packages: no word for 1 min 30 s, at work for 1 min 30 s; it is ended in 58 min 30 s at the latest \
             ([upgrade] fetch-timeout)"
        );
    }
}
