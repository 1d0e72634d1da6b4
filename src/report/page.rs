//! What a report says: its sections in the order in which they are read, each made here for every face.
//!
//! A face lays them out, and adds what it alone has room for: pictures, a table, a list of names.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::words::{count, duration, instant, one_line};
use super::{Ending, Item, Mark, Report, ServiceStory, StepStory, owed, phrases, restart, telling};
use crate::exit_code;
use crate::model::{EdgeReturn, Finding, HookRun, Notification, Outcome, Restart, Severity, UnitName};

/// The heading of the problems, which each face shows in its own way: the terminal right below a summary that has the first.
pub(super) const WENT_WRONG: &str = "What went wrong";
/// What stands there if nothing did.
pub(super) const NOTHING_WRONG: &str = "Nothing is recorded to have gone wrong.";
/// The heading of the advice.
pub(super) const TO_DO: &str = "What to do";

/// A heading, and what stands below it.
pub(super) struct Section<'a> {
    pub(super) heading: String,
    pub(super) content: Content<'a>,
}

/// What stands below a heading.
pub(super) enum Content<'a> {
    Items(Vec<Item>),
    /// Names with their values.
    Facts(Vec<Fact>),
    Steps(Vec<StepRow<'a>>),
    Services(Vec<ServiceRow<'a>>),
    /// What differs from before: marked sentences, beside the differences that are expected.
    Compared(Vec<Item>),
    /// The packages that change, beside marked sentences about those that do not.
    Packages(Vec<Item>),
}

/// A name and its value.
pub(super) struct Fact {
    pub(super) key: FactKey,
    pub(super) value: String,
    /// The instant with which the value begins.
    pub(super) at: Option<Timestamp>,
}

/// What a fact is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FactKey {
    Began,
    Ended,
    /// When the report of an open run was made.
    AsOf,
    Away,
    ExitCode,
    Reasons,
    Requested,
    Restart,
    Back,
    NewBoot,
    Unplanned,
    Soft,
    BootId,
    SinceThen,
    Owed,
    Kernel,
}

impl FactKey {
    /// As a column of a terminal has room for it, and as a sentence begins.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Began => ("began", "Began"),
            Self::Ended => ("ended", "Ended"),
            Self::AsOf => ("as of", "As of"),
            Self::Away => ("no services", "Services away"),
            Self::ExitCode => ("exit code", "Exit code"),
            Self::Reasons => ("because", "A reboot was wanted"),
            Self::Requested => ("requested", "Reboot requested"),
            Self::Restart => ("restart", "Restart"),
            Self::Back => ("back", "Host back"),
            Self::NewBoot => ("new boot", "Another boot"),
            Self::Unplanned => ("unplanned", "Unplanned"),
            Self::Soft => ("soft", "Besides"),
            Self::BootId => ("boot ID", "Boot ID"),
            Self::SinceThen => ("since then", "Since then"),
            Self::Owed => ("owed", "A boot is owed"),
            Self::Kernel => ("kernel", "Kernel"),
        }
    }

    /// As a column of a terminal has room for it.
    pub(super) const fn name(self) -> &'static str {
        self.names().0
    }

    /// As a sentence begins.
    pub(super) const fn lead(self) -> &'static str {
        self.names().1
    }
}

pub(super) struct StepRow<'a> {
    pub(super) step: &'a StepStory,
    pub(super) mark: Mark,
    /// How it stands or ended.
    pub(super) how: &'static str,
    /// How often it was tried, if more than once.
    pub(super) attempts: Option<String>,
}

pub(super) struct ServiceRow<'a> {
    pub(super) unit: &'a UnitName,
    pub(super) mark: Mark,
    /// How long it was away.
    pub(super) impact: String,
    /// What was recorded of it: a name each, and words.
    pub(super) details: Vec<(&'static str, String)>,
}

impl ServiceRow<'_> {
    /// The words of one detail.
    pub(super) fn detail(&self, wanted: &str) -> &str {
        self.details.iter().find(|(name, _)| *name == wanted).map_or("", |(_, words)| words)
    }
}

/// The sections below the head, and below what went wrong. `arrow` stands between what was and what is.
pub(super) fn sections<'a>(report: &'a Report, arrow: &str) -> Vec<Section<'a>> {
    let packages = phrases::packages_title(report);
    [
        ("Notes", Content::Items(notes(report).map(Item::from).collect())),
        ("Steps", Content::Steps(steps(report))),
        ("Services", Content::Services(services(report))),
        ("Order of the boot", Content::Items(order(report))),
        ("Compared with before", Content::Compared(recovered(report))),
        ("Reboot and kernel", Content::Facts(boot(report, arrow))),
        ("CPU vulnerabilities", Content::Items(vulnerabilities(report, arrow))),
        (packages.as_str(), Content::Packages(left_alone(report))),
        ("Preflight", Content::Items(preflight(report))),
        ("Hooks", Content::Items(hooks(report))),
        ("Messages", Content::Items(messages(report))),
    ]
    .map(|(heading, content)| Section { heading: heading.to_owned(), content })
    .into()
}

