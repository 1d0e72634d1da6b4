//! A run for the tests of the faces and views: built from its events, so that both tell one story.

use jiff::{SignedDuration, Timestamp};

use crate::events::{EVENT_VERSION, Event, EventKind};
use crate::model::{
    ActiveState, Attempt, AttemptRecord, Baseline, BootId, CheckResult, ClientConnection, Closing, DatabaseFacts,
    DatabaseStopEvidence, EdgeReturn, ExpectedDifference, Finding, FindingKey, KernelFacts, KernelPlan, Latency,
    LoadState, OrderKept, OrderUnknown, Outcome, PackageAction, PackageChange, Phase, PlannedService, Readiness, Run,
    RunOptions, ServiceBaseline, ServiceKind, ServiceReturn, Severity, Step, StopProof, Trigger, UnitName, UnitState,
    UnitSurvey, UpgradePlan, Verdict, Verification, Vulnerability,
};

pub(crate) const OLD_KERNEL: &str = "6.1.0-39-cloud-amd64";
pub(crate) const NEW_KERNEL: &str = "6.1.0-40-cloud-amd64";

pub(crate) fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

pub(crate) fn boot(number: u8) -> BootId {
    format!("{number}c6f1e2a-0b0f-4d53-9d5b-0a2f1e6f7a10").parse().unwrap()
}

pub(crate) fn secs(seconds: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(seconds).unwrap()
}

/// So many seconds after the beginning.
pub(crate) fn at(seconds: f64) -> Timestamp {
    "2026-11-23T23:10:00Z".parse::<Timestamp>().unwrap() + secs(seconds)
}

pub(crate) fn event(seconds: f64, kind: EventKind) -> Event {
    Event { v: EVENT_VERSION, run: "20261123t231000z-0f3a".parse().unwrap(), at: at(seconds), kind }
}

/// Binds snapshots to the directory of all snapshots.
pub(crate) fn snapshots(check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"));
    settings.set_omit_expression(true);
    settings.bind(check);
}

/// A story under construction.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) run: Run,
    pub(crate) events: Vec<Event>,
    pub(crate) now: f64,
}

impl Story {
    /// A run that has only been minted.
    pub(crate) fn new() -> Self {
        let (api, mongod) = (unit("sample-api.service"), unit("mongod.service"));
        let steps = vec![
            Step::Preflight,
            Step::Fetch,
            Step::Baseline,
            Step::stop(api.clone()),
            Step::stop(mongod.clone()),
            Step::Upgrade,
            Step::BuildKernel,
            Step::StageCheck,
            Step::Reboot,
            Step::Verify,
            Step::Report,
        ];
        let mut run = Run::plan(
            "20261123t231000z-0f3a".parse().unwrap(),
            "web1".into(),
            at(0.0),
            boot(1),
            RunOptions::new(Trigger::Operator),
            steps.clone(),
            vec![
                PlannedService { unit: mongod.clone(), kind: ServiceKind::Mongodb, after: Vec::new() },
                PlannedService { unit: api, kind: ServiceKind::Service, after: vec![mongod] },
            ],
        );
        // The snapshots shall not change with every release.
        run.patchday_version = "0.1.0".into();
        let mut story = Self { run, events: Vec::new(), now: 0.0 };
        story.tell(EventKind::RunStarted { host: "web1".into(), steps });
        story
    }

    pub(crate) fn tell(&mut self, kind: EventKind) {
        self.events.push(event(self.now, kind));
    }

    pub(crate) fn begin(&mut self, step: Step) {
        let number = self.run.attempts_of(&step) + 1;
        let began = at(self.now);
        self.run.attempt = Some(Attempt { step: step.clone(), number, boot: self.run.boot.clone(), began });
        self.tell(EventKind::StepStarted { step, attempt: number });
    }

