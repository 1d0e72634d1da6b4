//! A small but varied server, and the ways in which it can come back wrong: what `patchday verify` must see.

use crate::image::Suite;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const PREPARE: &str = include_str!("../recipe/comeback/prepare.sh");
const MANY: &str = include_str!("../recipe/comeback/many.sh");
const WEB: &str = include_str!("../recipe/comeback/web.pl");
const CONFIG: &str = include_str!("../recipe/comeback/patchday.toml");

/// Everything that a fault may change; put back before the next one.
const CHANGEABLE: [&str; 3] = ["etc/systemd/system", "etc/default", "etc/lab"];

const BOOT: Duration = Duration::from_secs(180);
const RUN: Duration = Duration::from_secs(600);
const VERIFY: Duration = Duration::from_secs(300);

/// A way of coming back wrong.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// What is wrong, in words.
    pub name: &'static str,
    /// What breaks it, as a shell script, before the reboot.
    pub script: &'static str,
    /// The verdict that is right.
    pub verdict: &'static str,
    /// The key of the finding that must come first.
    pub key: &'static str,
    /// What that finding must be about.
    pub subject: &'static str,
}

const fn fault(
    name: &'static str,
    script: &'static str,
    verdict: &'static str,
    key: &'static str,
    subject: &'static str,
) -> Fault {
    Fault { name, script, verdict, key, subject }
}

/// A drop-in for a unit, as a line of shell.
macro_rules! drop_in {
    ($unit:literal, $text:literal) => {
        concat!(
            "mkdir -p /etc/systemd/system/",
            $unit,
            ".d; printf '",
            $text,
            "' >/etc/systemd/system/",
            $unit,
            ".d/f.conf"
        )
    };
}

/// Another service takes the port of the one whose settings are named.
macro_rules! rogue {
    ($port:literal) => {
        concat!(
            "printf 'BODY=rogue\\nPORT=",
            $port,
            "\\n' >/etc/lab/rogue; printf '[Unit]\\nBefore=web.service echo.service\\n[Service]\\nExecStart=/usr/bin/perl ",
            "/usr/local/lib/web.pl /etc/lab/rogue\\nExecStartPost=/bin/sleep 1\\n[Install]\\nWantedBy=multi-user.target\\n' ",
            ">/etc/systemd/system/rogue.service; systemctl enable --quiet rogue"
        )
    };
}

