//! Runs as the machine makes them of facts, rich enough that between them no saved field is empty.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use patchday::machine::apply;
use patchday::model::*;

pub fn at(seconds: i64) -> Timestamp {
    "2026-11-23T23:10:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub fn boot(number: u32) -> BootId {
    format!("{number:08x}-0b0f-4d53-9d5b-0a2f1e6f7a10").parse().unwrap()
}

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

fn api() -> UnitName {
    unit("sample-api.service")
}

fn mongod() -> UnitName {
    unit("mongod.service")
}

fn millis(millis: i64) -> SignedDuration {
    SignedDuration::from_millis(millis)
}

/// A run of which nothing has happened yet, minted in this second.
pub fn planned_at(seconds: i64) -> Run {
    let options = RunOptions {
        allowed_checks: vec!["apt-sources".into(), "free-space".into()],
        ..RunOptions::new(Trigger::Unattended)
    };
    let steps = [
        "preflight",
        "fetch",
        "baseline",
        "stop:sample-api.service",
        "stop:mongod.service",
        "upgrade",
        "build-kernel",
        "stage-check",
        "reboot",
        "verify",
    ];
    let steps = steps.iter().map(|step| step.parse().unwrap()).collect();
    let services = vec![
        PlannedService { unit: mongod(), kind: ServiceKind::Mongodb, after: vec![] },
        PlannedService { unit: api(), kind: ServiceKind::Service, after: vec![mongod()] },
    ];
    let mut run =
        Run::plan(RunId::mint(at(seconds), 0x0f3a), "web1".into(), at(seconds), boot(1), options, steps, services);
    // The fixtures outlive this version.
    run.patchday_version = "0.1.0".into();
    run
}

/// A run on its way; every fact takes a second.
pub struct Story {
    pub run: Run,
    now: i64,
}

impl Story {
    pub fn begin() -> Self {
        Self { run: planned_at(0), now: 0 }
    }

    fn now(&mut self) -> Timestamp {
        self.now += 1;
        at(self.now)
    }

    fn tell(&mut self, fact: Fact) {
        self.run = apply(&self.run, fact).unwrap_or_else(|error| panic!("{error}"));
    }

    fn start(&mut self, step: Step) {
        let (boot, at) = (self.run.boot.clone(), self.now());
        self.tell(Fact::StepBegan { step, boot, at });
    }

    fn end(&mut self, outcome: Outcome, note: Option<&str>) {
        let step = self.run.attempt.as_ref().unwrap().step.clone();
        let at = self.now();
        self.tell(Fact::StepEnded { step, outcome, note: note.map(Into::into), at });
    }

    fn step(&mut self, step: Step, facts: Vec<Fact>, note: Option<&str>) {
        self.start(step);
        facts.into_iter().for_each(|fact| self.tell(fact));
        self.end(Outcome::Succeeded, note);
    }

    fn close(mut self) -> Run {
        self.step(Step::Report, vec![], None);
        let (exit_code, at) = (self.run.exit_code(), self.now());
        self.tell(Fact::Closed { exit_code, at });
        self.run
    }

    /// To the moment before the first service is stopped.
    fn prepare(&mut self) {
        let warning = Finding::new(FindingKey::labelled("free-space"), Severity::Warning, "/boot has 91 MB left")
            .evidence("a kernel takes about 80 MB")
            .remedy("remove old kernels", "apt-get autoremove --purge");
        let checks = vec![
            CheckResult { label: "dpkg-clean".into(), finding: None },
            CheckResult { label: "free-space".into(), finding: Some(warning) },
        ];
        self.step(Step::Preflight, vec![Fact::ChecksAnswered(checks)], Some("1 warning"));
        self.step(Step::Fetch, vec![Fact::UpgradePlanned(upgrade_plan())], Some("3 packages"));
        self.step(Step::Baseline, vec![Fact::BaselineTaken(Box::new(baseline()))], None);
    }

    fn stop_services(&mut self) {
        for unit in [api(), mongod()] {
            self.step(
                Step::stop(unit.clone()),
                vec![
                    Fact::ChangeIntended(Change::Held(unit.clone())),
                    Fact::ChangeIntended(Change::Stopped(unit.clone())),
                    Fact::ServiceStopped(Box::new(proof(&unit))),
                ],
                None,
            );
        }
    }