/// What stands at the head, below the summary.
pub(super) fn head(report: &Report) -> Vec<Fact> {
    let fact = |key, value| Fact { key, value, at: None };
    let timed = |key, at, rest: &str| Fact { key, value: format!("{}{rest}", instant(at, &report.zone)), at: Some(at) };
    let by = phrases::trigger(report.trigger);
    let took = report.took().map(|took| format!(", after {}", duration(took))).unwrap_or_default();
    let mut facts = vec![timed(FactKey::Began, report.began, &format!(", {by}"))];
    facts.push(match report.ended {
        Some(ended) => timed(FactKey::Ended, ended, &took),
        None => timed(FactKey::AsOf, report.built, &took),
    });
    facts.extend(report.away.map(|away| fact(FactKey::Away, phrases::away_words(&away))));
    // Without a code the run is not closed yet, and none is claimed.
    facts.extend(report.exit_code.map(|code| {
        let meaning = exit_code::ALL.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning);
        fact(FactKey::ExitCode, format!("{code}: {}", meaning.unwrap_or("unknown to this version")))
    }));
    facts
}

/// What the verification noted, and no one need fix.
pub(super) fn notes(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| finding.severity == Severity::Info)
}

fn steps(report: &Report) -> Vec<StepRow<'_>> {
    let missed = match report.ending {
        Ending::Open => "to come",
        Ending::NothingToDo => "not needed",
        _ => "not reached",
    };
    report.steps.iter().map(|step| step_row(step, missed)).collect()
}

fn step_row<'a>(step: &'a StepStory, missed: &'static str) -> StepRow<'a> {
    let (mark, how) = match (step.began, step.outcome) {
        (None, _) => (Mark::Skipped, missed),
        (_, None) => (Mark::Current, "has begun"),
        (_, Some(Outcome::Succeeded)) => (Mark::Done, "done"),
        (_, Some(Outcome::Failed)) => (Mark::Failed, "failed"),
        (_, Some(Outcome::Skipped)) => (Mark::Skipped, "left out"),
        (_, Some(Outcome::Interrupted)) => (Mark::Warning, "interrupted"),
    };
    let attempts = (step.attempts > 1).then(|| count(step.attempts as usize, "attempt"));
    StepRow { step, mark, how, attempts }
}

/// In the order in which they came back; those that did not come back last. Nothing of those with which nothing was done.
pub(super) fn services(report: &Report) -> Vec<ServiceRow<'_>> {
    let has_story =
        |service: &&ServiceStory| service.stopped.is_some() || service.returned.is_some() || service.downtime.is_some();
    let mut services: Vec<&ServiceStory> = report.services.iter().filter(has_story).collect();
    services.sort_by_key(|service| service.ready_position.unwrap_or(u32::MAX));
    let since = restart::since(report);
    services.into_iter().map(|service| service_row(service, since, &report.zone)).collect()
}

fn service_row<'a>(service: &'a ServiceStory, since: Option<&str>, zone: &TimeZone) -> ServiceRow<'a> {
    let (mark, impact) = phrases::impact(service, zone);
    let returned = service.returned.as_ref();
    let details = [
        ("stopped", service.stopped.as_ref().map(phrases::stop_words)),
        ("returned", returned.map(|back| phrases::return_words(back, service.ready_position, since))),
        ("answers", phrases::latency_words(service)),
        ("database", service.database.as_ref().map(phrases::database_words)),
    ];
    let details = details.into_iter().filter_map(|(name, words)| Some((name, words?))).collect();
    ServiceRow { unit: &service.unit, mark, impact, details }
}

/// The edges of the configuration, as the boot went.
pub(super) fn order(report: &Report) -> Vec<Item> {
    let item = |edge: &EdgeReturn| {
        let (mark, words) = phrases::order_words(edge);
        Item::new(mark, format!("{} after {}: {words}", edge.unit, edge.on))
    };
    report.order.iter().map(item).collect()
}

/// What came back, and not by itself.
pub(super) fn recovered(report: &Report) -> Vec<Item> {
    let item = |unit| Item::new(Mark::Warning, format!("{unit} came back only when it was restarted"));
    report.recovered.iter().map(item).collect()
}