/// Every way, with what must be said of it.
pub const FAULTS: &[Fault] = &[
    fault(
        "API ready before its database",
        concat!(
            "echo START_BEFORE_DATABASE=1 >/etc/default/sample-api; ",
            "printf '#!/bin/sh\\nsleep 8\\nexec /usr/bin/mongod \"$@\"\\n' >/etc/lab/mongod; chmod 0755 /etc/lab/mongod; ",
            "start=$(systemctl cat mongod.service | sed -n 's/^ExecStart=[^ ]* //p'); ",
            "mkdir -p /etc/systemd/system/mongod.service.d; ",
            "printf '[Service]\\nExecStart=\\nExecStart=/etc/lab/mongod %s\\n' \"$start\" ",
            ">/etc/systemd/system/mongod.service.d/f.conf"
        ),
        "degraded",
        "order",
        "sample-api.service",
    ),
    fault(
        "service that fails after some seconds",
        "echo EXIT_AFTER=3 >>/etc/lab/web",
        "failed",
        "service-not-ready",
        "web.service",
    ),
    fault(
        "service that is restarted while it settles",
        concat!(
            "echo EXIT_AFTER=5 >>/etc/lab/web; ",
            drop_in!("web.service", "[Service]\\nRestart=always\\nRestartSec=100ms\\n")
        ),
        "failed",
        "service-not-ready",
        "web.service",
    ),
    fault("configured unit not enabled", "systemctl disable --quiet web", "failed", "service-not-ready", "web.service"),
    fault("other unit not enabled", "systemctl disable --quiet plain", "degraded", "unit-gone", "plain.service"),
    fault(
        "unit masked",
        "rm /etc/systemd/system/plain.service; systemctl mask --quiet plain",
        "degraded",
        "unit-gone",
        "plain.service",
    ),
    fault("port of a service taken", rogue!("8090"), "failed", "socket-moved", "rogue.service"),
    fault(
        "port held by another program, nothing failed",
        concat!("sed -i s/7007/7017/ /etc/lab/echo; ", rogue!("7007")),
        "degraded",
        "socket-moved",
        "rogue.service",
    ),
    fault(
        "mount missing that nobody needs",
        "systemctl disable --quiet srv-data.mount; sed -i /RequiresMounts/d /etc/systemd/system/reader.service",
        "degraded",
        "mount-missing",
        "/srv/data",
    ),
    fault(
        "mount missing that a service needs",
        "rm /etc/systemd/system/srv-data.mount; systemctl mask --quiet srv-data.mount",
        "failed",
        "mount-missing",
        "/srv/data",
    ),
    fault(
        "another disk mounted",
        "sed -i s/What=data/What=spare/ /etc/systemd/system/srv-data.mount",
        "degraded",
        "mount-changed",
        "/srv/data",
    ),
    fault(
        "mounted read-only",
        "sed -i s/size=4M/size=4M,ro/ /etc/systemd/system/srv-data.mount",
        "degraded",
        "mount-read-only",
        "/srv/data",
    ),
    fault(
        "database down, API and site behind it",
        drop_in!("mongod.service", "[Service]\\nExecStart=\\nExecStart=/bin/false\\n"),
        "failed",
        "service-not-ready",
        "mongod.service",
    ),
    fault(
        "a need that nobody configured failed first",
        "echo 'exit 3' >/etc/lab/prepared",
        "failed",
        "unit-failed",
        "prepared.service",
    ),
    fault(
        "wrong body",
        "sed -i s/BODY=fine/BODY=maintenance/ /etc/lab/web",
        "failed",
        "service-not-ready",
        "web.service",
    ),
    fault(
        "page three hundred times slower",
        "sed -i '$aDELAY=0.7' /etc/lab/web",
        "degraded",
        "service-slow",
        "web.service",
    ),
    fault(
        "command says not ready",
        "echo 'exec sleep infinity' >/etc/lab/worker",
        "failed",
        "service-not-ready",
        "worker.service",
    ),
    fault(
        "new failed unit that nobody configured",
        "printf '[Service]\\nExecStart=/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/broken.service; systemctl enable --quiet broken",
        "degraded",
        "unit-failed",
        "broken.service",
    ),
    fault("timer disabled", "systemctl disable --quiet backup.timer", "degraded", "timer-missing", "backup.timer"),
    fault("socket gone", "systemctl disable --quiet asked.socket", "degraded", "unit-gone", "asked.socket"),
    fault("address lost", "sed -i /address/d /etc/lab/network", "degraded", "address-missing", "198.51.100.7/32"),
    fault("route lost", "sed -i /route/d /etc/lab/network", "degraded", "route-missing", "203.0.113.0/24"),
    fault("kernel setting changed", "echo 512 >/etc/lab/somaxconn", "degraded", "sysctl", "net.core.somaxconn"),
    fault("kernel module missing", "sed -i /lab_needed/d /etc/lab/modules", "degraded", "module-missing", "lab_needed"),
    fault("swap off", "sed -i /swapfile/d /etc/lab/swaps", "degraded", "swap-missing", "/swapfile"),
    fault(
        "another kernel command line",
        "sed -i 's/$/ mitigations=off/' /etc/lab/cmdline",
        "degraded",
        "command-line",
        "/proc/cmdline",
    ),
    fault("time not in sync", "echo no >/etc/lab/synchronized", "degraded", "clock", "clock"),
    fault("wrong kernel", "touch /etc/lab/other-kernel", "failed", "kernel-release", "kernel"),
];

/// What `patchday verify` said.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The verdict.
    pub verdict: String,
    /// Key, subject and title of each finding, in order.
    pub findings: Vec<(String, String, String)>,
    /// Everything.
    pub json: Value,
}

impl Judgement {
    /// Reads what was printed.
    fn read(text: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text).with_context(|| format!("patchday verify said {text:?}"))?;
        let verification = json.get("verification").unwrap_or(&Value::Null).clone();
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let findings = verification.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(Self {
            verdict: text(&verification, "verdict"),
            findings: findings.iter().map(|one| (text(one, "key"), text(one, "subject"), text(one, "title"))).collect(),
            json,
        })
    }

    /// Whether it said what is right for the fault: the verdict, and the first cause first.
    pub fn is_right(&self, fault: &Fault) -> bool {
        let first = self.findings.first();
        self.verdict == fault.verdict && first.is_some_and(|(key, about, _)| key == fault.key && about == fault.subject)
    }
}