    /// To the open attempt at the reboot, asked for.
    fn reach_the_reboot(&mut self) {
        self.prepare();
        self.stop_services();
        self.step(Step::Upgrade, vec![], None);
        self.start(Step::BuildKernel);
        self.end(Outcome::Skipped, Some("no DKMS module is missing"));
        let wanted = vec!["kernel 6.1.0-40-amd64 is installed, 6.1.0-39-amd64 runs".into()];
        let kernel = KernelPlan { expected: "6.1.0-40-amd64".into(), managed_here: true, ..KernelPlan::default() };
        self.step(Step::StageCheck, vec![Fact::KernelExpected(kernel), Fact::RebootWanted(wanted)], None);
        self.start(Step::Reboot);
        let at = self.now();
        self.tell(Fact::RebootRequested { at, restart: RestartChoice::default() });
    }
}

pub fn mid_upgrade() -> Run {
    let mut story = Story::begin();
    story.prepare();
    story.stop_services();
    story.start(Step::Upgrade);
    story.run
}

pub fn reboot_requested() -> Run {
    let mut story = Story::begin();
    story.reach_the_reboot();
    story.run
}

pub fn healthy() -> Run {
    let mut story = Story::begin();
    story.reach_the_reboot();
    let at = story.now();
    story.tell(Fact::BootChanged { boot: boot(2), by_kexec: false, at });
    let at = story.now();
    story.tell(Fact::Resumed { boot: boot(2), soft_reboots: None, automatic: true, at });
    let judged = Fact::Judged(Box::new(verification(&story.run.boot)));
    story.step(Step::Verify, vec![judged], Some("healthy"));
    story.close()
}

/// The power went during the upgrade; the packages were repaired, and the services are back.
pub fn failed() -> Run {
    let mut story = Story::begin();
    story.prepare();
    story.stop_services();
    story.start(Step::Upgrade);
    let at = story.now();
    story.tell(Fact::BootChanged { boot: boot(2), by_kexec: false, at });
    story.step(Step::Repair, vec![], Some("repaired: iF libc6"));
    story.step(Step::Restore, vec![], Some("2 services back and ready"));
    story.close()
}

pub fn aborted() -> Run {
    let mut story = Story::begin();
    story.prepare();
    let at = story.now();
    story.tell(Fact::AbortRequested { by: "root (process 812)".into(), at });
    story.close()
}

fn upgrade_plan() -> UpgradePlan {
    let change = |name: &str, action, from: Option<&str>, to: Option<&str>| PackageChange {
        name: name.into(),
        action,
        from: from.map(Into::into),
        to: to.map(Into::into),
        origin: to.map(|_| "Debian-Security:12/oldstable-security".into()),
    };
    UpgradePlan {
        changes: vec![
            change("libssl3", PackageAction::Upgrade, Some("3.0.16-1~deb12u1"), Some("3.0.17-1~deb12u2")),
            change("linux-image-6.1.0-40-amd64", PackageAction::Install, None, Some("6.1.153-1")),
            change("old-helper", PackageAction::Remove, Some("1.2-3"), None),
        ],
        kept_back: vec!["docker-ce".into()],
        ..UpgradePlan::default()
    }
}

