//! How far work is, and how long it will still take: from what it says of itself, and from what it has to do. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{Basis, HostPace, PackagingWork, StepEstimate, UpgradePlan};

/// What one line of the worker's status says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkProgress {
    /// 0 to 1, by the worker's own count; none if it does not count.
    pub fraction: Option<f64>,
    /// Where dpkg is; none if the line is of no package.
    pub package: Option<PackageStage>,
    /// What is being done.
    pub message: String,
}

/// How far dpkg is with one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageStage {
    /// Its name, without an architecture.
    pub name: String,
    pub arch: String,
    pub stage: Stage,
}

/// The stages that dpkg takes a package through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The new files are written, beside the old ones first.
    Unpacking,
    /// They are in their place.
    Unpacked,
    /// Its script for a new version runs.
    Configuring,
    Configured,
    Removing,
    /// Its script for what others have changed runs: a cache, an index, an initrd.
    Triggered,
}

/// What is told of the work at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkNews {
    /// 0 to 1, never less than before; none if nothing counts.
    pub fraction: Option<f64>,
    /// How long it will still take, where that is worth telling.
    pub remaining: Option<SignedDuration>,
    /// What is being done.
    pub message: String,
}

/// Follows work from its first line to its last. It is never told to be complete: that is its exit status and nothing
/// else.
#[derive(Debug)]
pub struct Course {
    span: (f64, f64),
    upgrade: Option<Upgrade>,
    expected: Option<(f64, f64)>,
    /// Of this work alone, before it is put into its span.
    fraction: Option<f64>,
    message: String,
    told: Option<(Option<f64>, String)>,
}

/// Below this the pace of the work says nothing yet.
const TOO_EARLY: f64 = 0.1;

/// As much of the work as must be done for its own pace to count as much as what was expected: of an expectation from
/// earlier runs of this host, and of one from sizes.
const TRUST_HISTORY: f64 = 0.15;
const TRUST_SIZES: f64 = 0.03;

/// What is short of complete while the work lasts.
const ALMOST: f64 = 0.995;

impl Course {
    /// Work that counts itself. Its part of the step's bar is `span`.
    pub fn counted(span: (f64, f64)) -> Self {
        Self { span, upgrade: None, expected: None, fraction: None, message: String::new(), told: None }
    }

    /// dpkg's work on a plan, with how long it was expected to take on a host of that pace. apt's own count gives each stage
    /// of each package the same, and knows nothing of triggers.
    pub fn upgrade(plan: &UpgradePlan, expected: Option<&StepEstimate>, pace: Option<&HostPace>) -> Self {
        let expected = expected.and_then(|step| {
            let trust = match step.basis {
                Basis::History => TRUST_HISTORY,
                Basis::Sizes | Basis::Measured => TRUST_SIZES,
                Basis::Boot | Basis::Assumed => return None,
            };
            Some((step.takes.as_secs_f64(), trust))
        });
        Self { upgrade: Some(Upgrade::new(plan, pace)), expected, ..Self::counted((0.0, 1.0)) }
    }

    /// Takes note of a line.
    pub fn hear(&mut self, line: &WorkProgress) {
        let (fraction, message) = match &mut self.upgrade {
            Some(upgrade) => {
                let message = upgrade.hear(line.package.as_ref());
                (Some(upgrade.fraction()), message)
            }
            None => (line.fraction, None),
        };
        // `max` drops a NaN.
        let fraction = fraction.map(|new| new.max(self.fraction.unwrap_or(0.0)).clamp(0.0, 1.0));
        self.fraction = fraction.or(self.fraction);
        self.message = message.unwrap_or_else(|| line.message.clone());
    }

    /// What there is to tell, so long after the beginning of the work; none if nothing is new.
    pub fn news(&mut self, elapsed: SignedDuration) -> Option<WorkNews> {
        let (from, to) = self.span;
        let fraction = self.fraction.map(|fraction| from + fraction * (to - from));
        let now = Some((fraction, self.message.clone()));
        if now == self.told || self.message.is_empty() {
            return None;
        }
        self.told = now;
        // What follows in the same step is not known here.
        let remaining = if to < 1.0 { None } else { self.remaining(elapsed.as_secs_f64()) };
        Some(WorkNews { fraction, remaining, message: self.message.clone() })
    }

    /// The pace so far carried on, and what was expected before: the more is done, the less that counts.
    fn remaining(&self, elapsed: f64) -> Option<SignedDuration> {
        let fraction = self.fraction?;
        let (expected, trust) = self.expected.unwrap_or_default();
        if fraction < TOO_EARLY && trust < TRUST_HISTORY {
            return None;
        }
        // At the very beginning nothing but the expectation is left of this.
        let total = (elapsed + expected * trust) / (fraction + trust);
        let seconds = (total * (1.0 - fraction)).max(0.0).round();
        (seconds > 0.0).then(|| SignedDuration::from_secs(seconds as i64))
    }
}