    pub(crate) fn end(&mut self, seconds: f64, outcome: Outcome, note: &str) {
        self.now += seconds;
        let attempt = self.run.attempt.take().unwrap();
        let step = attempt.step.clone();
        let note = (!note.is_empty()).then(|| note.to_owned());
        if let (Outcome::Succeeded | Outcome::Skipped, Some(phase)) = (outcome, step.nature().phase_after) {
            self.run.phase = phase;
        }
        self.run.history.push(AttemptRecord { attempt, outcome, note: note.clone(), ended: at(self.now) });
        let took = at(self.now).duration_since(self.run.history.last().unwrap().attempt.began);
        self.tell(EventKind::StepEnded { step, outcome, note, took });
    }

    pub(crate) fn step(&mut self, step: Step, seconds: f64, note: &str) {
        self.begin(step);
        self.end(seconds, Outcome::Succeeded, note);
    }

    pub(crate) fn progress(&mut self, seconds: f64, fraction: Option<f64>, message: &str) {
        self.now += seconds;
        let step = self.run.attempt.as_ref().unwrap().step.clone();
        self.tell(EventKind::StepProgressed { step, fraction, remaining: None, message: message.into() });
    }

    pub(crate) fn fail(&mut self, step: Step, seconds: f64, reason: &str) {
        self.begin(step.clone());
        self.end(seconds, Outcome::Failed, reason);
        self.run.phase = Phase::Failed { step, reason: reason.into() };
    }

    pub(crate) fn restore(&mut self, units: &[&str]) {
        self.begin(Step::Restore);
        for name in units {
            self.now += 2.0;
            self.tell(EventKind::ServiceReady { unit: unit(name), after: secs(1.9) });
        }
        self.end(0.1, Outcome::Succeeded, "every service is ready");
    }

    pub(crate) fn close(&mut self, exit_code: u8) {
        self.step(Step::Report, 0.1, "");
        self.run.closed = Some(Closing { at: at(self.now), exit_code });
        self.tell(EventKind::RunEnded { exit_code, phase: self.run.phase.name().into() });
    }

    /// Checks, packages and baseline: everything before the host is touched.
    pub(crate) fn prepare(&mut self) {
        self.begin(Step::Preflight);
        let warning =
            Finding::new(FindingKey::labelled("boot-space"), Severity::Warning, "/boot has room for one more kernel")
                .evidence("84 MiB free of 256 MiB, 61 MiB wanted")
                .remedy("remove old kernels", "apt-get autoremove --purge");
        let found = CheckResult { label: "boot-space".into(), finding: Some(warning) };
        self.run.checks = vec![CheckResult { label: "dpkg-clean".into(), finding: None }, found.clone()];
        self.tell(EventKind::CheckFound { check: found });
        self.end(0.4, Outcome::Succeeded, "12 checks, 1 warning");
        self.begin(Step::Fetch);
        let upgrade = |name: &str, from: &str, to: &str, origin: &str| PackageChange {
            name: name.into(),
            action: PackageAction::Upgrade,
            from: Some(from.into()),
            to: Some(to.into()),
            origin: Some(origin.into()),
        };
        let image = format!("linux-image-{NEW_KERNEL}");
        self.run.upgrade = Some(UpgradePlan {
            changes: vec![
                upgrade("base-files", "12.4+deb12u11", "12.4+deb12u12", "Debian:12.12/oldstable"),
                upgrade("libssl3", "3.0.16-1~deb12u1", "3.0.17-1~deb12u2", "Debian-Security:12/oldstable-security"),
                PackageChange {
                    name: image,
                    action: PackageAction::Install,
                    from: None,
                    to: Some("6.1.153-1".into()),
                    origin: Some("Debian-Security:12/oldstable-security".into()),
                },
            ],
            kept_back: vec!["grub-pc".into()],
            phased: vec!["libnetplan1".into()],
            ..UpgradePlan::default()
        });
        self.tell(EventKind::UpgradePlanned { changes: 3, security: 2, removals: 0 });
        self.end(8.2, Outcome::Succeeded, "3 packages, 2 security");
        self.begin(Step::Baseline);
        self.run.baseline = Some(baseline());
        self.end(1.3, Outcome::Succeeded, "184 units, 9 sockets");
    }

