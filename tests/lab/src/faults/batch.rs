//! Power cuts inside a batch: packages that are installed without a sync for each file, on a machine with a real disk.

use super::matrix::splitmix;
use super::moment::{Moment, event};
use super::subject::Subject;
use crate::testbed::Testbed;
use crate::uml::UML_PACKAGES;
use anyhow::Result;
use std::collections::BTreeSet;

/// One that the administrator has changed, and one that is removed.
const CHANGED: &str = "/etc/lab-data.conf";
const REMOVED: &str = "/etc/lab-tools.conf";
const MINE: &str = "# settings of lab-data 1.0\n# and of mine\n";

/// Mount options in turn: as ext4 is mounted everywhere, and without its help for those who rename without a sync, as other
/// file systems are.
pub const DISKS: [&str; 2] = ["defaults", "noauto_da_alloc"];

/// Moments spread over the step by time, by its progress, and by what dpkg does: the same ones for the same seed.
pub fn in_batch(seed: u64, within: u64, count: usize) -> Vec<Moment> {
    let mut state = seed;
    let mut random = move |below: u64| splitmix(&mut state) % below.max(1);
    let logged: [&'static str; 8] = [
        "status half-installed lab-runtime",
        "status unpacked lab-data",
        "status unpacked needrestart",
        "status half-configured lab-data",
        "status half-configured lab-runtime",
        "status installed lab-plugins",
        "status installed lab-server",
        "status half-configured ca-certificates",
    ];
    (0..count)
        .map(|number| match number % 4 {
            0 | 1 => Moment::event_of("step-started", "upgrade").plus_millis(random(within)),
            2 => Moment::progress("upgrade", random(95) as f64 / 100.0).plus_millis(random(800)),
            _ => Moment::dpkg(logged[random(logged.len() as u64) as usize]).plus_millis(random(1200)),
        })
        .collect()
}

/// How a machine is before: with settings of its administrator, and all of it on the disk.
pub struct BeforeBatch {
    empty: BTreeSet<String>,
    conffiles: BTreeSet<String>,
}

impl BeforeBatch {
    /// Sets it up, before the run.
    pub fn of(machine: &dyn Testbed) -> Result<Self> {
        let text = machine.read_file("/etc/patchday/patchday.toml")?;
        // The cuts are about the disk, and not about how long all of it takes beside others.
        let text = format!("{text}\n[upgrade]\ndurability = \"batch\"\n\n[limits]\ncpu = \"100%\"\nnice = 0\n");
        machine.write("/etc/patchday/patchday.toml", text.as_bytes(), 0o644)?;
        machine.write(CHANGED, MINE.as_bytes(), 0o644)?;
        machine.exec_ok(&["rm", REMOVED])?;
        machine.exec_ok(&["sync"])?;
        Ok(Self { empty: empty_files(machine)?, conffiles: unlike_their_packages(machine)? })
    }

    /// What does not hold afterwards, beside what holds after every run; and how many files the repair had to mend, none if
    /// no batch was installed again.
    pub fn judge(&self, subject: &dyn Subject) -> Result<(Vec<String>, Option<usize>)> {
        let mut violations = Vec::new();
        let empty: BTreeSet<String> = empty_files(subject)?.difference(&self.empty).cloned().collect();
        if !empty.is_empty() {
            violations.push(format!("files are empty: {empty:?}"));
        }
        let conffiles: BTreeSet<String> =
            unlike_their_packages(subject)?.difference(&self.conffiles).cloned().collect();
        if !conffiles.is_empty() {
            violations.push(format!("configuration files are not as they should be: {conffiles:?}"));
        }
        for package in UML_PACKAGES {
            let path = format!("/etc/{package}.conf");
            let version = subject.exec_ok(&["dpkg-query", "--show", "--showformat=${Version}", package])?;
            let expected = match path.as_str() {
                CHANGED => Some(MINE.to_owned()),
                REMOVED => None,
                _ => Some(format!("# settings of {package} {version}\n")),
            };
            let found = subject.read_file(&path).ok();
            if found != expected {
                violations.push(format!("{path} is {found:?}, not {expected:?}"));
            }
        }
        let report = subject.exec(&["patchday", "report"])?.stdout;
        let again = report.contains("again, which a power cut had taken");
        let seen = subject.sightings(0);
        let cut = seen
            .iter()
            .position(|one| event(one).is_some_and(|event| event["event"] == "boot-changed"))
            .unwrap_or(seen.len());
        let last = |kind: &str| {
            let of_upgrade =
                |one: &_| event(one).is_some_and(|event| event["event"] == kind && event["step"] == "upgrade");
            seen[..cut].iter().rposition(of_upgrade)
        };
        // dpkg was at work on the batch, so that something was lost.
        let at_work = last("step-started").is_some_and(|began| {
            last("step-ended").is_none()
                && seen[began..cut].iter().any(|one| one.source == "dpkg" && one.text.contains(" status unpacked "))
        });
        if at_work && !again {
            violations.push(
                "the power was cut inside the batch, and the report does not say that it was installed again"
                    .to_owned(),
            );
        }
        let mended = subject.exec(&["sh", "-c", "cat /var/lib/patchday/runs/*/mend-*.log"])?.stdout.lines().count();
        Ok((violations, again.then_some(mended)))
    }
}

fn empty_files(machine: &dyn Testbed) -> Result<BTreeSet<String>> {
    let places = [
        "/etc",
        "/usr",
        "/var/lib/dpkg/info",
        "/var/lib/dpkg/alternatives",
        "/var/lib/ucf",
        "/var/cache/debconf",
        "/var/lib/apt",
    ];
    let mut find = vec!["find"];
    find.extend(places);
    find.extend(["-xdev", "-type", "f", "-size", "0"]);
    // Fails where one of the places is not there.
    let found = machine.exec(&find)?.stdout;
    // apt's own, which are empty for a while.
    let is_lock = |path: &&str| path.ends_with("lock") || path.ends_with("/auxfiles") || path.contains("/lists/");
    Ok(found.lines().filter(|path| !is_lock(path)).map(str::to_owned).collect())
}

fn unlike_their_packages(machine: &dyn Testbed) -> Result<BTreeSet<String>> {
    let verified = machine.exec(&["dpkg", "--verify"])?.stdout;
    Ok(verified.lines().filter(|line| line.contains(" c /")).map(str::to_owned).collect())
}
