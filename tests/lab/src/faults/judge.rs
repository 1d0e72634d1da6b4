//! What must hold after a run, whatever happened to it.

use super::matrix::Fault;
use super::moment::event;
use super::subject::Subject;
use crate::agent::Sighting;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

const SERVICES: [&str; 2] = ["mongod.service", "sample-api.service"];

/// The end of a run: one of the three that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndState {
    /// No service was stopped and no package changed.
    Untouched,
    /// The services work; packages may be upgraded or not, and dpkg is clean.
    SafeAndBack,
    /// Every package is upgraded, and the verdict is healthy.
    PatchedAndVerified,
}

impl fmt::Display for EndState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Untouched => "untouched",
            Self::SafeAndBack => "safe and back in service",
            Self::PatchedAndVerified => "patched and verified",
        })
    }
}

/// What the judge found.
#[derive(Debug)]
pub struct Judgement {
    /// What the evidence says about the host.
    pub end: EndState,
    /// The exit code that the run claims.
    pub exit_code: u64,
    /// The report's own sentence.
    pub said: String,
    /// The longest time that the report tells of.
    pub longest_told: Option<Duration>,
    /// What does not hold; none of it may be.
    pub violations: Vec<String>,
}

/// What was done to the machine.
#[derive(Debug, Clone, Copy)]
pub struct Deed {
    /// The fault.
    pub fault: Fault,
    /// How much had been seen by then.
    pub seen: usize,
}

/// How a machine was before the run.
#[derive(Debug)]
pub struct Before {
    boots: u32,
    boot_id: String,
    timers: BTreeSet<String>,
    failed: BTreeSet<String>,
    packages: BTreeMap<String, String>,
    /// How much had been seen by then.
    pub(super) seen: usize,
}

impl Before {
    /// Takes it down, before the run begins.
    pub fn of(subject: &dyn Subject) -> Result<Self> {
        Ok(Self {
            boots: subject.boots(),
            boot_id: subject.boot_id()?,
            timers: units(subject, &["--type=timer", "--state=active"])?,
            failed: units(subject, &["--state=failed"])?,
            packages: packages(subject)?,
            seen: subject.sightings(0).len(),
        })
    }
}

/// Looks at everything that a run can leave behind or lie about, and returns all that does not hold.
///
/// # Errors
///
/// When the machine does not answer, or there is no report.
pub fn assert_safe(subject: &dyn Subject, before: &Before, deeds: &[Deed]) -> Result<Judgement> {
    let text = subject.exec(&["patchday", "report", "--json"])?.stdout;
    let report: Value = serde_json::from_str(&text).with_context(|| format!("no report: {text}"))?;
    let mut judge = Judge { subject, before, report: &report, violations: Vec::new() };
    judge.services_are_back()?;
    judge.nothing_is_left_behind()?;
    judge.dpkg_is_clean()?;
    judge.no_acknowledged_order_is_lost()?;
    judge.no_reboot_came_over_a_dirty_dpkg();
    let end = judge.the_report_is_true(deeds)?;
    Ok(Judgement {
        end,
        exit_code: report["exit_code"].as_u64().unwrap_or(u64::MAX),
        longest_told: longest_told(&report),
        said: report["summary"].as_str().unwrap_or_default().to_owned(),
        violations: judge.violations,
    })
}

struct Judge<'a> {
    subject: &'a dyn Subject,
    before: &'a Before,
    report: &'a Value,
    violations: Vec<String>,
}