    /// Stops a service and proves it.
    pub(crate) fn stop(&mut self, name: &str, seconds: f64) {
        self.begin(Step::stop(unit(name)));
        let is_database = name.starts_with("mongod");
        self.run.stops.push(StopProof {
            unit: unit(name),
            was_running: true,
            result: Some("success".into()),
            exit_status: Some(0),
            restarts: 0,
            processes_left: 0,
            took: secs(seconds),
            drained: None,
            shutdown: None,
            clients_left: if is_database { vec![backup()] } else { Vec::new() },
            database: is_database.then(|| DatabaseFacts {
                version: "6.0.5".into(),
                pid: Some(812),
                role: "standalone".into(),
                db_path: Some("/var/lib/mongodb".into()),
                ..DatabaseFacts::default()
            }),
            database_evidence: is_database.then_some(DatabaseStopEvidence {
                lock_file_bytes: Some(0),
                logged_exit_code: Some(0),
                storage_closed: Some(true),
            }),
            end_evidence: None,
            ended_by_signal: false,
            replica_set: None,
            compatibility: is_database.then(|| "6.0".into()),
            canary: None,
        });
        self.now += seconds;
        self.tell(EventKind::ServiceStopped { unit: unit(name), took: secs(seconds) });
        self.now -= seconds;
        self.end(seconds, Outcome::Succeeded, "proven down");
    }

    /// The reboot, and the look at the new boot until the verdict.
    pub(crate) fn reboot(&mut self) {
        self.begin(Step::Reboot);
        self.run.reboots = 1;
        self.run.reboot_requested = Some(at(self.now));
        self.run.reboot_reasons = vec![format!("kernel {NEW_KERNEL} is newer than the running one")];
        self.tell(EventKind::RebootRequested { reasons: self.run.reboot_reasons.clone(), restart: Default::default() });
        self.now += 14.2;
        self.run.boot = boot(2);
        self.run.rebooted = Some(at(self.now));
        self.tell(EventKind::RunResumed {
            boot: boot(2),
            phase: "reboot requested".into(),
            decision: "the host has rebooted".into(),
        });
        self.tell(EventKind::BootChanged { boot: boot(2), down: secs(14.2), planned: true });
        // The change of the boot ends the attempt; no event of its own tells that.
        let attempt = self.run.attempt.take().unwrap();
        self.run.history.push(AttemptRecord { attempt, outcome: Outcome::Succeeded, note: None, ended: at(self.now) });
        self.run.phase = Phase::Rebooted;
    }

    /// The judgement: both services back, with these findings.
    pub(crate) fn verify(&mut self, verdict: Verdict, findings: Vec<Finding>, returns: Vec<ServiceReturn>) {
        self.begin(Step::Verify);
        for back in &returns {
            if let (Some(ready), Some(usec)) = (back.ready_at, back.ready_usec) {
                let after = SignedDuration::from_micros(usec as i64);
                self.events.push(Event {
                    at: ready,
                    ..event(0.0, EventKind::ServiceReady { unit: back.unit.clone(), after })
                });
            }
        }
        self.now += 12.0;
        self.tell(EventKind::VerdictReached { verdict, findings: findings.iter().map(|f| f.title.clone()).collect() });
        self.now -= 12.0;
        let (order, why) = match verdict {
            Verdict::Failed => (OrderKept::Unknown, Some(OrderUnknown::NotReady)),
            _ => (OrderKept::Kept, None),
        };
        self.run.verification = Some(Verification {
            boot: self.run.boot.clone(),
            kernel: if self.run.rebooted.is_some() { NEW_KERNEL.into() } else { OLD_KERNEL.into() },
            vulnerabilities: vulnerabilities("Mitigation: Clear CPU buffers"),
            verdict,
            services: returns,
            databases: Vec::new(),
            findings,
            edges: vec![EdgeReturn { unit: unit("sample-api.service"), on: unit("mongod.service"), order, why }],
            expected: vec![ExpectedDifference {
                what: "session-3.scope does not run".into(),
                rule: "scopes belong to logins and containers, which end with the boot".into(),
            }],
            recovered: Vec::new(),
        });
        let first = self.run.verification.as_ref().and_then(|v| v.findings.first()).map(|f| f.title.clone());
        if verdict == Verdict::Failed {
            let reason = first.unwrap();
            self.end(12.0, Outcome::Failed, &reason);
            self.run.phase = Phase::Failed { step: Step::Verify, reason };
        } else {
            self.end(12.0, Outcome::Succeeded, verdict.name());
        }
    }