/// What a verification costs.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Seconds from the last service's readiness to the end of `patchday verify`, the settle time among them.
    pub to_verdict: f64,
    /// Seconds of CPU that it uses, with the programs that it asks.
    pub cpu: f64,
    /// Findings, of which there should be none.
    pub findings: Vec<(String, String, String)>,
}

/// The server on its machine, with a baseline.
pub struct Comeback {
    /// The machine.
    pub machine: Machine,
}

impl Comeback {
    /// Boots a fresh machine with a network of its own, makes the server of it, and puts Patchday onto it.
    pub fn prepare(suite: Suite, name: &str, patchday: &Path, units: &Path, settle: &str) -> Result<Self> {
        let machine = Lab::new()?.machine(suite, name)?;
        machine.isolate();
        machine.boot()?;
        machine.wait_until_up(BOOT)?;
        machine.install(patchday, units)?;
        machine.exec_ok(&["mkdir", "-p", "/etc/patchday", "/usr/local/lib"])?;
        machine.write_file("/usr/local/lib/web.pl", WEB)?;
        let config = CONFIG
            .replace("@MONGOD_PORT@", &machine.mongod_port().to_string())
            .replace("@API_PORT@", &machine.api_port().to_string())
            .replace("@SETTLE@", settle);
        machine.write_file("/etc/patchday/patchday.toml", &config)?;
        machine.exec_ok(&["sh", "-c", PREPARE])?;
        let here = Self { machine };
        here.reboot()?;
        Ok(here)
    }

    fn reboot(&self) -> Result<()> {
        let boot = self.machine.boot_id()?;
        let _ = self.machine.exec(&["systemctl", "reboot"])?;
        self.machine.wait_for_reboot(&boot, BOOT)?;
        Ok(())
    }

    /// A run does not begin where a service is not ready yet. The network is the machine's own, so that it asks itself.
    fn wait_until_it_serves(&self) -> Result<()> {
        let port = self.machine.api_port().to_string();
        let ask = ["bash", "-c", include_str!("../recipe/comeback/serves.sh"), &port];
        wait_for("the API to be ready", BOOT, || Ok(self.machine.exec(&ask)?.success().then_some(())))
    }

    /// One whole run, through its reboot; gives what its own verification said.
    pub fn run(&self) -> Result<Judgement> {
        self.wait_until_it_serves()?;
        let boot = self.machine.boot_id()?;
        let mut run = self.machine.spawn(&["patchday", "run", "--yes"])?;
        let rebooted = self.machine.wait_for_reboot(&boot, RUN);
        if rebooted.is_err() {
            let _ = run.kill();
        }
        let output = run.wait_with_output().context("wait for the run")?;
        rebooted.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let followed = self.machine.exec(&["patchday", "attach", "--last"])?;
        let record = self.machine.exec_ok(&["sh", "-c", "cat $(ls -d /var/lib/patchday/runs/* | tail -1)/run.json"])?;
        let record: Value = serde_json::from_str(&record).context("read run.json")?;
        let Some(run) = record.get("run") else { bail!("{}", followed.stderr) };
        let judgement = Judgement::read(&run.to_string())?;
        if judgement.verdict.is_empty() {
            bail!("the run did not come to a verdict: {}{}", followed.stderr, followed.stdout);
        }
        Ok(judgement)
    }

    /// Adds units that do nothing, some of which are configured and probed over HTTP.
    pub fn add_units(&self, units: u32, probes: u32) -> Result<()> {
        let script = format!("UNITS={units}\nPROBES={probes}\n{MANY}");
        self.machine.exec_ok(&["sh", "-c", &script]).map(drop)
    }