/// How much of a plan dpkg has done.
#[derive(Debug)]
struct Upgrade {
    work: PackagingWork,
    /// All of the work, with what turned up on the way.
    total: f64,
    has_begun: bool,
    done: BTreeMap<String, f64>,
    unpacked: BTreeSet<String>,
    configured: BTreeSet<String>,
    tail_done: f64,
    trigger: Option<String>,
}

impl Upgrade {
    fn new(plan: &UpgradePlan, pace: Option<&HostPace>) -> Self {
        let work = PackagingWork::of(plan, pace);
        Self {
            total: work.total(),
            work,
            has_begun: false,
            done: BTreeMap::new(),
            unpacked: BTreeSet::new(),
            configured: BTreeSet::new(),
            tail_done: 0.0,
            trigger: None,
        }
    }

    fn fraction(&self) -> f64 {
        let begun = if self.has_begun { self.work.beginning } else { 0.0 };
        ((begun + self.done.values().sum::<f64>() + self.tail_done) / self.total).min(ALMOST)
    }

    /// Takes note of a line, and says what is being done; none if the line itself says it.
    fn hear(&mut self, line: Option<&PackageStage>) -> Option<String> {
        // Before it has begun dpkg says nothing.
        self.has_begun = true;
        let PackageStage { name, arch, stage } = line?;
        if *stage == Stage::Triggered {
            self.end_trigger();
            self.begin_trigger(name);
        }
        // A package is configured once more when its triggers have run.
        if self.trigger.as_ref() == Some(name) {
            if *stage == Stage::Configured {
                self.end_trigger();
            }
            return Some(format!("Running the triggers of {name}"));
        }
        self.end_trigger();
        let foreign = format!("{name}:{arch}");
        let name = if self.work.packages.contains_key(&foreign) { &foreign } else { name };
        let (unpack, configure) = *self.work.packages.get(name)?;
        let done = match stage {
            Stage::Unpacking => 0.0,
            Stage::Unpacked | Stage::Configuring | Stage::Removing => unpack,
            Stage::Configured | Stage::Triggered => unpack + configure,
        };
        let known = self.done.entry(name.clone()).or_default();
        *known = done.max(*known);
        let all = self.work.packages.values().filter(|(_, configure)| *configure > 0.0).count();
        let nth = |done: &mut BTreeSet<String>, is_done: bool| {
            let nth = (done.len() + 1).min(all);
            if is_done {
                done.insert(name.clone());
            }
            nth
        };
        Some(match stage {
            Stage::Unpacking | Stage::Unpacked => {
                let nth = nth(&mut self.unpacked, *stage == Stage::Unpacked);
                format!("Unpacking {name}, {nth} of {all}")
            }
            Stage::Configuring | Stage::Configured | Stage::Triggered => {
                let nth = nth(&mut self.configured, *stage == Stage::Configured);
                format!("Configuring {name}, {nth} of {all}")
            }
            Stage::Removing => format!("Removing {name}"),
        })
    }

    /// What a trigger takes more than is left of the tail makes the whole longer: what remains is then told anew, and
    /// the bar stands still.
    fn begin_trigger(&mut self, name: &str) {
        let left = self.work.tail - self.tail_done;
        let missing = self.work.of_trigger(name) - left;
        if missing > 0.0 {
            self.total += missing;
            self.work.tail += missing;
        }
        self.trigger = Some(name.to_owned());
    }