impl Judge<'_> {
    fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(otherwise());
        }
    }

    fn services_are_back(&mut self) -> Result<()> {
        for unit in SERVICES {
            let active = self.subject.exec_ok(&["systemctl", "show", "-P", "ActiveState", unit])?;
            self.must(active.trim() == "active", || format!("{unit} is {}", active.trim()));
            let drop_ins = self.subject.exec_ok(&["systemctl", "show", "-P", "DropInPaths", unit])?;
            self.must(!drop_ins.contains("patchday"), || format!("{unit} is still held: {}", drop_ins.trim()));
        }
        let health = self.subject.request("GET", "/health");
        self.must(health.is_ok_and(|health| health.status == 200), || "the API is not healthy".to_owned());
        Ok(())
    }

    fn nothing_is_left_behind(&mut self) -> Result<()> {
        let drop_ins =
            self.subject.exec(&["find", "/run/systemd/system", "-ipath", "*patchday*", "-name", "*.conf"])?;
        self.must(drop_ins.stdout.trim().is_empty(), || format!("drop-ins are left: {}", drop_ins.stdout.trim()));
        let masked = units(self.subject, &["--all", "--state=masked-runtime"])?;
        self.must(masked.is_empty(), || format!("units are masked: {masked:?}"));
        let timers = units(self.subject, &["--type=timer", "--state=active"])?;
        let stopped: Vec<_> = self.before.timers.difference(&timers).collect();
        self.must(stopped.is_empty(), || format!("timers are stopped: {stopped:?}"));
        let inhibitors = self.subject.exec_ok(&["systemd-inhibit", "--list", "--no-legend"])?;
        self.must(!inhibitors.to_lowercase().contains("patchday"), || format!("inhibitors: {}", inhibitors.trim()));
        let is_ours = |unit: &&String| unit.starts_with("patchday-");
        let failed = units(self.subject, &["--state=failed"])?;
        let newly: Vec<_> = failed.difference(&self.before.failed).filter(|unit| !is_ours(unit)).collect();
        self.must(newly.is_empty(), || format!("units failed: {newly:?}"));
        let starts = ["patchday-run-", "patchday-resume", "patchday-witness"];
        let is_coordinator = |unit: &&String| starts.iter().any(|start| unit.starts_with(start));
        let is_watch = |unit: &&String| unit.starts_with("patchday-watch-");
        let ours = units(self.subject, &["--all", "--type=service"])?;
        let ours = ours.iter().filter(is_ours).filter(|unit| !is_coordinator(unit));
        let (watches, work): (Vec<_>, Vec<_>) = ours.partition(is_watch);
        self.must(work.is_empty(), || format!("work units are left: {work:?}"));
        self.must(watches.is_empty(), || format!("somebody still watches over a reboot: {watches:?}"));
        Ok(())
    }

    fn dpkg_is_clean(&mut self) -> Result<()> {
        let audit = self.subject.exec(&["dpkg", "--audit"])?;
        self.must(audit.success() && audit.stdout.trim().is_empty(), || format!("dpkg is dirty: {}", audit.stdout));
        let updates = self.subject.exec_ok(&["ls", "/var/lib/dpkg/updates"])?;
        self.must(updates.trim().is_empty(), || format!("dpkg's journal is not empty: {}", updates.trim()));
        // A file that was renamed into its place before it was on the disk would be empty now.
        let changed = self.changed_packages()?;
        if !changed.is_empty() {
            let mut verify = vec!["dpkg", "--verify"];
            verify.extend(changed.iter().map(String::as_str));
            let verified = self.subject.exec(&verify)?.stdout;
            let broken: Vec<_> = verified.lines().filter(|line| !line.contains(" c /")).collect();
            self.must(broken.is_empty(), || format!("files of packages are broken: {broken:?}"));
        }
        Ok(())
    }

    fn changed_packages(&self) -> Result<Vec<String>> {
        let now = packages(self.subject)?;
        let is_changed = |(name, version): &(&String, &String)| self.before.packages.get(*name) != Some(version);
        Ok(now.iter().filter(is_changed).map(|(name, _)| name.clone()).collect())
    }

    fn no_acknowledged_order_is_lost(&mut self) -> Result<()> {
        // In this order: the writer goes on, and what is acknowledged after the question is in no answer to it.
        let seen = self.subject.sightings(0);
        let orders = self.subject.request("GET", "/orders")?.body;
        let orders: BTreeSet<&str> = orders.lines().collect();
        let acknowledged: Vec<&Sighting> = seen.iter().filter(|sighting| sighting.source == "order").collect();
        for (number, order) in acknowledged.iter().enumerate() {
            self.must(orders.contains(order.text.as_str()), || {
                let (all, boot) = (acknowledged.len(), order.boot);
                format!("order {} ({} of {all}, boot {boot}) was acknowledged and is lost", order.text, number + 1)
            });
        }
        self.must(!acknowledged.is_empty(), || "no order was written, so nothing is proven about them".to_owned());
        Ok(())
    }

    /// dpkg's own log tells in which state each package was when the reboot was asked for.
    fn no_reboot_came_over_a_dirty_dpkg(&mut self) {
        let seen = self.subject.sightings(self.before.seen);
        let mut states: BTreeMap<&str, &str> = BTreeMap::new();
        for (at, sighting) in seen.iter().enumerate() {
            if let Some((_, package, state)) = state_in_log(sighting) {
                states.insert(package, state);
            }
            let Some(asked) = event(sighting).filter(|event| event["event"] == "reboot-requested") else { continue };
            // On a starved machine the agent sees the event before lines of the log that are older.
            let asked = asked["at"].as_str().unwrap_or_default().replace('T', " ");
            let older =
                seen[at..].iter().filter_map(state_in_log).filter(|(written, ..)| asked.get(..19) >= Some(*written));
            let mut states = states.clone();
            states.extend(older.map(|(_, package, state)| (package, state)));
            let settled = ["installed", "not-installed", "config-files"];
            let dirty: Vec<_> = states.iter().filter(|(_, state)| !settled.contains(state)).collect();
            self.must(dirty.is_empty(), || format!("a reboot was asked for over {dirty:?}"));
        }
    }

    /// Compares what the report claims with what was seen from outside, and returns what the host really is.
    fn the_report_is_true(&mut self, deeds: &[Deed]) -> Result<EndState> {
        let report = self.report;
        let exit_code = report["exit_code"].as_u64();
        let attached = self.subject.exec(&["patchday", "attach", "--last"])?;
        let attached = attached.code().and_then(|code| u64::try_from(code).ok());
        self.must(exit_code.is_some() && attached == exit_code, || {
            format!("the report says exit code {exit_code:?}, and attach {attached:?}")
        });
        self.must(report["still_changed"].as_array().is_some_and(Vec::is_empty), || {
            format!("the report says that something is still changed: {}", report["still_changed"])
        });
        self.boots_are_told(deeds);
        for deed in deeds.iter().filter(|deed| deed.fault == Fault::PowerCut) {
            self.cut_is_told(deed);
        }

        let packages = packages(self.subject)?;
        let changes = report["packages"]["changes"].as_array().cloned().unwrap_or_default();
        let certainty = report["packages"]["certainty"].as_str().unwrap_or_default().to_owned();
        let mut all_upgraded = !changes.is_empty();
        for change in &changes {
            let name = change["name"].as_str().unwrap_or_default();
            let installed = packages.get(name).map(String::as_str);
            all_upgraded &= installed == change["to"].as_str();
            let claimed = match certainty.as_str() {
                "installed" => change["to"].as_str(),
                "planned" | "not-planned" => change["from"].as_str(),
                _ => continue,
            };
            self.must(installed == claimed, || {
                format!("{name} is {certainty} at {claimed:?}, and is at {installed:?}")
            });
        }
        let seen = self.subject.sightings(self.before.seen);
        let stopped = seen.iter().filter_map(event).any(|event| {
            event["event"] == "step-started" && event["step"].as_str().is_some_and(|step| step.starts_with("stop:"))
        });
        let is_untouched = !stopped && self.changed_packages()?.is_empty();
        match exit_code {
            Some(0) => {
                self.must(report["verdict"] == "healthy", || format!("exit code 0 with {}", report["verdict"]));
                self.must(all_upgraded, || format!("exit code 0, and not every package is upgraded: {certainty}"));
                Ok(EndState::PatchedAndVerified)
            }
            Some(20) => {
                self.must(is_untouched, || "exit code 20 says untouched, and the host is not".to_owned());
                Ok(EndState::Untouched)
            }
            _ if is_untouched => Ok(EndState::Untouched),
            _ => Ok(EndState::SafeAndBack),
        }
    }

    /// Every boot that the machine saw is in the report, as planned or as unplanned.
    fn boots_are_told(&mut self, deeds: &[Deed]) {
        let boots = u64::from(self.subject.boots() - self.before.boots);
        let cuts_after_the_end =
            deeds.iter().filter(|deed| deed.fault == Fault::PowerCut && self.was_over(deed)).count() as u64;
        let reboot = &self.report["reboot"];
        let (asked, unplanned) = (reboot["asked"].as_u64().unwrap_or(0), reboot["unplanned"].as_u64().unwrap_or(0));
        let told = asked + unplanned;
        // The end of a run and its last line are two moments: a cut between them may be told or not.
        self.must(told == boots || told + cuts_after_the_end == boots, || {
            format!(
                "the machine booted {boots} times, and the report tells of {asked} reboots and {unplanned} unplanned"
            )
        });
        self.must(asked <= 2, || format!("{asked} reboots were asked for"));
        if !reboot.is_null() {
            let first = reboot["first_boot"].as_str().unwrap_or_default().to_owned();
            self.must(first == self.before.boot_id, || format!("the run did not begin on boot {first}"));
        }
    }

    fn was_over(&self, deed: &Deed) -> bool {
        self.seen_before(deed).iter().filter_map(event).any(|event| event["event"] == "run-ended")
    }

    fn seen_before(&self, deed: &Deed) -> Vec<Sighting> {
        let mut seen = self.subject.sightings(self.before.seen);
        seen.truncate(deed.seen - self.before.seen);
        seen
    }

    /// A power cut in the middle of a run is an interruption, and the report must say so; but for one that comes when the
    /// host was going down anyway, which nobody can tell from the reboot that was asked for.
    fn cut_is_told(&mut self, deed: &Deed) {
        let seen = self.seen_before(deed);
        let events: Vec<Value> = seen.iter().filter_map(event).collect();
        let last = |kind: &str| events.iter().rposition(|event| event["event"] == kind);
        let going_down = last("reboot-requested") > last("boot-changed");
        if self.was_over(deed) || going_down {
            return;
        }
        let unplanned = self.report["reboot"]["unplanned"].as_u64().unwrap_or(0);
        self.must(unplanned >= 1, || "the report does not tell of the power cut".to_owned());
        let is_open = |step: &str| {
            let of_step = |kind: &str| events.iter().rposition(|event| event["event"] == kind && event["step"] == step);
            of_step("step-started") > of_step("step-ended")
        };
        if is_open("upgrade") {
            let step = |name: &str| {
                let steps = self.report["steps"].as_array().into_iter().flatten();
                steps.filter(|step| step["step"] == name).map(|step| step["outcome"].clone()).next()
            };
            let (upgrade, repair) = (step("upgrade"), step("repair"));
            self.must(upgrade.as_ref().is_some_and(|outcome| outcome == "interrupted"), || {
                format!("the upgrade was cut off, and the report says {upgrade:?}")
            });
            self.must(repair.as_ref().is_some_and(Value::is_string), || "nobody looked after dpkg".to_owned());
        }
    }
}