    /// A run that is ended when it has its baseline, and then `patchday verify`, whose services become ready while it
    /// looks.
    pub fn cost_of_a_verdict(&self) -> Result<Cost> {
        let baseline =
            "grep -qs '\"step\":\"baseline\",\"outcome\":\"succeeded\"' /var/lib/patchday/runs/*/events.jsonl";
        let run = self.machine.spawn(&["patchday", "run", "--yes", "--no-reboot"])?;
        wait_for("the baseline", RUN, || Ok(self.machine.exec(&["sh", "-c", baseline])?.success().then_some(())))?;
        self.machine.exec(&["patchday", "abort"])?;
        run.wait_with_output().context("wait for the run")?;
        wait_for(
            "the end of the run",
            RUN,
            || Ok((!self.machine.exists("/var/lib/patchday/open-run")?).then_some(())),
        )?;

        // All probes ask this one.
        self.machine.exec_ok(&["systemctl", "stop", "web.service"])?;
        let script = "TIMEFORMAT='%U %S'; time patchday verify --json >/var/tmp/cost.json; date +%s.%N";
        let verify = self.machine.spawn(&["bash", "-c", script])?;
        wait_for("patchday verify", BOOT, || {
            Ok(self.machine.exec(&["pgrep", "-x", "patchday"])?.success().then_some(()))
        })?;
        self.machine.exec_ok(&["systemctl", "start", "web.service"])?;
        let output = verify.wait_with_output().context("wait for patchday verify")?;
        let judgement = Judgement::read(&self.machine.read_file("/var/tmp/cost.json")?)?;
        let services = judgement.json.pointer("/verification/services").and_then(Value::as_array);
        let ready = services.into_iter().flatten().filter_map(|service| service.get("ready_at")?.as_str()).max();
        let ready = self.machine.exec_ok(&["date", "-d", ready.context("nothing was ready")?, "+%s.%N"])?;
        let seconds = |text: &str| text.trim().parse::<f64>().with_context(|| format!("a time: {text:?}"));
        let to_verdict = seconds(&String::from_utf8_lossy(&output.stdout))? - seconds(&ready)?;
        let used = String::from_utf8_lossy(&output.stderr).into_owned();
        let cpu = used.split_whitespace().filter_map(|seconds| seconds.parse::<f64>().ok()).sum();
        Ok(Cost { to_verdict, cpu, findings: judgement.findings })
    }

    /// Why this machine cannot show a fault; none where it can.
    pub fn cannot_show(&self, fault: &Fault) -> Result<Option<&'static str>> {
        // Its file is shown in place of the kernel's own, which a kernel without modules does not have.
        let has_modules = self.machine.exists("/proc/modules")?;
        Ok((fault.key == "module-missing" && !has_modules).then_some("not shown: this kernel has no modules"))
    }

    /// Keeps what faults may change, so that it can be put back.
    pub fn remember(&self) -> Result<()> {
        let tar = [&["tar", "-C", "/", "-cf", "/var/tmp/good.tar"], CHANGEABLE.as_slice()].concat();
        self.machine.exec_ok(&tar)?;
        self.machine.exec_ok(&["sh", "-c", "cp -a /var/lib/patchday /var/tmp/good-state"])?;
        Ok(())
    }

    /// Puts everything back, breaks one thing, reboots, and gives what `patchday verify` says on that boot, with the
    /// time that it took from the boot's begin.
    pub fn come_back(&self, fault: Option<&Fault>) -> Result<(Judgement, Duration)> {
        let restore = "rm -rf /etc/systemd/system /etc/default /etc/lab /var/tmp/verify.json && \
             tar -C / -xf /var/tmp/good.tar && rm -rf /var/lib/patchday && cp -a /var/tmp/good-state /var/lib/patchday && \
             touch /etc/lab/verify";
        self.machine.exec_ok(&["sh", "-c", restore])?;
        if let Some(fault) = fault {
            self.machine.exec_ok(&["sh", "-euc", fault.script]).with_context(|| fault.name)?;
        }
        if self.machine.exists("/etc/lab/other-kernel")? {
            // A container has no kernel of its own: the run is made to have expected one.
            let expect = "for run in /var/lib/patchday/runs/*/run.json; do sed -i \
                 's/\"expected\": *\"[^\"]*\"/\"expected\": \"6.1.0-999-amd64\"/; s/\"managed_here\": *false/\"managed_here\": true/' \
                 $run; done";
            self.machine.exec_ok(&["sh", "-c", expect])?;
        }
        let began = Instant::now();
        self.reboot()?;
        wait_for("patchday verify", VERIFY, || Ok(self.machine.exists("/var/tmp/verify.json")?.then_some(())))
            .with_context(|| self.machine.journal())?;
        Ok((Judgement::read(&self.machine.read_file("/var/tmp/verify.json")?)?, began.elapsed()))
    }
}
