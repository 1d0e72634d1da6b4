//! The life of the Debian package on a machine: installed, set up, upgraded by its own run over a reboot, removed, purged.

use anyhow::{Context, Result, bail};
use clap::Args;
use patchday_lab::{Lab, Machine, Output, Suite, ended, services, wait_for};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::BOOT_TIMEOUT;

const CONFIG: &str = "/etc/patchday/patchday.toml";
const METRICS_CONFIG: &str = "/etc/patchday/patchday.toml.d/50-metrics.toml";
const MOTD: &str = "/etc/motd.d/patchday";
const METRICS: &str = "/srv/metrics/patchday.prom";
const RUN: Duration = Duration::from_secs(900);

#[derive(Debug, Args)]
pub(crate) struct PackageLife {
    /// The package
    package: PathBuf,
    /// Only on this release: bookworm, trixie or testing
    #[arg(long)]
    suite: Option<Suite>,
}

/// What is done, and the shell's order that must succeed then.
type Part = (&'static str, &'static str);

/// A second version of the package, in a repository of the machine's own.
const NEXT_VERSION: &str = "
dpkg-deb -R /srv/patchday.deb /srv/next
sed -i 's/^Version: .*/&+next/' /srv/next/DEBIAN/control
mkdir -p /srv/repo && dpkg-deb --root-owner-group -b /srv/next /srv/repo/patchday.deb >/dev/null && rm -r /srv/next
cd /srv/repo
{ dpkg-deb -f patchday.deb | sed '/^$/d'; printf 'Filename: ./patchday.deb\\nSize: %s\\nSHA256: %s\\n' \"$(stat -c %s patchday.deb)\" \
  \"$(sha256sum patchday.deb | cut -d' ' -f1)\"; } > Packages
rm -f /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list
apt-get -qq update";

/// As somebody installed it before there was a package.
const BY_HAND: &str = "printf '[Unit]\\nDescription=old\\n' > /etc/systemd/system/patchday.service";

const INSTALLED: [Part; 8] = [
    ("no run begins by the installation", "! systemctl is-active patchday.service patchday-resume.service"),
    ("resume service and witness are enabled", "systemctl is-enabled patchday-resume.service patchday-witness.service"),
    ("the timer is disabled", "! systemctl is-enabled patchday.timer"),
    (
        "presets leave both so",
        "systemctl preset patchday.timer patchday-resume.service patchday-witness.service && \
      systemctl is-enabled patchday-resume.service patchday-witness.service && ! systemctl is-enabled patchday.timer",
    ),
    (
        "systemd finds nothing wrong with the units",
        "systemd-analyze verify --man=no patchday.service patchday-witness.service patchday.timer",
    ),
    (
        "there is a page for each verb, and one for the file",
        "test -e /usr/share/man/man8/patchday-run.8.gz && \
      test -e /usr/share/man/man5/patchday.toml.5.gz",
    ),
    (
        "bash completes the labels of checks",
        "PATCHDAY_COMPLETE=bash _CLAP_COMPLETE_INDEX=3 _CLAP_IFS=' ' \
      patchday -- patchday run --allow boot- | grep -q boot-space",
    ),
    ("init writes a file", "patchday init --force"),
];

const REMOVED: [Part; 3] = [
    ("the configuration stays", "test -s /etc/patchday/patchday.toml"),
    ("the runs stay", "ls /var/lib/patchday/runs/*/run.json"),
    ("no unit is left", "! systemctl cat patchday-resume.service && ! systemctl cat patchday-witness.service"),
];

const PURGED: [Part; 5] = [
    ("the configuration is gone", "! test -e /etc/patchday"),
    ("the runs are gone", "! test -e /var/lib/patchday && ! test -e /var/cache/patchday && ! test -e /run/patchday"),
    ("the login message is gone", "! test -e /etc/motd.d/patchday"),
    ("the metrics are gone", "! test -e /srv/metrics/patchday.prom"),
    ("no link of systemd is left", "! find /etc/systemd /var/lib/systemd -name '*patchday*' | grep ."),
];

impl PackageLife {
    pub(crate) fn live(&self) -> Result<ExitCode> {
        let package =
            std::fs::read(&self.package).with_context(|| format!("cannot read {}", self.package.display()))?;
        let suites = [Suite::Bookworm, Suite::Trixie, Suite::Testing].into_iter();
        let mut all_well = true;
        for suite in suites.filter(|suite| self.suite.is_none_or(|only| only == *suite)) {
            let mut life = Life { suite, all_well: true };
            if let Err(error) = life.live(&package) {
                eprintln!("{suite}: ended early: {error:#}");
                life.all_well = false;
            }
            all_well &= life.all_well;
        }
        Ok(ended("package-life", Ok(all_well)))
    }
}

struct Life {
    suite: Suite,
    all_well: bool,
}

impl Life {
    fn live(&mut self, package: &[u8]) -> Result<()> {
        let began = Instant::now();
        let machine = Lab::new()?.booted_machine(self.suite, "package")?;
        let systemd = machine.exec_ok(&["systemctl", "--version"])?;
        println!("{}: {}", self.suite, systemd.lines().next().unwrap_or_default());
        machine.write_program("/srv/patchday.deb", package)?;
        shell(&machine, BY_HAND)?;
        let told = apt(&machine, &["install", "/srv/patchday.deb"])?;
        self.show("it installs", told.success());
        let warning = "/etc/systemd/system/patchday.service hides the unit of this package";
        let is_warned = told.stderr.contains(warning) || told.stdout.contains(warning);
        if !is_warned {
            eprintln!("{}{}", told.stdout, told.stderr);
        }
        self.show("a unit of an older installation is warned of", is_warned);
        shell(&machine, "rm /etc/systemd/system/patchday.service; systemctl daemon-reload")?;
        self.parts(&machine, &INSTALLED)?;

        self.upgrade_itself(&machine)?;
        self.refuse_removal(&machine)?;
        let removed = apt(&machine, &["remove", "patchday"])?;
        self.show("it is removed", removed.success());
        self.parts(&machine, &REMOVED)?;
        let purged = apt(&machine, &["purge", "patchday"])?;
        self.show("it is purged", purged.success());
        self.parts(&machine, &PURGED)?;
        println!("{}: {:.0} s", self.suite, began.elapsed().as_secs_f64());
        Ok(())
    }

    /// A run that upgrades the package that it came with, and goes on, after the reboot, with the new program.
    fn upgrade_itself(&mut self, machine: &Machine) -> Result<()> {
        shell(machine, NEXT_VERSION)?;
        let services = services(machine, "start-timeout = \"60s\"\ndrain-timeout = \"3s\"", "start-timeout = \"60s\"");
        machine.write_file(
            CONFIG,
            &format!(
                "{services}[limits]\ncpu = \"100%\"\n[reboot]\nwhen = \"always\"\n[verify]\nsettle = \"1s\"\n\
             [preflight]\nallow = [\"boot-space\"]\n[[notify]]\nkind = \"motd\"\nwhen = \"always\"\nfile = \"{MOTD}\"\n\
             [announce]\ngrace = \"1s\"\n"
            ),
        )?;
        shell(machine, "mkdir -p /srv/metrics")?;
        machine.write_file(METRICS_CONFIG, &format!("[[notify]]\nkind = \"metrics\"\nfile = \"{METRICS}\"\n"))?;
        let planned = machine.exec(&["patchday", "plan"])?;
        self.show("plan has nothing against a run", planned.success());
        let before = machine.boot_id()?;
        let run = machine.exec(&["patchday", "run", "--yes"])?;
        if machine.boot_id().is_ok_and(|boot| boot == before) && run.code() != Some(0) {
            bail!("the run ended: {}", run.stderr);
        }
        machine.wait_for_reboot(&before, BOOT_TIMEOUT)?;
        let report = wait_for("the end of the run", RUN, || {
            let report = machine.exec(&["patchday", "report", "--json"])?;
            let report: Value = serde_json::from_str(&report.stdout).unwrap_or_default();
            Ok(report["exit_code"].is_u64().then_some(report))
        })?;
        self.show("the run that upgraded it is healthy", report["verdict"] == "healthy" && report["exit_code"] == 0);
        let version = machine.exec_ok(&["dpkg-query", "-W", "-f", "${Version}", "patchday"])?;
        self.show("the new version is there", version.ends_with("+next"));
        machine.wait_until_healthy(BOOT_TIMEOUT)
    }

    /// A run that is open holds the package; ended, it no longer does.
    fn refuse_removal(&mut self, machine: &Machine) -> Result<()> {
        let config = machine.read_file(CONFIG)?.replace("grace = \"1s\"", "grace = \"10m\"");
        machine.write_file(CONFIG, &config)?;
        // An upgrade, so that the run has something to do.
        shell(machine, "dpkg -i /srv/patchday.deb 2>/dev/null")?;
        let mut run = machine.spawn(&["patchday", "run", "--yes"])?;
        wait_for("a run that waits", RUN, || {
            let status = machine.exec(&["patchday", "status", "--json"])?;
            let status: Value = serde_json::from_str(&status.stdout).unwrap_or_default();
            Ok((status["attempt"]["step"] == "announce").then_some(()))
        })?;
        let refused = apt(machine, &["remove", "patchday"])?;
        let is_told =
            refused.stderr.contains("patchday cannot be removed") || refused.stdout.contains("cannot be removed");
        self.show("an open run keeps it from being removed", !refused.success() && is_told);
        machine.exec(&["patchday", "abort"])?;
        run.wait().context("cannot wait for the run")?;
        machine.wait_until_healthy(BOOT_TIMEOUT)
    }

    fn parts(&mut self, machine: &Machine, parts: &[Part]) -> Result<()> {
        for (what, order) in parts {
            let done = machine.exec(&["sh", "-euc", order])?;
            if !done.success() {
                eprintln!("{}{}", done.stdout, done.stderr);
            }
            self.show(what, done.success());
        }
        Ok(())
    }

    fn show(&mut self, what: &str, is_well: bool) {
        println!("  {:<55}{}", what, if is_well { "as it should" } else { "WRONG" });
        self.all_well &= is_well;
    }
}

fn apt(machine: &Machine, words: &[&str]) -> Result<Output> {
    let call = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes", "--no-install-recommends"];
    machine.exec(&[&call[..], words].concat())
}

fn shell(machine: &Machine, orders: &str) -> Result<()> {
    machine.exec_ok(&["sh", "-euc", orders]).map(drop)
}