    fn end_trigger(&mut self) {
        if let Some(name) = self.trigger.take() {
            // How many are to come nobody knows: the tail never runs out.
            let left = self.work.tail - self.tail_done;
            self.tail_done += self.work.of_trigger(&name).min(left * 0.8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PackageAction, PackageChange, Step};

    fn plan(names: &[(&str, PackageAction)]) -> UpgradePlan {
        let change = |(name, action): &(&str, PackageAction)| PackageChange {
            name: (*name).into(),
            action: *action,
            from: None,
            to: None,
            origin: None,
        };
        UpgradePlan { changes: names.iter().map(change).collect(), ..UpgradePlan::default() }
    }

    fn line(name: &str, arch: &str, stage: Stage) -> WorkProgress {
        let package = Some(PackageStage { name: name.into(), arch: arch.into(), stage });
        WorkProgress { fraction: Some(0.5), package, message: "what apt says".into() }
    }

    const SECOND: SignedDuration = SignedDuration::from_secs(1);

    #[test]
    fn the_phases_of_an_upgrade_count_by_themselves() {
        let upgrade = PackageAction::Upgrade;
        let plan = plan(&[("libc6:i386", upgrade), ("perl", upgrade), ("old", PackageAction::Remove)]);
        let mut course = Course::upgrade(&plan, None, None);
        let mut last = 0.0;
        for (name, arch, stage, said) in [
            ("old", "amd64", Stage::Removing, "Removing old"),
            ("libc6", "i386", Stage::Unpacking, "Unpacking libc6:i386, 1 of 2"),
            ("libc6", "i386", Stage::Unpacked, "Unpacking libc6:i386, 1 of 2"),
            ("perl", "amd64", Stage::Unpacking, "Unpacking perl, 2 of 2"),
            ("perl", "amd64", Stage::Unpacked, "Unpacking perl, 2 of 2"),
            ("libc6", "i386", Stage::Configured, "Configuring libc6:i386, 1 of 2"),
            ("perl", "amd64", Stage::Configuring, "Configuring perl, 2 of 2"),
            ("perl", "amd64", Stage::Configured, "Configuring perl, 2 of 2"),
            ("man-db", "amd64", Stage::Triggered, "Running the triggers of man-db"),
            ("man-db", "amd64", Stage::Configured, "Running the triggers of man-db"),
            ("perl", "amd64", Stage::Triggered, "Running the triggers of perl"),
        ] {
            course.hear(&line(name, arch, stage));
            if let Some(news) = course.news(SECOND) {
                let fraction = news.fraction.unwrap();
                assert!((last..1.0).contains(&fraction), "{name} {stage:?}: {last} and then {fraction}");
                last = fraction;
            }
            assert_eq!(course.message, said);
        }
        assert!(last > 0.8);
    }

    #[test]
    fn a_trigger_that_nobody_expected_makes_what_is_left_longer_and_not_the_bar_shorter() {
        let mut course = Course::upgrade(&plan(&[("perl", PackageAction::Upgrade)]), None, None);
        course.hear(&line("perl", "amd64", Stage::Configured));
        let before = course.news(SECOND * 10).unwrap();
        course.hear(&line("initramfs-tools", "all", Stage::Triggered));
        let after = course.news(SECOND * 10).unwrap();
        assert_eq!(before.fraction, after.fraction);
        assert!(after.fraction.unwrap() < 1.0);
        course.hear(&line("initramfs-tools", "all", Stage::Configured));
        assert!(course.fraction < Some(1.0));
    }

    #[test]
    fn what_was_expected_counts_less_and_less() {
        let step = |secs, basis| StepEstimate { step: Step::Upgrade, takes: SECOND * secs, basis };
        let history = step(100, Basis::History);
        let sizes = step(100, Basis::Sizes);
        // Half of the time that was expected, at every fraction.
        for (expected, fraction, total) in [
            (None, 0.05, None),
            (Some(&sizes), 0.05, None),
            (Some(&history), 0.05, Some(80..95)),
            (None, 0.5, Some(49..51)),
            (Some(&sizes), 0.5, Some(50..54)),
            (Some(&history), 0.5, Some(55..65)),
            (Some(&history), 0.9, Some(50..58)),
        ] {
            let mut course = Course::upgrade(&UpgradePlan::default(), expected, None);
            course.fraction = Some(fraction);
            course.message = "x".into();
            let elapsed = 50.0 * fraction;
            let remaining = course.news(SignedDuration::from_secs_f64(elapsed)).unwrap().remaining;
            match (remaining, total) {
                (Some(left), Some(total)) => {
                    let told = (elapsed + left.as_secs_f64()).round() as i32;
                    assert!(total.contains(&told), "{fraction}: {told}");
                }
                (left, total) => assert_eq!(left.is_some(), total.is_some(), "{fraction}: {left:?}"),
            }
        }
    }

    #[test]
    fn work_that_counts_itself_never_goes_back_and_never_says_a_thing_twice() {
        let mut course = Course::counted((0.5, 1.0));
        let told: Vec<Option<f64>> =
            [(Some(0.0), "a"), (Some(0.5), "b"), (Some(0.1), "c"), (Some(0.1), "c"), (None, "d"), (Some(2.0), "e")]
                .into_iter()
                .filter_map(|(fraction, message)| {
                    course.hear(&WorkProgress { fraction, package: None, message: message.into() });
                    course.news(SECOND).map(|news| news.fraction)
                })
                .collect();
        assert_eq!(told, [0.5, 0.75, 0.75, 0.75, 1.0].map(Some));
        let mut early = Course::counted((0.0, 0.2));
        early.hear(&WorkProgress { fraction: Some(0.5), package: None, message: "lists".into() });
        assert_eq!(early.news(SECOND).unwrap().remaining, None, "more of the step is to come");
    }
}