/// Of the run, its steps and the time without a service.
fn longest_told(report: &Value) -> Option<Duration> {
    let services = report["services"].as_array().into_iter().flatten().map(|service| &service["downtime"]["took"]);
    let steps = report["steps"].as_array().into_iter().flatten().map(|step| &step["took"]);
    let told = services.chain(steps).filter_map(Value::as_str);
    told.filter_map(seconds).max().map(Duration::from_secs)
}

/// Whole seconds of a duration as ISO 8601 writes it, as in `PT1M20.5S`.
fn seconds(text: &str) -> Option<u64> {
    let mut sum = 0;
    let mut number = String::new();
    for letter in text.strip_prefix("PT")?.chars() {
        let unit = match letter {
            'H' => 3600,
            'M' => 60,
            'S' => 1,
            digit => {
                number.push(digit);
                continue;
            }
        };
        sum += unit * number.split('.').next()?.parse::<u64>().ok()?;
        number.clear();
    }
    Some(sum)
}

/// The names of units, as `systemctl list-units` lists them.
fn units(subject: &dyn Subject, arguments: &[&str]) -> Result<BTreeSet<String>> {
    let mut command = vec!["systemctl", "list-units", "--plain", "--no-legend"];
    command.extend(arguments);
    let listed = subject.exec_ok(&command)?;
    Ok(listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Installed packages and their versions.
fn packages(subject: &dyn Subject) -> Result<BTreeMap<String, String>> {
    let listed = subject.exec_ok(&["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n"])?;
    Ok(listed.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
}

/// Of a line of dpkg's log: when it was written, to the second, and the package with its state.
fn state_in_log(sighting: &Sighting) -> Option<(&str, &str, &str)> {
    let written = sighting.text.get(..19)?;
    match sighting.text.split(' ').collect::<Vec<_>>()[..] {
        [_, _, "status", state, package, ..] if sighting.source == "dpkg" => Some((written, package, state)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_read_as_the_report_writes_them() {
        for (text, seconds) in [("PT0S", Some(0)), ("PT1M20.5S", Some(80)), ("PT25H", Some(90_000)), ("soon", None)] {
            assert_eq!(super::seconds(text), seconds, "{text}");
        }
    }
}