/// The reboot, what it did, and what the next one would do.
pub(super) fn boot(report: &Report, arrow: &str) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |key, value| facts.push(Fact { key, value, at: None });
    if let Some(reboot) = &report.reboot {
        if !reboot.reasons.is_empty() {
            add(FactKey::Reasons, telling::reasons(&reboot.reasons));
        }
        if let Some(requested) = reboot.requested {
            add(FactKey::Requested, instant(requested, &report.zone));
        }
        if let Some(words) = restart::words(reboot) {
            add(FactKey::Restart, words);
        }
        match (reboot.noticed, reboot.back_after) {
            (_, Some(after)) => add(FactKey::Back, format!("{} after the request", duration(after))),
            (Some(noticed), None) => add(FactKey::NewBoot, format!("noticed {}", instant(noticed, &report.zone))),
            (None, None) if reboot.requested.is_none() => {
                add(FactKey::Requested, "not by this run".to_owned());
            }
            (None, None) if reboot.restart == Some(Restart::Soft) => {
                add(FactKey::Back, "no soft reboot was seen, and no other boot".to_owned());
            }
            (None, None) => add(FactKey::Back, "no other boot was seen".to_owned()),
        }
        if reboot.unplanned > 0 {
            add(FactKey::Unplanned, telling::unplanned_reboots(reboot.unplanned));
        }
        if reboot.soft > 0 {
            add(FactKey::Soft, telling::soft_reboots(reboot.soft));
        }
        if reboot.first_boot != reboot.last_boot {
            add(FactKey::BootId, format!("{} {arrow} {}", reboot.first_boot, reboot.last_boot));
        }
    }
    if report.rebooted_since {
        add(FactKey::SinceThen, "the host has booted again".to_owned());
    }
    if let Some(words) = owed::told(&report.owed, &report.zone) {
        add(FactKey::Owed, words);
    }
    if let Some(words) = phrases::kernel(report) {
        add(FactKey::Kernel, words);
    }
    facts
}

/// Vulnerabilities worth a line.
pub(super) fn vulnerabilities(report: &Report, arrow: &str) -> Vec<Item> {
    let mark = |unmitigated| if unmitigated { Mark::Warning } else { Mark::Note };
    let stories = report.vulnerabilities.iter();
    stories.map(|story| Item::new(mark(story.unmitigated), phrases::vulnerability(story, arrow))).collect()
}

/// Packages that were not taken along.
fn left_alone(report: &Report) -> Vec<Item> {
    let packages = &report.packages;
    let unknown = packages.left_out_unknown.as_deref();
    let left = [
        (Mark::Warning, "left out by [upgrade], though for security", packages.left_out(true).join(", ")),
        (Mark::Warning, "what [upgrade] leaves out is not known", unknown.unwrap_or_default().to_owned()),
        (Mark::Skipped, "left out by [upgrade]", packages.left_out(false).join(", ")),
        (Mark::Skipped, "kept back by apt", packages.kept_back.join(", ")),
        (Mark::Skipped, "deferred by phasing", packages.phased.join(", ")),
    ];
    let left = left.into_iter().filter(|(_, _, names)| !names.is_empty());
    left.map(|(mark, why, names)| Item::new(mark, one_line(&format!("{why}: {names}")))).collect()
}

/// What the preflight found, and let pass.
fn preflight(report: &Report) -> Vec<Item> {
    let found = report.checks.iter().filter_map(|check| check.finding.as_ref());
    found.filter(|finding| finding.severity < Severity::Blocker).map(Item::from).collect()
}

/// The programs that the run called, and what they said last.
pub(super) fn hooks(report: &Report) -> Vec<Item> {
    let item = |call: &HookRun| {
        let mark = match &call.end {
            None => Mark::Current,
            Some(end) if end.outcome == Outcome::Succeeded => Mark::Done,
            Some(_) if call.is_fatal() => Mark::Failed,
            Some(_) if call.problem().is_some() => Mark::Warning,
            Some(_) => Mark::Note,
        };
        let evidence = call.end.iter().flat_map(|end| end.lines.clone()).collect();
        Item { evidence, ..Item::new(mark, phrases::call_words(call)) }
    };
    report.hooks.iter().map(item).collect()
}

/// Who was told, and who could not be.
pub(super) fn messages(report: &Report) -> Vec<Item> {
    let mark = |told: &Notification| if told.problem.is_some() { Mark::Warning } else { Mark::Done };
    report.notifications.iter().map(|told| Item::new(mark(told), phrases::notification(told, &report.zone))).collect()
}