fn baseline() -> Baseline {
    let state = |pid| UnitState {
        load: LoadState::Loaded,
        active: ActiveState::Active,
        sub: "running".into(),
        unit_file: "enabled".into(),
        result: Some("success".into()),
        exit_status: Some(0),
        main_pid: Some(pid),
        restarts: 1,
        control_group: "/system.slice/sample.service".into(),
        processes: 1,
        stop_timeout: Some(SignedDuration::from_secs(90)),
        active_since_usec: Some(7_000_000),
        activation_began_usec: Some(6_000_000),
        invocation: "8a52a7c3b1f24d0f9d0e5c9b0c7f2a11".into(),
        after: vec![unit("network.target")],
        needs_daemon_reload: true,
        restart: None,
        service_type: String::new(),
    };
    let service = |unit, pid, readiness| ServiceBaseline { unit, state: state(pid), readiness, latency: None };
    Baseline {
        taken: at(4),
        uptime: SignedDuration::from_hours(720),
        units: UnitSurvey {
            systemd_version: "252.39-1~deb12u1".into(),
            system_state: "degraded".into(),
            active: vec![mongod(), api()],
            failed: vec![unit("logrotate.service")],
            virtualization: String::new(),
        },
        services: vec![
            service(mongod(), 640, Readiness::Ready(millis(3))),
            service(api(), 812, Readiness::NotReady("HTTP 503".into())),
        ],
        sockets: vec![ListeningSocket {
            protocol: "tcp".into(),
            address: "127.0.0.1:27017".into(),
            program: "mongod".into(),
            unit: Some(mongod()),
        }],
        mounts: BTreeMap::from([("/srv".into(), "/dev/vdb1".into())]),
        kernel: KernelFacts {
            running: "6.1.0-39-amd64".into(),
            running_version: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.148-1 (2025-08-26)".into(),
            installed: vec![InstalledKernel {
                release: "6.1.0-39-amd64".into(),
                version: None,
                image_bytes: 8_190_000,
                initrd_bytes: Some(38_000_000),
                has_modules: true,
            }],
            boots: patchday::model::BootSource::Unknown,
            reboot_required: Some(vec!["libc6".into()]),
            vulnerabilities: vec![vulnerability("Vulnerable")],
        },
        packages: BTreeMap::from([("libssl3".into(), "3.0.16-1~deb12u1".into())]),
        dkms: None,
        inventory: None,
    }
}

fn vulnerability(state: &str) -> Vulnerability {
    Vulnerability { name: "spectre_v2".into(), state: state.into() }
}

fn proof(unit: &UnitName) -> StopProof {
    let is_database = *unit == mongod();
    StopProof {
        unit: unit.clone(),
        was_running: true,
        result: Some("success".into()),
        exit_status: Some(0),
        restarts: 0,
        processes_left: 0,
        took: millis(1_250),
        drained: None,
        shutdown: None,
        clients_left: is_database
            .then(|| ClientConnection {
                client: "127.0.0.1:51234".into(),
                app_name: "backup".into(),
                active: true,
                ..ClientConnection::default()
            })
            .into_iter()
            .collect(),
        database: is_database.then(|| DatabaseFacts {
            version: "6.0.5".into(),
            pid: Some(640),
            role: "standalone".into(),
            db_path: Some("/var/lib/mongodb".into()),
            log_path: Some("/var/log/mongodb/mongod.log".into()),
            ..DatabaseFacts::default()
        }),
        database_evidence: is_database.then_some(DatabaseStopEvidence {
            lock_file_bytes: Some(0),
            logged_exit_code: Some(0),
            storage_closed: None,
        }),
        end_evidence: None,
        ended_by_signal: false,
        replica_set: None,
        compatibility: None,
        canary: None,
    }
}

fn verification(boot: &BootId) -> Verification {
    let back = |unit, began, problem: Option<&str>| ServiceReturn {
        unit,
        activation_began_usec: Some(began),
        active_usec: Some(began + 1_000_000),
        ready_usec: Some(began + 2_000_000),
        ready_at: Some(at(60)),
        problem: problem.map(Into::into),
        restarts: 1,
        because_of: problem.map(|_| mongod()),
        latency: None,
    };
    Verification {
        boot: boot.clone(),
        kernel: "6.1.0-40-amd64".into(),
        vulnerabilities: vec![vulnerability("Mitigation: Retpolines")],
        verdict: Verdict::Healthy,
        services: vec![back(mongod(), 5_000_000, None), back(api(), 8_000_000, Some("it answered late"))],
        databases: Vec::new(),
        findings: vec![
            Finding::new(FindingKey::SocketMissing, Severity::Info, "nobody listens on tcp 127.0.0.1:8125; statsd did")
                .hint("see whether its service is up"),
        ],
        edges: Vec::new(),
        expected: Vec::new(),
        recovered: Vec::new(),
    }
}

/// Every sample by the name of its fixture.
pub fn all() -> Vec<(&'static str, Run)> {
    vec![
        ("planned", planned_at(0)),
        ("mid-upgrade", mid_upgrade()),
        ("reboot-requested", reboot_requested()),
        ("healthy", healthy()),
        ("failed", failed()),
        ("aborted", aborted()),
    ]
}