    /// Everything up to the request for the reboot.
    pub(crate) fn patched() -> Self {
        let mut story = Self::new();
        story.prepare();
        story.stop("sample-api.service", 0.3);
        story.stop("mongod.service", 1.1);
        story.begin(Step::Upgrade);
        story.progress(4.0, Some(0.31), "libssl3");
        story.progress(7.0, Some(0.62), "base-files");
        story.end(5.0, Outcome::Succeeded, "3 packages");
        story.begin(Step::BuildKernel);
        story.end(0.1, Outcome::Skipped, "no DKMS module on this host");
        story.run.kernel =
            Some(KernelPlan { expected: NEW_KERNEL.into(), managed_here: true, ..KernelPlan::default() });
        story.step(Step::StageCheck, 0.6, &format!("{NEW_KERNEL} is complete"));
        story
    }

    /// A run as it should be.
    pub(crate) fn healthy() -> Self {
        let mut story = Self::patched();
        story.reboot();
        let returns = vec![back("mongod.service", 4.1, 4.9), back("sample-api.service", 5.2, 5.8)];
        story.verify(Verdict::Healthy, Vec::new(), returns);
        story.close(0);
        story
    }

    pub(crate) fn report(&self) -> crate::report::Report {
        crate::report::build(&self.run, &self.events, at(self.now))
    }
}

/// A service that came back: active and ready so many seconds after the boot, which began 9 s before it was noticed.
pub(crate) fn back(name: &str, active: f64, ready: f64) -> ServiceReturn {
    let usec = |seconds: f64| Some((seconds * 1e6) as u64);
    ServiceReturn {
        unit: unit(name),
        activation_began_usec: usec(active - 0.2),
        active_usec: usec(active),
        ready_usec: usec(ready),
        ready_at: Some(at(42.2 + ready)),
        problem: None,
        restarts: 0,
        because_of: None,
        latency: Latency::of(vec![secs(0.003); 20]),
    }
}

fn backup() -> ClientConnection {
    ClientConnection {
        client: "10.0.0.7:51234".into(),
        app_name: "nightly-backup".into(),
        ..ClientConnection::default()
    }
}

pub(crate) fn vulnerabilities(mds: &str) -> Vec<Vulnerability> {
    [("mds", mds), ("meltdown", "Mitigation: PTI"), ("mmio_stale_data", "Vulnerable: no microcode")]
        .map(|(name, state)| Vulnerability { name: name.into(), state: state.into() })
        .to_vec()
}

fn baseline() -> Baseline {
    let running = UnitState {
        load: LoadState::Loaded,
        active: ActiveState::Active,
        sub: "running".into(),
        unit_file: "enabled".into(),
        result: Some("success".into()),
        exit_status: None,
        main_pid: Some(812),
        restarts: 0,
        control_group: "/system.slice/mongod.service".into(),
        processes: 1,
        stop_timeout: Some(secs(90.0)),
        active_since_usec: Some(5_000_000),
        activation_began_usec: Some(4_000_000),
        invocation: "00ff".into(),
        after: Vec::new(),
        needs_daemon_reload: false,
        restart: None,
        service_type: String::new(),
    };
    let service = |name: &str| ServiceBaseline {
        unit: unit(name),
        state: running.clone(),
        readiness: Readiness::Ready(secs(0.002)),
        latency: Latency::of(vec![secs(0.002); 20]),
    };
    Baseline {
        taken: at(9.9),
        uptime: secs(2_592_000.0),
        units: UnitSurvey::default(),
        services: vec![service("mongod.service"), service("sample-api.service")],
        sockets: Vec::new(),
        mounts: Default::default(),
        kernel: KernelFacts {
            running: OLD_KERNEL.into(),
            vulnerabilities: vulnerabilities("Vulnerable: Clear CPU buffers attempted, no microcode"),
            ..KernelFacts::default()
        },
        packages: Default::default(),
        dkms: None,
        inventory: None,
    }
}
