//! A host in memory: services, packages, kernels and boots that behave as the real ones do, can be made to fail, and can
//! crash or lose power at any chosen moment. For faults that a real machine cannot be made to show at will.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use patchday::config::Settings;
use patchday::coordinator::{AbortFlag, Beginning, Coordinator, Journal, Narrator, NewRun, RunEnd, RunStorage};
use patchday::events::{Event, EventKind};
use patchday::host::clock::RunClock;
use patchday::host::{
    Batches, BootLoader, Budget, Clock, CommandLine, Database, DatabaseForensics, DatabaseInsight, Deployments,
    EndProofs, Host, HostError, HostErrorKind, HostResult, Inhibitor, InhibitorGuard, Kernels, Kexec, Messenger,
    PackageLocks, PackageSurvey, PackageWork, Packages, People, Power, Prober, RunningCode, Shutdown, ShutdownSpec,
    Spoiled, System, UnitChanges, UnitHold, Units, Witness, WorkUnits,
};
use patchday::model::*;
use patchday::store::{RunStore, StateDir, StoreError, StoreResult};

pub const API: &str = "api.service";
pub const MONGOD: &str = "mongod.service";
/// Of another patch tool, and active.
pub const TIMER: &str = "apt-daily.timer";
/// The same, and switched off by somebody.
pub const IDLE_TIMER: &str = "apt-daily-upgrade.timer";

/// Thrown to end the coordinator as SIGKILL would.
pub struct Crash;

#[derive(Debug, Clone)]
pub struct FakeUnit {
    pub active: &'static str,
    pub enabled: bool,
    pub held: bool,
    pub protected: bool,
    /// Held, or protected, until systemd reads its files anew.
    pub let_go: bool,
    pub invocation: u32,
    pub ignores_stop: bool,
    pub fails_to_start: bool,
    pub never_ready: bool,
    pub mends_on_restart: bool,
    /// Processes that outlive the unit, as with `KillMode=process`.
    pub leaves_processes: u32,
    pub service_type: &'static str,
    pub is_transient: bool,
    /// Active, and nothing of it runs.
    pub hollow: bool,
    /// It is active until its stop job, whatever becomes of its processes: `RemainAfterExit=`.
    pub remains: bool,
    /// Its processes end by a stop that fails, and the unit remains.
    pub hollows_on_stop: bool,
    /// So often it ends by itself, soon after it was started.
    pub dies: u32,
    /// It ends, or its job fails, under the work on packages.
    pub ends_with_work: bool,
    pub fails_under_work: bool,
    /// When it ends by itself.
    pub dies_at: Option<Timestamp>,
    /// When a boot comes to it, and from when on it says that it is ready.
    pub starts_at: Option<Timestamp>,
    pub ready_at: Option<Timestamp>,
    /// It answers nobody until it is ready.
    pub is_silent: bool,
}

impl FakeUnit {
    /// A stop deletes what a program made.
    fn is_there(&self) -> bool {
        !self.is_transient || self.active == "active"
    }

    pub fn running() -> Self {
        Self {
            active: "active",
            enabled: true,
            held: false,
            protected: false,
            let_go: false,
            invocation: 1,
            ignores_stop: false,
            fails_to_start: false,
            never_ready: false,
            mends_on_restart: false,
            leaves_processes: 0,
            service_type: "notify",
            is_transient: false,
            hollow: false,
            remains: false,
            hollows_on_stop: false,
            dies: 0,
            ends_with_work: false,
            fails_under_work: false,
            dies_at: None,
            starts_at: None,
            ready_at: None,
            is_silent: false,
        }
    }
}

impl FakeUnit {
    pub fn runs(&self) -> bool {
        self.active == "active" && !self.hollow
    }
}

/// A script of a package that waits in each of these works, until a unit is up or for ever.
#[derive(Debug, Clone)]
pub struct WaitingScript {
    pub works: &'static [&'static str],
    pub wants: Option<&'static str>,
    pub text: &'static str,
    pub cpu_percent: u64,
}

#[derive(Debug, Clone)]
struct FakeWork {
    argv: Vec<String>,
    looks_left: u32,
    fails: bool,
    ended: bool,
}

/// How the world ends a coordinator at its crash point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed; the host goes on.
    Kill,
    /// The host loses power: memory, `/run` and running work are gone.
    PowerCut,
    /// Somebody starts all but the kernel anew: every process is gone, and `/run` is as it was.
    SoftReboot,
}

/// What somebody else does to the host.
pub type Deed = fn(&mut World);

#[derive(Debug)]
pub struct World {
    /// The true time.
    pub now: Timestamp,
    /// What somebody has set the wall's clock to, beside it.
    pub wall_ahead: SignedDuration,
    pub boots: u32,
    /// Since the boot; none where systemd does not count them.
    pub soft_reboots: Option<u32>,
    /// Most hosts have no kexec-tools.
    pub no_kexec: Option<KexecHindrance>,
    pub kexec_refuses: bool,
    pub loaded_kernel: Option<String>,
    pub by_kexec: bool,
    /// When systemd last began, in microseconds since the boot.
    pub userspace_usec: u64,
    pub booted: Timestamp,
    pub units: BTreeMap<String, FakeUnit>,
    /// Units that systemd stops with another one, and sockets that start it: each with the other one.
    pub bonds: Vec<(&'static str, &'static str)>,
    pub pending: Vec<PackageChange>,
    /// What was fetched for another day; the lists and packages of it are those of `pending`.
    pub fetched: Option<FetchedPlan>,
    /// Units that run files which were replaced.
    pub old_code: BTreeSet<String>,
    /// The script of a package asks for a shutdown in two minutes.
    pub script_schedules_shutdown: bool,
    /// No process shows what it runs.
    pub maps_are_hidden: bool,
    pub dpkg_broken: Vec<String>,
    /// Packages that booting needs, where an upgrade is cut in two; and why it is not.
    pub boot_needs: Vec<&'static str>,
    pub unfit: Option<&'static str>,
    /// Packages that are written, and not on disk; and those of them that a power cut took.
    pub in_memory: BTreeSet<String>,
    pub torn: BTreeSet<String>,
    /// How many syncs the disk refuses from now on, and whether the log is spoiled.
    pub failing_syncs: u32,
    pub log_is_spoiled: bool,
    /// A unit of systemd's own that somebody has masked.
    pub masked: Option<&'static str>,
    /// What dpkg says of a database that it cannot read.
    pub dpkg_refuses: Option<&'static str>,
    pub failing_work: Option<&'static str>,
    /// What a script of a package restarts.
    pub restarted_by_script: Option<&'static str>,
    /// A script of a package that waits.
    pub waiting_script: Option<WaitingScript>,
    /// Work that does not come to an end.
    pub hanging_work: Option<&'static str>,
    /// What people were told.
    pub sent: Vec<Parcel>,
    pub nobody_listens: bool,
    /// How many people are logged in.
    pub sessions: usize,
    /// A program that is not root's.
    pub distrusted: Option<String>,
    pub reboot_does_nothing: bool,
    /// How many requests for a reboot logind forgets: it is killed right then.
    pub lost_requests: u32,
    /// Somebody disables it when the coordinator is killed.
    pub disabled_at_crash: Option<&'static str>,
    /// Services of ours that systemd lists as failed.
    pub killed: Vec<&'static str>,
    /// Nobody answers on the bus.
    pub logind_is_gone: bool,
    /// A shutdown waits for a service that does not stop.
    pub reboot_hangs: bool,
    /// logind says no.
    pub reboot_is_refused: bool,
    /// Somebody looks whether the reboot comes to its end.
    pub watches_the_reboot: bool,
    pub going_down: Option<Restart>,
    pub save_fails_after: Option<u32>,
    pub break_on_boot: Vec<&'static str>,
    /// The kernel that runs, those in `/boot` (newest first), and how the boot loader chooses.
    pub kernel: &'static str,
    pub kernels: Vec<&'static str>,
    /// `uname -v`, and the version of each image, as far as they are known.
    pub kernel_version: &'static str,
    pub kernel_versions: Vec<(&'static str, &'static str)>,
    /// What the upgrade makes of them.
    pub versions_after_upgrade: Vec<(&'static str, &'static str)>,
    /// The kernel is the hypervisor's; the boot loader starts a copy that nobody has renewed; what its entry lacks.
    pub hypervisor: bool,
    pub stale_copy: bool,
    pub entry_lacks: Vec<String>,
    /// None is the newest.
    pub default_kernel: Option<String>,
    pub next_kernel: Option<String>,
    /// The upgrade installs it.
    pub new_kernel: Option<&'static str>,
    /// Packages of which every service has a file in use.
    pub used_packages: Vec<&'static str>,
    /// Why nobody can tell what services use.
    pub use_is_hidden: Option<&'static str>,
    /// Packages that apt changes only together with all others.
    pub goes_with_others: Vec<&'static str>,
    /// What a build of a kernel makes, and what it has made.
    pub kernel_to_build: Option<&'static str>,
    pub built_kernel: Option<&'static str>,
    /// What DKMS has, and the one that it cannot build.
    pub modules: Vec<DkmsModule>,
    pub unbuildable: Option<&'static str>,
    /// What the upgrade makes of them.
    pub modules_after_upgrade: Option<Vec<DkmsModule>>,
    /// Bytes that are free in `/boot` until old kernels are removed; plenty where none are given. A kernel takes 28.
    pub boot_free: Option<u64>,
    /// Bytes that every file system has free; plenty where it is none.
    pub disk_free: Option<u64>,
    /// Packages that were not there before the run.
    pub new_packages: BTreeMap<String, String>,
    /// What apt would upgrade if nothing were left out.
    pub left_out: Vec<PackageChange>,
    pub left_out_unknown: Option<&'static str>,
    pub archives: Vec<Archive>,
    /// What is changed with a new kernel that is installed by itself.
    pub kernel_needs: Vec<PackageChange>,
    /// It panics, and reboots.
    pub panics: Option<&'static str>,
    /// Under this kernel, a unit does not start.
    pub breaks_under: Option<(&'static str, &'static str)>,
    pub boot_loader_refuses: bool,
    /// Kernels that the boot loader has entries for; none where there is no boot loader.
    pub boot_entries: Option<Vec<&'static str>>,
    pub unplanned_reboot_in: Option<&'static str>,
    /// How often our own lock is still listed after it was given up.
    pub own_lock_lingers: u32,
    /// Connections to the database that nobody closes.
    pub clients: Vec<ClientConnection>,
    /// What the database has under way.
    pub operations: Vec<RunningOperation>,
    /// When users of the application were last seen.
    pub seen: Vec<Timestamp>,
    /// How the database stands.
    pub condition: DatabaseCondition,
    pub database_is_mute: bool,
    /// The processes of the database's unit while it runs; 7 is the main one.
    pub database_processes: Vec<UnitProcess>,
    /// The API says that it is asked too often.
    pub asked_too_often: Option<SignedDuration>,
    /// So many probes of the API succeed, and no more.
    pub ready_answers: Option<u32>,
    /// Who was probed when.
    pub probes: Vec<(Timestamp, String)>,
    /// What the database says of itself while it runs.
    pub database_facts: DatabaseFacts,
    /// What the database leaves behind.
    pub stop_evidence: DatabaseStopEvidence,
    /// What another server leaves behind, and why nothing would prove its end.
    pub end_evidence: EndEvidence,
    pub proof_is_missing: Option<&'static str>,
    /// How systemd says that the database's unit ended: result, and exit status of its main process.
    pub database_ended: (&'static str, Option<i32>),
    /// While its unit is down, somebody runs a mongod on the same data.
    pub started_by_hand: bool,
    /// Files of the database.
    pub database_files: Vec<FileState>,
    /// The database's user may not see what others do.
    pub inprog_is_refused: bool,
    /// The database's user may not shut it down.
    pub shutdown_is_refused: bool,
    /// How many releases of holds systemd does not answer from now on.
    pub unanswered_releases: u32,
    /// Whoever holds apt's locks, and until when.
    pub locked_until: Option<Timestamp>,
    /// Our own service holds them, or waits for them.
    pub locked_by_us: bool,
    /// What was fetched is no longer there: since this work ended, or at all.
    pub cache_is_emptied_by: Option<&'static str>,
    pub cache_is_empty: bool,
    /// What happens to the host when this work has ended.
    pub then: Option<(&'static str, Deed)>,
    /// Somebody else's lock.
    pub foreign_lock: bool,
    /// What systemd says of itself.
    pub system_state: &'static str,
    /// What the slice of all work is limited to; a boot forgets it.
    pub limits: SliceLimits,
    /// The weights that the work was given, one after the other.
    pub weights: Vec<Option<u64>>,
    /// CPUs, memory and load.
    pub resources: Resources,
    pub systemd: &'static str,
    pub virtualization: &'static str,
    /// None where timedated does not answer.
    pub clock_is_right: Option<bool>,
    /// What cannot be taken back, in order.
    pub effects: Vec<String>,
    pub inventory: Inventory,
    /// What somebody saw of this boot who was there before its services.
    pub sightings: Vec<Sighting>,
    works: BTreeMap<String, FakeWork>,
    saves: u32,
    points: u32,
    /// The point at which each kind of moment came first.
    pub first: BTreeMap<&'static str, u32>,
    /// How often each kind of moment came.
    pub moments: BTreeMap<&'static str, u32>,
    /// How often each line of this file has looked at the world.
    asked: BTreeMap<usize, u32>,
    crash_at: Option<(u32, Fault)>,
    /// How many moments after that crash comes the next one.
    crash_again: Option<(u32, Fault)>,
}

/// Everything known, and nothing there.
fn inventory() -> Inventory {
    Inventory {
        swap: Reading::Known(BTreeSet::new()),
        read_only: Reading::Known(BTreeSet::new()),
        addresses: Reading::Known(BTreeSet::new()),
        routes: Reading::Known(BTreeSet::new()),
        timers: Reading::Known(BTreeMap::new()),
        command_line: Reading::Known("root=/dev/vda1".into()),
        modules: Reading::Known(Modules::default()),
        sysctl: Reading::Known(Sysctl::default()),
        clock_synchronized: Reading::Known(true),
        conffiles: Reading::Known(BTreeSet::new()),
    }
}

/// It starts what it belongs to, and cannot be opened while that runs.
fn is_socket(unit: &str) -> bool {
    unit.ends_with(".socket")
}

pub type Shared = Arc<Mutex<World>>;

/// Notes the line that asks, for [`World::questions`].
#[track_caller]
fn lock(world: &Shared) -> MutexGuard<'_, World> {
    let mut world = world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *world.asked.entry(std::panic::Location::caller().line() as usize).or_default() += 1;
    world
}

/// The names of the functions of ports in this file, as in `Units::state`, each with the line where it begins.
fn questions() -> BTreeMap<usize, Option<String>> {
    let (mut port, mut questions) = ("", BTreeMap::new());
    for (number, line) in (1..).zip(include_str!("fake_host.rs").lines()) {
        let named = |start| line.trim_start().strip_prefix(start)?.split(['(', '<', ' ']).next();
        if let Some(name) = named("impl ") {
            port = name.rsplit("::").next().unwrap_or(name);
        } else if let Some(name) = named("async fn ") {
            questions.insert(number, Some(format!("{port}::{name}")));
        } else if named("fn ").or(named("pub fn ")).is_some() {
            questions.insert(number, None);
        }
    }
    questions
}

impl World {
    /// How often each function of a port was called that looks at the world.
    pub fn questions(&self) -> BTreeMap<String, u32> {
        let functions = questions();
        let mut asked: BTreeMap<String, u32> = BTreeMap::new();
        for (line, times) in &self.asked {
            if let Some((_, Some(name))) = functions.range(..=line).next_back() {
                // One call may come by several of its lines, and by each of them once.
                let most = asked.entry(name.clone()).or_default();
                *most = (*most).max(*times);
            }
        }
        asked
    }

    pub fn new() -> Shared {
        let upgrade = |name: &str| PackageChange {
            name: name.into(),
            action: PackageAction::Upgrade,
            from: Some("1".into()),
            to: Some("2".into()),
            origin: Some("Debian-Security:12/oldstable-security".into()),
        };
        let now: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        let mut units = BTreeMap::new();
        for unit in [API, MONGOD, TIMER, "patchday-resume.service"] {
            units.insert(unit.to_owned(), FakeUnit::running());
        }
        units.insert(IDLE_TIMER.into(), FakeUnit { active: "inactive", enabled: false, ..FakeUnit::running() });
        Arc::new(Mutex::new(Self {
            now,
            wall_ahead: SignedDuration::ZERO,
            boots: 1,
            soft_reboots: Some(0),
            no_kexec: Some(KexecHindrance::NoTool),
            kexec_refuses: false,
            loaded_kernel: None,
            by_kexec: false,
            userspace_usec: 0,
            booted: now - SignedDuration::from_hours(1200),
            units,
            bonds: Vec::new(),
            pending: vec![upgrade("libc6"), upgrade("tzdata")],
            fetched: None,
            old_code: BTreeSet::new(),
            maps_are_hidden: false,
            script_schedules_shutdown: false,
            boot_needs: vec!["libc6"],
            unfit: None,
            in_memory: BTreeSet::new(),
            torn: BTreeSet::new(),
            failing_syncs: 0,
            log_is_spoiled: false,
            dpkg_broken: Vec::new(),
            masked: None,
            dpkg_refuses: None,
            failing_work: None,
            restarted_by_script: None,
            waiting_script: None,
            hanging_work: None,
            sent: Vec::new(),
            nobody_listens: false,
            sessions: 0,
            distrusted: None,
            reboot_does_nothing: false,
            lost_requests: 0,
            disabled_at_crash: None,
            killed: Vec::new(),
            logind_is_gone: false,
            reboot_hangs: false,
            reboot_is_refused: false,
            watches_the_reboot: false,
            going_down: None,
            save_fails_after: None,
            break_on_boot: Vec::new(),
            kernel: "6.1.0-42-amd64",
            kernels: Vec::new(),
            kernel_version: "",
            kernel_versions: Vec::new(),
            versions_after_upgrade: Vec::new(),
            hypervisor: false,
            stale_copy: false,
            entry_lacks: Vec::new(),
            default_kernel: None,
            next_kernel: None,
            new_kernel: None,
            used_packages: Vec::new(),
            use_is_hidden: None,
            goes_with_others: Vec::new(),
            modules: Vec::new(),
            unbuildable: None,
            modules_after_upgrade: None,
            boot_free: None,
            disk_free: None,
            new_packages: BTreeMap::new(),
            left_out: Vec::new(),
            left_out_unknown: None,
            archives: vec![Archive {
                names: ["Debian", "deb.debian.org"].map(str::to_owned).into(),
                told: "Debian:12.15/oldstable".into(),
            }],
            kernel_needs: Vec::new(),
            kernel_to_build: None,
            built_kernel: None,
            panics: None,
            breaks_under: None,
            boot_loader_refuses: false,
            boot_entries: None,
            unplanned_reboot_in: None,
            own_lock_lingers: 0,
            unanswered_releases: 0,
            locked_until: None,
            locked_by_us: false,
            cache_is_emptied_by: None,
            cache_is_empty: false,
            then: None,
            foreign_lock: false,
            system_state: "running",
            clients: Vec::new(),
            operations: Vec::new(),
            seen: Vec::new(),
            condition: DatabaseCondition {
                compatibility: Some("6.0".into()),
                fsync_locked: Some(false),
                journaled: Some(true),
                ..DatabaseCondition::default()
            },
            database_is_mute: false,
            asked_too_often: None,
            ready_answers: None,
            probes: Vec::new(),
            database_processes: vec![UnitProcess { pid: 7, name: "mongod".into(), own_pid: 7 }],
            database_facts: DatabaseFacts {
                version: "6.0.5".into(),
                pid: Some(7),
                role: "standalone".into(),
                db_path: Some("/var/lib/mongodb".into()),
                ..DatabaseFacts::default()
            },
            stop_evidence: DatabaseStopEvidence {
                lock_file_bytes: Some(0),
                logged_exit_code: Some(0),
                storage_closed: Some(true),
            },
            end_evidence: EndEvidence::Redis { log: "the journal".into(), end: RedisEnd::Saved },
            proof_is_missing: None,
            database_ended: ("success", Some(0)),
            started_by_hand: false,
            database_files: Vec::new(),
            inprog_is_refused: false,
            shutdown_is_refused: false,
            limits: SliceLimits::default(),
            weights: Vec::new(),
            resources: Resources { cpus: 2, memory_total: 1 << 32, memory_available: 1 << 31, load_one_minute: 0.1 },
            systemd: "252",
            virtualization: "",
            clock_is_right: Some(true),
            effects: Vec::new(),
            inventory: inventory(),
            sightings: Vec::new(),
            works: BTreeMap::new(),
            saves: 0,
            points: 0,
            first: BTreeMap::new(),
            moments: BTreeMap::new(),
            asked: BTreeMap::new(),
            crash_at: None,
            crash_again: None,
        }))
    }

    pub fn unit(&mut self, unit: &str) -> &mut FakeUnit {
        self.units.get_mut(unit).unwrap()
    }

    /// What is bound to a unit that is stopped goes down with it, without an effect of ours.
    fn take_along(&mut self, stopped: &str) {
        let bound = self.bonds.iter().filter(|(other, on)| *on == stopped && !is_socket(other));
        for (unit, _) in bound.copied().collect::<Vec<_>>() {
            if self.unit(unit).active == "active" {
                self.unit(unit).active = "inactive";
                self.take_along(unit);
            }
        }
    }

    pub fn with_bond(&mut self, unit: &'static str, on: &'static str) {
        self.bonds.push((unit, on));
        self.units.insert(unit.to_owned(), FakeUnit::running());
    }

    /// What was to end by itself by now has.
    fn let_die(&mut self) {
        let now = self.now;
        for fake in self.units.values_mut().filter(|fake| fake.starts_at.is_some_and(|at| at <= now)) {
            if fake.active == "inactive" {
                fake.active = "active";
                fake.invocation += 1;
            }
        }
        for fake in self.units.values_mut().filter(|fake| fake.dies_at.is_some_and(|at| at <= now)) {
            fake.dies_at = None;
            if fake.active == "active" {
                fake.active = "failed";
            }
        }
    }

    fn boot_id(&self) -> BootId {
        format!("00000000-0000-4000-8000-{:012}", self.boots).parse().unwrap()
    }

    /// Everything in memory is gone; what is enabled starts.
    pub fn boot_anew(&mut self) {
        let lost = std::mem::take(&mut self.in_memory);
        self.torn.extend(lost);
        self.boots += 1;
        self.soft_reboots = self.soft_reboots.map(|_| 0);
        (self.loaded_kernel, self.by_kexec) = (None, false);
        self.userspace_usec = 0;
        self.limits = SliceLimits::default();
        for unit in self.units.values_mut() {
            (unit.held, unit.protected, unit.let_go) = (false, false, false);
        }
        self.start_anew();
        self.sightings.clear();
        self.booted = self.now;
    }

    /// A boot by kexec, or a full one where no kernel is loaded.
    pub fn kexec(&mut self) {
        let loaded = self.loaded_kernel.take();
        // Whatever the boot loader would do.
        let once = self.next_kernel.take();
        self.next_kernel = loaded.clone().or_else(|| once.clone());
        self.boot_anew();
        if loaded.is_some() {
            (self.by_kexec, self.next_kernel) = (true, once);
        }
    }

    /// Every process is gone; what is enabled starts, but for what is held.
    pub fn soft_reboot(&mut self) {
        self.soft_reboots = self.soft_reboots.map(|count| count + 1);
        // systemd reads its files anew.
        for unit in self.units.values_mut().filter(|unit| unit.let_go) {
            (unit.held, unit.protected, unit.let_go) = (false, false, false);
        }
        self.userspace_usec = u64::try_from(self.now.duration_since(self.booted).as_micros()).unwrap();
        self.start_anew();
    }

    fn start_anew(&mut self) {
        for work in self.works.values().filter(|work| !work.ended) {
            if ["ahead", "upgrade", "upgrade-base"].contains(&work.argv[0].as_str()) {
                self.dpkg_broken = vec!["iF libc6".into(), "iUR tzdata".into()];
            }
        }
        self.works.clear();
        self.locked_by_us = false;
        self.old_code.clear();
        self.going_down = None;
        self.reboot_hangs = false;
        self.system_state = "running";
        self.now += SignedDuration::from_secs(20);
        for unit in self.units.values_mut() {
            unit.ignores_stop = false;
            unit.hollow = false;
            unit.dies_at = None;
            unit.invocation += 1;
            unit.active = if unit.enabled && !unit.held { "active" } else { "inactive" };
        }
        self.choose_kernel();
        let under = self.breaks_under.filter(|(kernel, _)| *kernel == self.kernel).map(|(_, unit)| unit);
        if let Some((_, unit)) = self.breaks_under {
            self.unit(unit).fails_to_start = false;
        }
        for unit in self.break_on_boot.clone().into_iter().chain(under) {
            self.unit(unit).active = "failed";
            self.unit(unit).fails_to_start = true;
        }
    }

    /// GRUB, where there are kernels; or whatever the scenario says.
    fn boots(&self) -> BootSource {
        let Some(newest) = self.kernels.first() else { return BootSource::Unknown };
        if self.hypervisor {
            return BootSource::Outside { why: "the hypervisor brings it".into() };
        }
        let release = self.default_kernel.clone().unwrap_or_else(|| (*newest).to_owned());
        let version = self.version_of(&release).map(str::to_owned);
        BootSource::Loader(LoaderDefault {
            loader: "GRUB".into(),
            starts: Some(LoaderEntry { release, version, lacks: self.entry_lacks.clone() }),
            follows_newest: self.default_kernel.is_none(),
            why: "its first entry is its default".into(),
        })
    }

    fn version_of(&self, release: &str) -> Option<&'static str> {
        self.kernel_versions.iter().find(|(known, _)| *known == release).map(|(_, version)| *version)
    }

    /// As GRUB does: the entry for one boot is forgotten before it is taken.
    fn choose_kernel(&mut self) {
        if self.hypervisor {
            return;
        }
        let Some(newest) = self.kernels.first() else { return };
        let default = self.default_kernel.clone().unwrap_or_else(|| (*newest).to_owned());
        let mut taken = self.next_kernel.take().unwrap_or_else(|| default.clone());
        if self.panics == Some(taken.as_str()) {
            taken = default;
        }
        self.kernel = self.kernels.iter().find(|kernel| **kernel == taken).unwrap();
        if !self.stale_copy {
            self.kernel_version = self.version_of(self.kernel).unwrap_or(self.kernel_version);
        }
    }

    fn may_list(&self) -> HostResult<()> {
        if self.inprog_is_refused {
            let why = "not authorized: its user needs the action inprog";
            return Err(HostError::new(HostErrorKind::Refused, "list", why));
        }
        Ok(())
    }

    /// A script restarts the service of its own package, with `set -e`.
    fn fails_to_restart(&mut self, kind: &str) -> bool {
        let Some(unit) = self.restarted_by_script.filter(|_| ["upgrade", "configure"].contains(&kind)) else {
            return false;
        };
        let unit = self.unit(unit);
        if !unit.protected && !unit.held {
            unit.invocation += 1;
        }
        unit.protected
    }

    /// A script of a package waits in this work, for a service that is down or for ever.
    fn waits_in(&self, kind: &str) -> bool {
        let Some(script) = &self.waiting_script else { return false };
        let is_up = script.wants.is_some_and(|unit| self.units[unit].active == "active");
        script.works.contains(&kind) && !is_up
    }

    fn processes_of(&self, kind: &str) -> Vec<WorkProcess> {
        let program = WorkProcess { pid: 50, parent: 1, command: vec![kind.to_owned()], ..WorkProcess::default() };
        let Some(script) = self.waiting_script.as_ref().filter(|_| self.waits_in(kind)) else { return vec![program] };
        let text = script.text.to_owned();
        let script = PackageScript { package: "shop-db".into(), name: "postinst".into(), text };
        let command = vec!["/bin/sh".to_owned(), "/var/lib/dpkg/info/shop-db.postinst".to_owned()];
        let cpu_usec = self.waiting_script.as_ref().map_or(0, |script| script.cpu_percent) * 10_000 * self.seconds();
        vec![program, WorkProcess { pid: 51, parent: 50, command, script: Some(script), cpu_usec }]
    }

    fn seconds(&self) -> u64 {
        u64::try_from(self.now.duration_since(self.booted).as_secs()).unwrap()
    }

    /// Moments that have come.
    pub fn points(&self) -> u32 {
        self.points
    }

    pub fn effects_of(&self, name: &str) -> usize {
        self.effects.iter().filter(|effect| effect.as_str() == name).count()
    }

    /// What shows before the work is done.
    fn begin_work(&mut self, kind: &str) {
        match kind {
            "install-kernel" => {
                self.kernels.insert(0, self.built_kernel.unwrap());
                self.dpkg_broken = vec!["iU linux-image".into()];
            }
            // As long as it is at work.
            "upgrade in batch" => {
                assert!(
                    self.boot_needs.iter().all(|first| self.pending.iter().all(|change| change.name != *first)),
                    "not first"
                );
                self.in_memory = self.pending.iter().map(|change| change.name.clone()).collect();
            }
            "remove-kernels" => {
                self.boot_free = None;
                self.dpkg_broken = vec!["iU linux-image".into()];
            }
            _ => {}
        }
    }

    fn finish_work(&mut self, unit: &str) {
        let work = self.works.get_mut(unit).unwrap();
        if work.ended {
            return;
        }
        work.ended = true;
        let is_on_packages = ["ahead", "upgrade", "upgrade-base"].contains(&work.argv[0].as_str());
        for fake in
            self.units.values_mut().filter(|fake| is_on_packages && (fake.ends_with_work || fake.fails_under_work))
        {
            (fake.active, fake.ends_with_work, fake.fails_under_work) = ("failed", false, false);
        }
        let work = self.works.get_mut(unit).unwrap();
        let (work_argv, fails) = (work.argv.clone(), work.fails);
        let kind = &work_argv[0];
        self.effects.push(format!("{kind} ended"));
        self.cache_is_empty = kind != "download" && self.cache_is_empty || self.cache_is_emptied_by == Some(kind);
        match (kind.as_str(), fails) {
            ("ahead" | "upgrade" | "upgrade-base", false) => {
                if kind != "ahead" && self.pending.iter().any(|change| change.name == "libc6") {
                    let active = self.units.iter().filter(|(name, unit)| name.ends_with(".service") && unit.runs());
                    let active = active.map(|(name, _)| name.clone()).filter(|name| !name.starts_with("patchday"));
                    self.old_code.extend(active.chain(["init.scope".to_owned()]));
                }
                // What comes ahead names what it leaves alone; new kernels alone come where it names nothing.
                let waits = |name: &String| work_argv[1..].contains(name);
                let comes = |name: &String| match work_argv.len() {
                    1 => name.starts_with("linux-"),
                    _ => !waits(name),
                };
                let named = |change: &PackageChange| {
                    work_argv.iter().any(|argument| argument.starts_with(&format!("{}=", change.name)))
                };
                let done = |change: &mut PackageChange| match kind.as_str() {
                    "upgrade" => true,
                    "upgrade-base" => named(change),
                    _ => comes(&change.name),
                };
                let new = self.pending.extract_if(.., done).filter(|change| change.action == PackageAction::Install);
                self.new_packages.extend(new.map(|change| (change.name, change.to.unwrap_or_default())));
                if !self.versions_after_upgrade.is_empty() {
                    self.kernel_versions = std::mem::take(&mut self.versions_after_upgrade);
                }
                if let Some(modules) = self.modules_after_upgrade.take() {
                    self.modules = modules;
                }
                if let Some(new) = self.new_kernel.take() {
                    self.kernels = vec![new, self.kernel];
                }
            }
            ("unpack", false) => {
                self.torn.clear();
                self.pending.clear();
                self.dpkg_broken.clear();
            }
            ("kernel-source", false) => self.built_kernel = self.kernel_to_build,
            ("install-kernel", false) => self.dpkg_broken.clear(),
            ("remove-kernels", false) => {
                self.dpkg_broken.clear();
                self.kernels.retain(|release| !work_argv.contains(&format!("linux-image-{release}")));
            }
            ("ahead" | "upgrade" | "upgrade-base" | "install-kernel" | "remove-kernels", true) => {
                self.dpkg_broken = vec!["iF libc6".into()]
            }
            // It fails with one module, and builds the others.
            ("dkms", _) => {
                let kernel = Some(work_argv[1].clone());
                let built = work_argv[2..].iter().filter(|name| self.unbuildable != Some(name.as_str()));
                let installed = |module: &String| DkmsModule {
                    module: module.clone(),
                    kernel: kernel.clone(),
                    state: DkmsState::Installed,
                };
                self.modules.extend(built.map(installed));
            }
            ("configure", false) => self.dpkg_broken.retain(|package| package.starts_with("iUR")),
            ("reinstall", false) => self.dpkg_broken.retain(|package| !package.starts_with("iUR")),
            _ => {}
        }
        if let Some((_, change)) = self.then.take_if(|(after, _)| after == kind) {
            change(self);
        }
    }
}

/// A moment at which the world may end. Called before and after everything that leaves a mark.
fn point(world: &Shared, name: &'static str) {
    let fault = {
        let mut world = lock(world);
        world.points += 1;
        *world.moments.entry(name).or_default() += 1;
        let points = world.points;
        world.first.entry(name).or_insert(points);
        match world.crash_at {
            Some((at, fault)) if at == world.points => {
                if let Some((after, next)) = world.crash_again.take() {
                    world.crash_at = Some((at + after, next));
                }
                Some(fault)
            }
            _ => None,
        }
    };
    match fault {
        Some(Fault::PowerCut) => {
            lock(world).boot_anew();
            resume_unwind(Box::new(Crash));
        }
        Some(Fault::SoftReboot) => {
            lock(world).soft_reboot();
            resume_unwind(Box::new(Crash));
        }
        Some(Fault::Kill) => {
            let disabled = lock(world).disabled_at_crash;
            if let Some(unit) = disabled {
                lock(world).unit(unit).enabled = false;
            }
            resume_unwind(Box::new(Crash))
        }
        None => {}
    }
}

#[derive(Clone)]
pub struct Fake(pub Shared);

fn unknown(what: &str) -> HostError {
    HostError::new(HostErrorKind::Unknown, what, "no answer in time")
}

#[async_trait]
impl Units for Fake {
    async fn start_of(&self, _unit: &UnitName) -> HostResult<UnitStart> {
        Ok(UnitStart::default())
    }

    async fn processes(&self, unit: &UnitName) -> HostResult<Vec<UnitProcess>> {
        let mut world = lock(&self.0);
        world.let_die();
        let fake = world.unit(unit.as_str());
        let (runs, left) = (fake.runs(), fake.leaves_processes);
        let process = |pid, name: &str| UnitProcess { pid, name: name.into(), own_pid: pid };
        let mut processes: Vec<UnitProcess> = (0..left).map(|at| process(700 + at, "python3")).collect();
        match (runs, unit.as_str() == MONGOD) {
            (true, true) => processes.extend(world.database_processes.clone()),
            (true, false) => processes.push(process(7, "main")),
            (false, _) => {}
        }
        Ok(processes)
    }

    async fn state(&self, unit: &UnitName) -> HostResult<UnitState> {
        let mut world = lock(&self.0);
        world.let_die();
        let fake = world.units.get(unit.as_str());
        let is_up = fake.is_some_and(FakeUnit::runs);
        let left = fake.map_or(0, |fake| fake.leaves_processes);
        let is_database = unit.as_str() == MONGOD && !is_up;
        Ok(UnitState {
            load: match unit.as_str() {
                name if world.masked == Some(name) => LoadState::Masked,
                // systemd's own are there.
                name if fake.is_some_and(FakeUnit::is_there)
                    || name.ends_with(".target")
                    || name == "systemd-reboot.service" =>
                {
                    LoadState::Loaded
                }
                _ => LoadState::NotFound,
            },
            active: fake.map_or("inactive", |fake| fake.active).into(),
            sub: if is_up { "running".into() } else { "dead".into() },
            unit_file: fake.map_or("", |fake| if fake.enabled { "enabled" } else { "disabled" }).into(),
            result: Some(if is_database { world.database_ended.0 } else { "success" }.into()),
            exit_status: if is_database { world.database_ended.1 } else { Some(0) },
            // What remains is what systemd knows no main process of.
            main_pid: fake.is_some_and(|fake| fake.runs() && !fake.remains).then_some(7),
            restarts: 0,
            control_group: String::new(),
            processes: u32::from(is_up) + left,
            stop_timeout: Some(SignedDuration::from_secs(90)),
            active_since_usec: Some(match fake.and_then(|fake| fake.starts_at) {
                Some(at) => u64::try_from(at.duration_since(world.booted).as_micros()).unwrap(),
                None => 1,
            }),
            activation_began_usec: Some(1),
            invocation: fake.map_or(0, |fake| fake.invocation).to_string(),
            after: vec![MONGOD.parse().unwrap()],
            needs_daemon_reload: false,
            restart: None,
            service_type: fake.map_or("", |fake| fake.service_type).into(),
        })
    }

    async fn start(&self, unit: &UnitName, _timeout: SignedDuration) -> HostResult<JobResult> {
        point(&self.0, "start");
        let mut world = lock(&self.0);
        world.effects.push(format!("start {unit}"));
        let now = world.now;
        let served = world.bonds.iter().find(|(socket, _)| is_socket(socket) && *socket == unit.as_str()).copied();
        if served.is_some_and(|(_, service)| world.unit(service).active == "active") {
            return Ok(JobResult::Failed);
        }
        let fake = world.unit(unit.as_str());
        if !fake.is_there() {
            return Err(HostError::new(HostErrorKind::NotFound, format!("start {unit}"), "no such unit"));
        }
        if fake.fails_to_start {
            fake.active = "failed";
            return Ok(JobResult::Failed);
        }
        let starts = !fake.held && (fake.active != "active");
        if starts {
            fake.active = "active";
            fake.hollow = false;
            fake.invocation += 1;
            if fake.dies > 0 {
                fake.dies -= 1;
                fake.dies_at = Some(now + SignedDuration::from_secs(4));
            }
            world.old_code.remove(unit.as_str());
        }
        drop(world);
        point(&self.0, "started");
        Ok(JobResult::Done)
    }

    async fn restart(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult> {
        point(&self.0, "restart");
        {
            let mut world = lock(&self.0);
            world.effects.push(format!("restart {unit}"));
            world.old_code.remove(unit.as_str());
            world.unit(unit.as_str()).invocation += 1;
        }
        point(&self.0, "restarted");
        if lock(&self.0).unit(unit.as_str()).mends_on_restart {
            lock(&self.0).unit(unit.as_str()).fails_to_start = false;
        }
        if lock(&self.0).unit(unit.as_str()).hollow {
            lock(&self.0).unit(unit.as_str()).active = "inactive";
        }
        Units::start(self, unit, timeout).await
    }

    async fn stop(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult> {
        point(&self.0, "stop");
        {
            let mut world = lock(&self.0);
            if world.unit(unit.as_str()).protected {
                return Err(HostError::new(HostErrorKind::Refused, format!("stop {unit}"), "it is protected"));
            }
            if world.unit(unit.as_str()).ignores_stop {
                world.now += timeout;
                let fake = world.unit(unit.as_str());
                // Once is enough to end them.
                (fake.hollow, fake.ignores_stop) = (fake.hollows_on_stop, !fake.hollows_on_stop);
                return Err(unknown("the stop job"));
            }
            let fake = world.unit(unit.as_str());
            let (was_active, did_run) = (fake.active == "active", fake.runs());
            (fake.active, fake.hollow) = ("inactive", false);
            if did_run {
                world.effects.push(format!("stop {unit}"));
            } else if was_active {
                world.effects.push(format!("reset {unit}"));
            }
            world.take_along(unit.as_str());
        }
        point(&self.0, "stopped");
        Ok(JobResult::Done)
    }

    async fn hold(&self, holds: &[UnitHold]) -> HostResult<()> {
        for hold in holds {
            point(&self.0, "hold");
            {
                let mut world = lock(&self.0);
                let fake = world.unit(hold.unit.as_str());
                (fake.held, fake.protected, fake.let_go) = (true, false, false);
            }
            point(&self.0, "held");
        }
        Ok(())
    }

    async fn let_go(&self, units: &[UnitName]) -> HostResult<()> {
        point(&self.0, "let go");
        for unit in units {
            lock(&self.0).unit(unit.as_str()).let_go = true;
        }
        point(&self.0, "holds let go");
        Ok(())
    }

    async fn userspace_began(&self) -> HostResult<u64> {
        Ok(lock(&self.0).userspace_usec)
    }

    async fn boot_time(&self, _services: &[UnitName]) -> HostResult<Option<BootTime>> {
        Ok(None)
    }

    async fn protect(&self, unit: &UnitName) -> HostResult<()> {
        point(&self.0, "protect");
        lock(&self.0).unit(unit.as_str()).protected = true;
        point(&self.0, "protected");
        Ok(())
    }

    async fn release(&self, units: &[UnitName]) -> HostResult<()> {
        for unit in units {
            point(&self.0, "release");
            {
                let mut world = lock(&self.0);
                if world.unanswered_releases > 0 {
                    world.unanswered_releases -= 1;
                    world.now += SignedDuration::from_secs(45);
                    return Err(unknown(&format!("release {unit}")));
                }
                let fake = world.unit(unit.as_str());
                (fake.held, fake.protected, fake.let_go) = (false, false, false);
            }
            point(&self.0, "released");
        }
        Ok(())
    }

    async fn survey(&self) -> HostResult<UnitSurvey> {
        let mut world = lock(&self.0);
        world.let_die();
        let with = |active: &str| -> Vec<UnitName> {
            let units = world.units.iter().filter(|(_, fake)| fake.active == active);
            units.map(|(unit, _)| unit.parse().unwrap()).collect()
        };
        Ok(UnitSurvey {
            systemd_version: world.systemd.into(),
            system_state: world.system_state.into(),
            active: with("active"),
            failed: with("failed"),
            virtualization: world.virtualization.into(),
        })
    }

    async fn relations(&self, units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        drop(lock(&self.0));
        let after = |unit: &UnitName| if unit.as_str() == API { vec![MONGOD.parse().unwrap()] } else { Vec::new() };
        let of = |unit: &UnitName| UnitRelations {
            after: after(unit),
            needs: after(unit),
            takes_part: true,
            is_loaded: true,
            conditions_met: true,
            unit_file: "enabled".into(),
            service_type: "notify".into(),
            ..UnitRelations::default()
        };
        Ok(units.iter().map(|unit| (unit.clone(), of(unit))).collect())
    }

    /// All that there are: nothing else than the bonds leads from one to another.
    async fn dependents(&self, _units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        let world = lock(&self.0);
        let of = |unit: &str, trigger: bool| -> Vec<UnitName> {
            let bonds = world.bonds.iter().filter(|(other, on)| *on == unit && is_socket(other) == trigger);
            bonds.map(|(other, _)| other.parse().unwrap()).collect()
        };
        let one = |(unit, fake): (&String, &FakeUnit)| {
            let relations = UnitRelations {
                stops: of(unit, false),
                triggered_by: of(unit, true),
                is_active: fake.active == "active",
                is_loaded: true,
                is_transient: fake.is_transient,
                has_stop_program: fake.remains,
                id: unit.parse().ok(),
                service_type: fake.service_type.into(),
                ..UnitRelations::default()
            };
            (unit.parse().unwrap(), relations)
        };
        Ok(world.units.iter().map(one).collect())
    }

    async fn listen(&self) -> HostResult<Box<dyn UnitChanges>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl UnitChanges for Fake {
    async fn next(&mut self, timeout: SignedDuration) -> BTreeSet<UnitName> {
        let before = lock(&self.0).now;
        let next = lock(&self.0).units.values().filter_map(|fake| fake.starts_at).filter(|at| *at > before).min();
        self.sleep(next.map_or(timeout, |at| timeout.min(at.duration_since(before)))).await;
        let world = lock(&self.0);
        let started = |fake: &FakeUnit| fake.starts_at.is_some_and(|at| before < at && at <= world.now);
        world.units.iter().filter(|(_, fake)| started(fake)).map(|(unit, _)| unit.parse().unwrap()).collect()
    }
}

#[async_trait]
impl patchday::host::Journal for Fake {
    async fn last_lines(&self, unit: &UnitName, _count: usize) -> HostResult<Vec<String>> {
        Ok(vec![format!("systemd: {unit} said something")])
    }
}

#[async_trait]
impl WorkUnits for Fake {
    async fn start(&self, spec: &WorkSpec) -> HostResult<()> {
        point(&self.0, "start work");
        {
            let mut world = lock(&self.0);
            world.effects.push(format!("{} began", spec.argv[0]));
            let kind = spec.argv[0].as_str();
            let fails = world.failing_work == Some(kind) || world.fails_to_restart(kind);
            world.begin_work(&spec.argv.join(" "));
            let work = FakeWork { argv: spec.argv.clone(), looks_left: 3, fails, ended: false };
            world.works.insert(spec.unit.to_string(), work);
        }
        point(&self.0, "work started");
        Ok(())
    }

    async fn look(&self, unit: &UnitName) -> WorkLook {
        point(&self.0, "look");
        let mut world = lock(&self.0);
        let hanging = world.hanging_work;
        let Some(work) = world.works.get_mut(unit.as_str()) else { return WorkLook::NotLoaded };
        let kind = work.argv[0].clone();
        if world.waits_in(&kind) {
            return WorkLook::Running;
        }
        let Some(work) = world.works.get_mut(unit.as_str()) else { return WorkLook::NotLoaded };
        let hangs = hanging == Some(kind.as_str());
        if work.looks_left > 0 || hangs {
            work.looks_left = work.looks_left.saturating_sub(1);
            if world.unplanned_reboot_in == Some(kind.as_str()) {
                world.unplanned_reboot_in = None;
                world.boot_anew();
                drop(world);
                resume_unwind(Box::new(Crash));
            }
            return WorkLook::Running;
        }
        let fails = work.fails;
        world.finish_work(unit.as_str());
        WorkLook::Exited(WorkOutcome {
            result: if fails { "exit-code".into() } else { "success".into() },
            exit_status: Some(if fails { 100 } else { 0 }),
            cpu_usec: None,
        })
    }

    async fn at_work(&self, unit: &UnitName) -> HostResult<Vec<WorkProcess>> {
        let world = lock(&self.0);
        let Some(work) = world.works.get(unit.as_str()).filter(|work| !work.ended) else { return Ok(Vec::new()) };
        Ok(world.processes_of(&work.argv[0]))
    }

    async fn end(&self, unit: &UnitName) -> HostResult<()> {
        point(&self.0, "end");
        let mut world = lock(&self.0);
        if let Some(work) = world.works.remove(unit.as_str()) {
            assert!(!["upgrade", "ahead", "configure"].contains(&work.argv[0].as_str()), "dpkg is cut short");
            world.effects.push(format!("{} cut short", work.argv[0]));
        }
        Ok(())
    }

    async fn collect(&self, unit: &UnitName) -> HostResult<()> {
        point(&self.0, "collect");
        lock(&self.0).works.remove(unit.as_str());
        point(&self.0, "collected");
        Ok(())
    }

    async fn ended(&self, _run: &RunId) -> HostResult<Vec<UnitName>> {
        let world = lock(&self.0);
        let ended = world.works.iter().filter(|(_, work)| work.ended);
        Ok(ended.map(|(unit, _)| unit.parse().unwrap()).collect())
    }

    async fn forget_killed(&self, _run: &RunId) -> HostResult<Vec<UnitName>> {
        point(&self.0, "forget");
        Ok(std::mem::take(&mut lock(&self.0).killed).into_iter().map(|unit| unit.parse().unwrap()).collect())
    }

    async fn read_since(&self, _file: &Path, offset: u64) -> HostResult<(String, u64)> {
        Ok((String::new(), offset))
    }

    async fn start_service(&self, _unit: &UnitName, _description: &str, _argv: &[String]) -> HostResult<()> {
        Ok(())
    }
}

struct NoGuard;
impl InhibitorGuard for NoGuard {}

#[async_trait]
impl Budget for Fake {
    fn slice(&self) -> UnitName {
        "patchday.slice".parse().unwrap()
    }

    async fn limits(&self) -> HostResult<SliceLimits> {
        Ok(lock(&self.0).limits)
    }

    async fn set_limits(&self, limits: &SliceLimits) -> HostResult<()> {
        point(&self.0, "limit");
        {
            let mut world = lock(&self.0);
            world.limits = *limits;
            world.weights.push(limits.cpu_weight);
        }
        point(&self.0, "limited");
        Ok(())
    }

    async fn usage(&self) -> HostResult<Option<GroupUse>> {
        Ok(None)
    }
}

#[async_trait]
impl Power for Fake {
    async fn inhibit(&self, _why: &str) -> HostResult<Box<dyn InhibitorGuard>> {
        point(&self.0, "inhibit");
        Ok(Box::new(NoGuard))
    }

    async fn inhibitors(&self) -> HostResult<Vec<Inhibitor>> {
        let mut world = lock(&self.0);
        let lingers = world.own_lock_lingers > 0;
        world.own_lock_lingers = world.own_lock_lingers.saturating_sub(1);
        let own = lingers.then(std::process::id);
        let foreign = world.foreign_lock.then_some(1);
        let row = |(who, pid): (&str, u32)| Inhibitor {
            what: "shutdown:sleep".into(),
            who: who.into(),
            why: "testing".into(),
            mode: "block".into(),
            pid,
        };
        Ok(own.map(|pid| ("Patchday", pid)).into_iter().chain(foreign.map(|pid| ("somebody", pid))).map(row).collect())
    }

    async fn scheduled_shutdown(&self) -> HostResult<Option<(String, Timestamp)>> {
        let world = lock(&self.0);
        let by_script = world.effects.iter().any(|effect| effect == "upgrade ended") && world.script_schedules_shutdown;
        Ok(by_script.then(|| ("reboot".to_owned(), world.now + SignedDuration::from_mins(2))))
    }

    async fn prepares_shutdown(&self) -> HostResult<bool> {
        let world = lock(&self.0);
        match world.logind_is_gone {
            true => Err(unknown("ask whether a shutdown is on its way")),
            false => Ok(world.going_down.is_some()),
        }
    }

    async fn reboot(&self, restart: Restart) -> HostResult<()> {
        point(&self.0, "reboot");
        let mut world = lock(&self.0);
        if world.logind_is_gone {
            return Err(unknown("ask logind for a reboot"));
        }
        if world.lost_requests > 0 {
            world.lost_requests -= 1;
            return Ok(());
        }
        if world.reboot_is_refused {
            return Err(HostError::new(HostErrorKind::Refused, "ask logind for a reboot", "a shutdown is inhibited"));
        }
        // logind takes a second request for the first.
        if world.going_down.is_none() {
            world.effects.push(restart.name().into());
        }
        if world.reboot_hangs {
            world.system_state = "stopping";
        } else {
            world.going_down = (!world.reboot_does_nothing).then_some(restart);
        }
        drop(world);
        point(&self.0, "reboot asked for");
        Ok(())
    }
}

#[async_trait]
impl Shutdown for Fake {
    async fn jobs(&self) -> HostResult<Vec<PendingJob>> {
        let job = |unit: &str, kind: &str, is_running| PendingJob { unit: unit.into(), kind: kind.into(), is_running };
        let jobs = [job("stuck.service", "stop", true), job("reboot.target", "start", false)];
        Ok(if lock(&self.0).reboot_hangs { jobs.into() } else { Vec::new() })
    }

    async fn is_under_way(&self) -> HostResult<bool> {
        let world = lock(&self.0);
        Ok(world.going_down.is_some() || world.system_state == "stopping")
    }

    async fn begin(&self, restart: Restart) -> HostResult<()> {
        point(&self.0, "begin reboot");
        let mut world = lock(&self.0);
        world.effects.push(format!("{} begun by systemd", restart.name()));
        world.going_down = (!world.reboot_does_nothing).then_some(restart);
        Ok(())
    }

    async fn take_back(&self) -> HostResult<bool> {
        point(&self.0, "take back");
        let mut world = lock(&self.0);
        let was_stopping = world.system_state == "stopping";
        world.system_state = "running";
        world.reboot_hangs = false;
        if was_stopping {
            world.effects.push("shutdown taken back".into());
        }
        drop(world);
        point(&self.0, "taken back");
        Ok(was_stopping)
    }

    async fn force(&self) -> HostResult<()> {
        point(&self.0, "force");
        {
            let mut world = lock(&self.0);
            world.effects.push("reboot forced".into());
            world.going_down = Some(Restart::Full);
        }
        point(&self.0, "forced");
        Ok(())
    }

    async fn soft_reboots(&self) -> HostResult<Option<u32>> {
        Ok(lock(&self.0).soft_reboots)
    }

    async fn hinders_soft_reboot(&self) -> Option<SoftHindrance> {
        lock(&self.0).soft_reboots.is_none().then_some(SoftHindrance::NotCounted)
    }

    async fn watch(&self, _run: &RunId, _after: SignedDuration) -> HostResult<()> {
        point(&self.0, "watch");
        lock(&self.0).watches_the_reboot = true;
        Ok(())
    }

    async fn unwatch(&self, _run: &RunId) -> HostResult<()> {
        lock(&self.0).watches_the_reboot = false;
        Ok(())
    }
}

#[async_trait]
impl Database for Fake {
    async fn facts(&self, access: &DatabaseAccess) -> HostResult<DatabaseFacts> {
        lock(&self.0).let_die();
        let by_hand = lock(&self.0).started_by_hand && lock(&self.0).unit(MONGOD).active == "inactive";
        if lock(&self.0).database_is_mute || !(lock(&self.0).unit(MONGOD).runs() || by_hand) {
            // As the driver does.
            lock(&self.0).now += access.patience.unwrap_or(SignedDuration::from_secs(3));
            return Err(unknown("mongod"));
        }
        Ok(lock(&self.0).database_facts.clone())
    }

    async fn listens(&self, _access: &DatabaseAccess) -> HostResult<bool> {
        let mut world = lock(&self.0);
        let (now, by_hand) = (world.now, world.started_by_hand);
        let mongod = world.unit(MONGOD);
        Ok((mongod.runs() || by_hand) && mongod.ready_at.is_none_or(|at| at <= now))
    }

    async fn step_down(&self, _access: &DatabaseAccess, _catch_up: SignedDuration) -> HostResult<()> {
        Ok(())
    }

    async fn kill_operation(&self, _access: &DatabaseAccess, id: i64) -> HostResult<()> {
        let mut world = lock(&self.0);
        world.effects.push(format!("kill operation {id}"));
        world.operations.retain(|operation| operation.id != id);
        Ok(())
    }

    async fn kill_sessions(&self, _access: &DatabaseAccess, _users: &[String]) -> HostResult<()> {
        Ok(())
    }

    async fn shutdown(&self, _access: &DatabaseAccess, shutdown: ShutdownSpec) -> HostResult<()> {
        point(&self.0, "shutdown");
        {
            let mut world = lock(&self.0);
            if world.unit(MONGOD).ignores_stop {
                world.now += shutdown.patience;
                return Err(unknown("shutdown"));
            }
            if world.shutdown_is_refused {
                return Err(HostError::new(HostErrorKind::Refused, "shutdown", "not authorized (code 13)"));
            }
            world.effects.push(format!("stop {MONGOD}"));
            let fake = world.unit(MONGOD);
            if fake.remains {
                fake.hollow = true;
            } else {
                fake.active = "inactive";
            }
        }
        point(&self.0, "shut down");
        Ok(())
    }
}

#[async_trait]
impl DatabaseInsight for Fake {
    async fn clients(&self, _access: &DatabaseAccess) -> HostResult<Vec<ClientConnection>> {
        let world = lock(&self.0);
        world.may_list()?;
        Ok(world.clients.clone())
    }

    async fn operations(&self, _access: &DatabaseAccess) -> HostResult<Vec<RunningOperation>> {
        let world = lock(&self.0);
        world.may_list()?;
        Ok(world.operations.clone())
    }

    async fn replica_set(&self, _access: &DatabaseAccess) -> HostResult<Option<ReplicaSet>> {
        Ok(None)
    }

    async fn condition(&self, _access: &DatabaseAccess) -> HostResult<DatabaseCondition> {
        Ok(lock(&self.0).condition.clone())
    }

    async fn count_since(
        &self,
        _access: &DatabaseAccess,
        _collection: &str,
        _field: &str,
        since: Timestamp,
    ) -> HostResult<u64> {
        let world = lock(&self.0);
        Ok(world.seen.iter().filter(|seen| **seen >= since).count() as u64)
    }

    async fn canary(&self, _access: &DatabaseAccess, collection: &str) -> HostResult<Canary> {
        Ok(Canary { collection: collection.into(), documents: 3, checksum: Some("00".into()) })
    }
}

#[async_trait]
impl DatabaseForensics for Fake {
    async fn stop_evidence(&self, _facts: &DatabaseFacts) -> DatabaseStopEvidence {
        lock(&self.0).stop_evidence.clone()
    }

    async fn places(&self, facts: DatabaseFacts, _pid: u32) -> DatabaseFacts {
        facts
    }

    async fn start_evidence(&self, _facts: &DatabaseFacts) -> DatabaseStartEvidence {
        DatabaseStartEvidence {
            unclean_shutdown_seen: Some(false),
            ready_after: Some(SignedDuration::from_millis(700)),
            ready_at: None,
        }
    }

    async fn with_ages(
        &self,
        _facts: &DatabaseFacts,
        clients: Vec<ClientConnection>,
        _now: Timestamp,
    ) -> Vec<ClientConnection> {
        clients
    }

    async fn symptoms(&self, unit: &UnitName) -> HostResult<MongodSymptoms> {
        let mut world = lock(&self.0);
        let (active, files) = (world.unit(unit.as_str()).active, world.database_files.clone());
        Ok(MongodSymptoms { unit: unit.to_string(), active: active.into(), files, ..MongodSymptoms::default() })
    }
}

const LOCKS_UNIT: &str = "patchday-locks.service";

#[async_trait]
impl PackageLocks for Fake {
    fn unit(&self, _run: &RunId) -> HostResult<UnitName> {
        Ok(LOCKS_UNIT.parse().unwrap())
    }

    async fn queue(&self, _run: &RunId) -> HostResult<()> {
        point(&self.0, "lock packages");
        lock(&self.0).locked_by_us = true;
        point(&self.0, "packages locked");
        Ok(())
    }

    async fn release(&self, _run: &RunId) -> HostResult<()> {
        point(&self.0, "unlock packages");
        lock(&self.0).locked_by_us = false;
        point(&self.0, "packages unlocked");
        Ok(())
    }
}

#[async_trait]
impl Packages for Fake {
    async fn simulate(&self) -> HostResult<UpgradePlan> {
        let world = lock(&self.0);
        Ok(UpgradePlan {
            changes: world.pending.clone(),
            left_out: world.left_out.clone(),
            left_out_unknown: world.left_out_unknown.map(str::to_owned),
            ..UpgradePlan::default()
        })
    }

    async fn simulate_install(&self, packages: &[String]) -> HostResult<UpgradePlan> {
        let world = lock(&self.0);
        let is_named = |change: &&PackageChange| {
            packages.iter().any(|package| package.split('=').next() == Some(change.name.as_str()))
        };
        let changes = world.pending.iter().filter(is_named).chain(&world.kernel_needs).cloned().collect();
        Ok(UpgradePlan { changes, ..UpgradePlan::default() })
    }

    async fn simulate_without(&self, packages: &[String]) -> HostResult<UpgradePlan> {
        let world = lock(&self.0);
        let stays = |change: &PackageChange| {
            packages.contains(&change.name) || world.goes_with_others.contains(&change.name.as_str())
        };
        let changes = world.pending.iter().filter(|change| !stays(change)).chain(&world.kernel_needs);
        Ok(UpgradePlan { changes: changes.cloned().collect(), ..UpgradePlan::default() })
    }

    async fn simulate_purge(&self, packages: &[String]) -> HostResult<UpgradePlan> {
        let removal = |name: &String| PackageChange {
            name: name.clone(),
            action: PackageAction::Remove,
            from: Some("1".into()),
            to: None,
            origin: None,
        };
        let changes = packages.iter().map(removal).chain(lock(&self.0).kernel_needs.clone()).collect();
        Ok(UpgradePlan { changes, ..UpgradePlan::default() })
    }

    async fn unfetched(&self) -> HostResult<Vec<String>> {
        let world = lock(&self.0);
        Ok(world.pending.iter().filter(|_| world.cache_is_empty).map(|change| format!("{}.deb", change.name)).collect())
    }

    async fn state(&self) -> HostResult<PackageState> {
        Ok(PackageState { broken: lock(&self.0).dpkg_broken.clone(), interrupted: false })
    }

    async fn lock_holders(&self) -> HostResult<Vec<LockHolder>> {
        let world = lock(&self.0);
        let is_held = world.locked_until.is_some_and(|until| world.now < until);
        let holder = LockHolder {
            lock: "/var/lib/dpkg/lock-frontend".into(),
            pid: Some(4711),
            program: "apt-get".into(),
            unit: "apt-daily-upgrade.service".parse().ok(),
        };
        let at_work = world.works.iter().find(|(_, work)| !work.ended && work.argv[0] == "upgrade");
        let ours = |unit: &str| {
            let holder = |lock: &&str| LockHolder {
                lock: (*lock).into(),
                pid: Some(4712),
                program: "patchday".into(),
                unit: unit.parse().ok(),
            };
            PACKAGE_LOCKS.iter().map(holder).collect()
        };
        Ok(match at_work {
            Some((unit, _)) => ours(unit),
            None if is_held => vec![holder],
            None if world.locked_by_us => ours(LOCKS_UNIT),
            None => Vec::new(),
        })
    }

    async fn installed(&self) -> HostResult<BTreeMap<String, String>> {
        let version = if lock(&self.0).pending.is_empty() { "2" } else { "1" };
        let upgraded = ["libc6", "tzdata", "libssl3", "zlib1g", "intel-microcode", "grub-pc"]
            .map(|name| (name.to_owned(), version.to_owned()));
        let new = lock(&self.0).new_packages.clone();
        let kernels = lock(&self.0).kernels.clone();
        let kernels = kernels.iter().map(|release| (format!("linux-image-{release}"), "1".to_owned()));
        let systemd = ("systemd".to_owned(), "252".to_owned());
        Ok([systemd].into_iter().chain(upgraded).chain(kernels).chain(new).collect())
    }

    async fn architecture(&self) -> HostResult<String> {
        Ok("amd64".to_owned())
    }

    async fn archives(&self) -> HostResult<Vec<Archive>> {
        Ok(lock(&self.0).archives.clone())
    }

    fn command(&self, work: &PackageWork) -> HostResult<CommandLine> {
        let name = match work {
            PackageWork::UpgradeWithout(waiting) => {
                return Ok((["ahead".to_owned()].into_iter().chain(waiting.clone()).collect(), Vec::new()));
            }
            PackageWork::Refresh => "refresh",
            PackageWork::Download => "download",
            PackageWork::Upgrade { in_batch: true, .. } => {
                return Ok((["upgrade", "in", "batch"].map(str::to_owned).to_vec(), Vec::new()));
            }
            PackageWork::Upgrade { .. } => "upgrade",
            PackageWork::UpgradeOnly(packages) => {
                return Ok((["upgrade-base".to_owned()].into_iter().chain(packages.clone()).collect(), Vec::new()));
            }
            PackageWork::Mend(_) => "mend",
            PackageWork::Unpack(_) => "unpack",
            PackageWork::Install(_) => "ahead",
            PackageWork::InstallFiles(_) => "install-kernel",
            PackageWork::Purge(packages) => {
                return Ok((["remove-kernels".to_owned()].into_iter().chain(packages.clone()).collect(), Vec::new()));
            }
            PackageWork::Configure => "configure",
            PackageWork::Reinstall(_) => "reinstall",
            PackageWork::FixBroken => "fix-broken",
        };
        Ok((vec![name.into()], Vec::new()))
    }

    fn progress(&self, _work: &PackageWork, _line: &str) -> Option<WorkProgress> {
        None
    }

    async fn begin_fetch(&self) -> HostResult<()> {
        lock(&self.0).fetched = None;
        Ok(())
    }

    async fn keep_fetched(&self, plan: &FetchedPlan) -> HostResult<()> {
        lock(&self.0).fetched = Some(plan.clone());
        Ok(())
    }

    async fn fetched(&self) -> HostResult<Option<FetchedPlan>> {
        Ok(lock(&self.0).fetched.clone())
    }
}

#[async_trait]
impl Batches for Fake {
    async fn prepare(&self, _run: &RunId, plan: &UpgradePlan) -> HostResult<BatchPlan> {
        point(&self.0, "prepare batch");
        let world = lock(&self.0);
        if let Some(why) = world.unfit {
            return Ok(BatchPlan::unfit(why));
        }
        let first: Vec<String> = world.boot_needs.iter().map(|&name| name.to_owned()).collect();
        let rest = plan.changes.iter().filter(|change| !first.contains(&change.name));
        let archive = |change: &PackageChange| BatchArchive {
            package: change.name.clone(),
            version: change.to.clone().unwrap_or_default(),
            file: format!("{}.deb", change.name),
            sha256: String::new(),
            conffiles: Vec::new(),
        };
        Ok(BatchPlan { archives: rest.map(archive).collect(), first, unfit: None })
    }

    async fn begin(&self, _run: &RunId, _batch: &BatchPlan) -> HostResult<()> {
        point(&self.0, "begin batch");
        Ok(())
    }

    async fn sync(&self, _batch: &BatchPlan) -> HostResult<()> {
        point(&self.0, "sync");
        {
            let mut world = lock(&self.0);
            if world.failing_syncs > 0 {
                world.failing_syncs -= 1;
                return Err(HostError::failed("sync the file system of /usr", "Input/output error"));
            }
            world.in_memory.clear();
            world.effects.push("synced".into());
        }
        point(&self.0, "synced");
        Ok(())
    }

    async fn spoiled(&self, _run: &RunId, batch: &BatchPlan) -> HostResult<Spoiled> {
        let problems = if lock(&self.0).log_is_spoiled { vec!["tzdata.deb is gone".to_owned()] } else { Vec::new() };
        let archives = batch.archives.iter().map(|archive| PathBuf::from(&archive.file)).collect();
        Ok(Spoiled { archives, kept: PathBuf::from("/log"), problems })
    }

    async fn damaged(&self, _batch: &BatchPlan) -> HostResult<Vec<String>> {
        Ok(lock(&self.0).torn.iter().cloned().collect())
    }

    async fn forget(&self, _run: &RunId) -> HostResult<()> {
        Ok(())
    }
}

/// A host at rest: nothing that a check would mind.
#[async_trait]
impl PackageSurvey for Fake {
    async fn sources(&self) -> HostResult<Vec<SourceState>> {
        Ok(vec![SourceState { name: "http://deb.debian.org/debian/dists/bookworm".into(), problem: None }])
    }

    async fn lists_refreshed(&self) -> HostResult<Option<Timestamp>> {
        Ok(Some(lock(&self.0).now))
    }

    async fn changed_conffiles(&self, _packages: &[String]) -> HostResult<Vec<ChangedConffile>> {
        Ok(Vec::new())
    }

    async fn held(&self) -> HostResult<Vec<String>> {
        Ok(Vec::new())
    }

    async fn refusals(&self) -> HostResult<Vec<String>> {
        Ok(lock(&self.0).dpkg_refuses.into_iter().map(str::to_owned).collect())
    }

    async fn hooks_before_dpkg(&self) -> HostResult<Vec<String>> {
        Ok(vec!["DPkg::Pre-Invoke: /usr/local/sbin/may-refuse".into()])
    }

    async fn footprints(&self, _packages: &[String]) -> HostResult<BTreeMap<String, Footprint>> {
        drop(lock(&self.0));
        Ok(BTreeMap::new())
    }

    async fn relations(&self) -> HostResult<Vec<InstalledPackage>> {
        let package = |name: &&str| InstalledPackage {
            name: (*name).to_owned(),
            source: (*name).to_owned(),
            ..InstalledPackage::default()
        };
        Ok(lock(&self.0).used_packages.iter().map(package).collect())
    }

    async fn owners(&self, files: &BTreeSet<String>) -> HostResult<BTreeMap<String, BTreeSet<String>>> {
        let owner =
            |file: &String| Some((file.clone(), BTreeSet::from([file.strip_prefix("/usr/lib/of-")?.to_owned()])));
        Ok(files.iter().filter_map(owner).collect())
    }

    async fn outdated(&self) -> HostResult<Option<Outdated>> {
        drop(lock(&self.0));
        Ok(None)
    }
}

#[async_trait]
impl RunningCode for Fake {
    async fn old_code(&self) -> HostResult<Vec<OldCode>> {
        let world = lock(&self.0);
        if world.maps_are_hidden {
            return Err(unknown("look who runs replaced files"));
        }
        let one =
            |unit: &String| OldCode { unit: unit.parse().ok(), program: "main".into(), pid: 7, files: Vec::new() };
        Ok(world.old_code.iter().map(one).collect())
    }

    async fn used(&self, _pids: &[u32], _commands: &[Vec<String>]) -> HostResult<UsedFiles> {
        let world = lock(&self.0);
        if let Some(why) = world.use_is_hidden {
            return Err(HostError::new(HostErrorKind::Unknown, "look what a service uses", why));
        }
        let files = world.used_packages.iter().map(|package| format!("/usr/lib/of-{package}")).collect();
        Ok(UsedFiles { files, ..UsedFiles::default() })
    }
}

#[async_trait]
impl People for Fake {
    async fn sessions(&self) -> HostResult<Vec<Session>> {
        let session = |number| Session {
            id: format!("c{number}"),
            user: "eve".into(),
            terminal: "pts/0".into(),
            remote_host: String::new(),
            since: None,
        };
        Ok((0..lock(&self.0).sessions).map(session).collect())
    }

    async fn peers(&self, _units: &[UnitName]) -> HostResult<Vec<PortPeers>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Deployments for Fake {
    async fn look(&self, path: &str) -> HostResult<Checkout> {
        Ok(Checkout { path: path.to_owned(), ..Checkout::default() })
    }
}

#[async_trait]
impl Kernels for Fake {
    async fn facts(&self) -> HostResult<KernelFacts> {
        let world = lock(&self.0);
        let installed = |release: &&str| InstalledKernel {
            release: (*release).to_owned(),
            version: world.version_of(release).map(str::to_owned),
            image_bytes: 8,
            initrd_bytes: Some(20),
            has_modules: true,
        };
        Ok(KernelFacts {
            running: world.kernel.into(),
            running_version: world.kernel_version.into(),
            installed: world.kernels.iter().map(installed).collect(),
            boots: world.boots(),
            ..KernelFacts::default()
        })
    }

    async fn dkms(&self) -> HostResult<Vec<DkmsModule>> {
        Ok(lock(&self.0).modules.clone())
    }

    async fn excluded(&self, _release: &str) -> HostResult<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }

    async fn failing_hook(&self, _release: &str) -> HostResult<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }

    async fn boot_survey(&self) -> HostResult<BootSurvey> {
        let entries = lock(&self.0).boot_entries.clone();
        let entries = entries.map(|releases| BootEntries {
            loader: "GRUB".into(),
            releases: releases.into_iter().map(str::to_owned).collect(),
        });
        Ok(BootSurvey {
            initramfs_tool: Some("update-initramfs".into()),
            reboots_on_panic: true,
            entries,
            ..BootSurvey::default()
        })
    }

    fn dkms_command(&self, release: &str, modules: &[String]) -> (Vec<String>, Vec<(String, String)>) {
        (["dkms".to_owned(), release.to_owned()].into_iter().chain(modules.iter().cloned()).collect(), Vec::new())
    }

    async fn build_lacks(&self, _source: &KernelSource) -> HostResult<Vec<String>> {
        Ok(Vec::new())
    }

    async fn build_is_due(&self, _source: &KernelSource) -> bool {
        let world = lock(&self.0);
        world.kernel_to_build.is_some_and(|kernel| !world.kernels.contains(&kernel))
    }

    fn build_command(&self, _source: &KernelSource, jobs: u32) -> (Vec<String>, Vec<(String, String)>) {
        (vec!["kernel-source".into(), jobs.to_string()], Vec::new())
    }

    fn build_progress(&self, _line: &str) -> Option<WorkProgress> {
        None
    }

    async fn built(&self, _source: &KernelSource) -> HostResult<BuiltKernel> {
        let world = lock(&self.0);
        let installed = world.kernel_to_build.filter(|kernel| world.kernels.contains(kernel));
        let release = world.built_kernel.or(installed).map(str::to_owned);
        let release = release.ok_or_else(|| HostError::failed("look for the kernel", "nothing was built"))?;
        Ok(BuiltKernel { packages: vec![format!("/usr/src/linux-image-{release}_1_amd64.deb").into()], release })
    }
}

#[async_trait]
impl BootLoader for Fake {
    async fn one_shot(&self, kernel: &str, fallback: &str) -> HostResult<OneShotBoot> {
        let world = lock(&self.0);
        if world.boot_loader_refuses {
            return Err(HostError::new(HostErrorKind::Refused, "start a kernel once", "it has no entry"));
        }
        let saved_before = world.default_kernel.clone();
        let [kernel, fallback] = [kernel, fallback].map(str::to_owned);
        let (kernel_entry, fallback_entry) = (kernel.clone(), fallback.clone());
        Ok(OneShotBoot { kernel, kernel_entry, fallback, fallback_entry, saved_before })
    }

    async fn begin_trial(&self, boot: &OneShotBoot) -> HostResult<()> {
        point(&self.0, "begin trial");
        let mut world = lock(&self.0);
        world.default_kernel = Some(boot.fallback.clone());
        world.next_kernel = Some(boot.kernel.clone());
        drop(world);
        point(&self.0, "trial begun");
        Ok(())
    }

    async fn end_trial(&self, boot: &OneShotBoot, end: TrialEnd) -> HostResult<()> {
        point(&self.0, "end trial");
        let mut world = lock(&self.0);
        world.next_kernel = None;
        world.default_kernel = match end {
            TrialEnd::Kept => boot.saved_before.as_ref().map(|_| boot.kernel.clone()),
            TrialEnd::TakenBack => boot.saved_before.clone(),
            TrialEnd::Dropped => Some(boot.fallback.clone()),
        };
        Ok(())
    }
}

#[async_trait]
impl Kexec for Fake {
    async fn hindrance(&self) -> Option<KexecHindrance> {
        lock(&self.0).no_kexec.clone()
    }

    async fn load(&self, release: &str) -> HostResult<()> {
        point(&self.0, "load kernel");
        let mut world = lock(&self.0);
        if world.kexec_refuses {
            let why = "Operation not permitted (the kernel is locked down: integrity)";
            return Err(HostError::failed(format!("load kernel {release}"), why));
        }
        world.loaded_kernel = Some(release.to_owned());
        drop(world);
        point(&self.0, "kernel loaded");
        Ok(())
    }

    async fn unload(&self) -> HostResult<()> {
        point(&self.0, "unload kernel");
        lock(&self.0).loaded_kernel = None;
        point(&self.0, "kernel unloaded");
        Ok(())
    }

    async fn has_started_this_boot(&self) -> bool {
        lock(&self.0).by_kexec
    }
}

#[async_trait]
impl System for Fake {
    async fn boot(&self) -> Option<BootId> {
        Some(lock(&self.0).boot_id())
    }

    async fn uptime(&self) -> HostResult<SignedDuration> {
        let world = lock(&self.0);
        Ok(world.now.duration_since(world.booted))
    }

    fn moment(&self) -> u64 {
        let world = lock(&self.0);
        u64::try_from(world.now.duration_since(world.booted).as_micros()).unwrap()
    }

    async fn free_space(&self, paths: &[&str]) -> HostResult<BTreeMap<String, u64>> {
        let boot = lock(&self.0).boot_free.unwrap_or(1 << 40);
        let free = |path: &str| if path == "/boot" { boot } else { 1 << 40 };
        Ok(paths.iter().map(|&path| (path.to_owned(), free(path))).collect())
    }

    async fn resources(&self) -> HostResult<Resources> {
        Ok(lock(&self.0).resources.clone())
    }

    async fn file_systems(&self, paths: &[&str]) -> HostResult<Vec<FileSystem>> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let free = lock(&self.0).disk_free.unwrap_or(1 << 40);
        Ok(vec![FileSystem { paths, free, inodes: None }])
    }

    async fn mounts(&self) -> HostResult<Vec<Mount>> {
        Ok(Vec::new())
    }

    async fn fstab(&self) -> HostResult<Vec<FstabEntry>> {
        Ok(Vec::new())
    }

    async fn power_supplies(&self) -> HostResult<Vec<PowerSupply>> {
        Ok(Vec::new())
    }

    async fn distrust(&self, command: &[String]) -> HostResult<Option<String>> {
        let program = command.first().cloned().unwrap_or_default();
        Ok((lock(&self.0).distrusted.as_ref() == Some(&program)).then(|| format!("{program} does not belong to root")))
    }

    async fn clock_synchronized(&self) -> HostResult<bool> {
        lock(&self.0).clock_is_right.ok_or_else(|| unknown("the clock"))
    }

    async fn inventory(&self) -> Inventory {
        lock(&self.0).inventory.clone()
    }

    async fn listening_sockets(&self) -> HostResult<Vec<ListeningSocket>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl EndProofs for Fake {
    async fn find(&self, unit: &UnitName, _wanted: &WantedProof) -> HostResult<ProofSource> {
        let mut world = lock(&self.0);
        let refused = |why| Err(HostError::new(HostErrorKind::NotFound, "find a proof", why));
        let runs = world.unit(unit.as_str()).runs();
        match world.proof_is_missing {
            Some(why) => refused(why),
            None if !runs => refused("it does not run"),
            None => {
                let invocation = world.unit(unit.as_str()).invocation.to_string();
                Ok(ProofSource::Log { pid: 7, log: LogPlace::Journal { invocation, pid: 7 } })
            }
        }
    }

    async fn take(
        &self,
        _wanted: &WantedProof,
        source: &ProofSource,
        _patience: SignedDuration,
    ) -> HostResult<EndEvidence> {
        let mut world = lock(&self.0);
        let invocation = world.unit(API).invocation.to_string();
        let expected = ProofSource::Log { pid: 7, log: LogPlace::Journal { invocation, pid: 7 } };
        assert_eq!((source, world.unit(API).runs()), (&expected, false), "of this start, and when it is down");
        world.effects.push("proof taken".into());
        Ok(world.end_evidence.clone())
    }
}

#[async_trait]
impl Prober for Fake {
    async fn probe(&self, unit: &UnitName, _probe: &ReadinessProbe, _timeout: SignedDuration) -> Readiness {
        let (ready_at, is_silent) = {
            let mut world = lock(&self.0);
            let now = world.now;
            world.probes.push((now, unit.to_string()));
            let fake = world.unit(unit.as_str());
            (fake.ready_at, fake.is_silent)
        };
        if let Some(at) = ready_at {
            let is_early = || lock(&self.0).now < at;
            if is_early() && !is_silent {
                return Readiness::NotReady("HTTP 503".into());
            }
            // Whoever else waits lets the time pass.
            std::future::poll_fn(|task| match is_early() {
                true => {
                    task.waker().wake_by_ref();
                    std::task::Poll::Pending
                }
                false => std::task::Poll::Ready(()),
            })
            .await;
        }
        let mut world = lock(&self.0);
        world.let_die();
        if unit.as_str() == API
            && let Some(left) = world.ready_answers
        {
            world.ready_answers = Some(left.saturating_sub(1));
            if left == 0 {
                return Readiness::NotReady("HTTP 503".into());
            }
        }
        if let Some(after) = world.asked_too_often.filter(|_| unit.as_str() == API) {
            return Readiness::TooOften(Some(after));
        }
        let fake = world.unit(unit.as_str());
        match (if fake.runs() { "active" } else { "inactive" }, fake.never_ready) {
            ("active", false) => Readiness::Ready(SignedDuration::from_millis(2)),
            ("active", true) => Readiness::NotReady("HTTP 503".into()),
            _ => Readiness::NotReady("the unit is down".into()),
        }
    }

    async fn listens(&self, probe: &ReadinessProbe) -> HostResult<bool> {
        match probe {
            ReadinessProbe::Mongodb(access) => Database::listens(self, access).await,
            _ => Ok(true),
        }
    }

    async fn count(&self, _url: &str) -> HostResult<u64> {
        Ok(0)
    }
}

#[async_trait]
impl Witness for Fake {
    async fn begin(&self) -> HostResult<()> {
        lock(&self.0).sightings.clear();
        Ok(())
    }

    async fn note(&self, seen: &Sighting) -> HostResult<()> {
        lock(&self.0).sightings.push(seen.clone());
        Ok(())
    }

    async fn sightings(&self) -> HostResult<Vec<Sighting>> {
        Ok(lock(&self.0).sightings.clone())
    }
}

#[async_trait]
impl Clock for Fake {
    fn wall(&self) -> Timestamp {
        let world = lock(&self.0);
        world.now + world.wall_ahead
    }

    /// Of the machine: a boot of a container does not set it back.
    fn since_boot(&self) -> SignedDuration {
        lock(&self.0).now.duration_since(Timestamp::UNIX_EPOCH)
    }

    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    async fn sleep(&self, duration: SignedDuration) {
        let goes_down = {
            let mut world = lock(&self.0);
            world.now += duration;
            world.going_down
        };
        if let Some(restart) = goes_down {
            match restart {
                Restart::Full => lock(&self.0).boot_anew(),
                Restart::Kexec => lock(&self.0).kexec(),
                Restart::Soft => lock(&self.0).soft_reboot(),
            }
            resume_unwind(Box::new(Crash));
        }
    }
}

#[async_trait]
impl Messenger for Fake {
    async fn send(&self, parcel: &Parcel) -> HostResult<()> {
        point(&self.0, "send");
        let mut world = lock(&self.0);
        world.sent.push(parcel.clone());
        match world.nobody_listens {
            true => Err(HostError::new(HostErrorKind::Unknown, "wall", "nobody listens")),
            false => Ok(()),
        }
    }
}

pub fn host(world: &Shared) -> Host {
    let fake = || Arc::new(Fake(world.clone()));
    Host {
        units: fake(),
        journal: fake(),
        work: fake(),
        budget: fake(),
        power: fake(),
        shutdown: fake(),
        database: fake(),
        insight: fake(),
        forensics: fake(),
        packages: fake(),
        batches: fake(),
        package_locks: fake(),
        package_survey: fake(),
        kernels: fake(),
        boot_loader: fake(),
        kexec: fake(),
        system: fake(),
        running_code: fake(),
        people: fake(),
        deployments: fake(),
        prober: fake(),
        end_proofs: fake(),
        messenger: fake(),
        witness: fake(),
        clock: RunClock::new(fake()),
    }
}

/// The real store, with a crash point before and after each save, and saves that may fail.
/// To write a run as JSON is more than half of what a walk over crashes costs. So only the last one that was saved is
/// written, when the coordinator has ended or the world has: nobody reads it before.
struct CrashingStore {
    store: RunStore,
    world: Shared,
    saved: Mutex<Option<Run>>,
}

impl Drop for CrashingStore {
    fn drop(&mut self) {
        if let Some(run) = self.saved.get_mut().unwrap().take() {
            self.store.save(&run).unwrap();
        }
    }
}

impl RunStorage for CrashingStore {
    fn save(&self, run: &Run) -> StoreResult<()> {
        point(&self.world, "save");
        let fails = {
            let mut world = lock(&self.world);
            world.saves += 1;
            world.save_fails_after.is_some_and(|after| world.saves > after)
        };
        if fails {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(StoreError::Io { action: "write", path: PathBuf::from("run.json"), source });
        }
        *self.saved.lock().unwrap() = Some(run.clone());
        point(&self.world, "saved");
        Ok(())
    }

    fn write_file(&self, name: &str, content: &[u8]) -> StoreResult<()> {
        point(&self.world, "write file");
        self.store.write_file(name, content)?;
        point(&self.world, "file written");
        Ok(())
    }

    fn output_path(&self, name: &str) -> PathBuf {
        self.store.output_path(name)
    }

    fn timeline(&self) -> Vec<Event> {
        self.store.events().read_new().unwrap_or_default()
    }
}

/// Short waits, and the defaults.
pub fn settings() -> Settings {
    let text = format!(
        r#"
        [[service]]
        unit = "{MONGOD}"
        kind = "mongodb"
        stop-timeout = "10s"
        start-timeout = "10s"
        drain-timeout = "5s"
        readiness.probe = "unit"

        [[service]]
        unit = "{API}"
        after = ["{MONGOD}"]
        stop-timeout = "10s"
        start-timeout = "10s"

        [upgrade]
        lock-timeout = "1m"

        [reboot]
        grace = "5m"

        [verify]
        settle = "5s"
        boot-timeout = "2m"

        [report]
        keep = 5

        [[notify]]
        kind = "wall"

        [[notify]]
        kind = "ping"
        url-file = "/etc/ping"
        "#
    );
    patchday::config::parse(&text, Path::new("patchday.toml"), 2, &[]).unwrap().settings
}

/// One run on one world, over all its crashes and boots.
pub struct Scenario {
    pub world: Shared,
    pub settings: Settings,
    pub options: RunOptions,
    pub state: StateDir,
    /// Somebody asks the run to end when this step begins.
    pub abort_at: Option<Step>,
    /// Somebody sets the wall's clock ahead by so much when this step begins.
    pub clock_set: Option<(Step, SignedDuration)>,
    directory: tempfile::TempDir,
}

impl Scenario {
    pub fn new() -> Self {
        // Durability is shown in tests/suite/store.rs; thousands of runs need not wait for a disk.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        Self {
            world: World::new(),
            settings: settings(),
            options: RunOptions::new(Trigger::Unattended),
            state: StateDir::new(directory.path()),
            abort_at: None,
            clock_set: None,
            directory,
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// The boot that runs.
    pub fn boot_id(&self) -> BootId {
        self.world().boot_id()
    }

    pub fn crash_at(self, point: u32, fault: Fault) -> Self {
        self.world().crash_at = Some((point, fault));
        self
    }

    /// The world ends a second time.
    pub fn crash_again_after(&self, points: u32, fault: Fault) {
        self.world().crash_again = Some((points, fault));
    }

    /// Whether the crash point was reached.
    pub fn has_crashed(&self) -> bool {
        let world = self.world();
        world.crash_at.is_some_and(|(at, _)| world.points >= at)
    }

    /// Runs, and resumes after each crash and boot, until the run is closed or stays.
    pub fn run_to_end(&self) -> (RunEnd, Run) {
        let id = RunId::mint(self.world().now, 1);
        let mut end = self.coordinate(&id, Beginning::New);
        for _ in 0..6 {
            match end {
                Some(end) => return (end, self.state.load(&id).unwrap()),
                None if self.state.open_run().unwrap().is_none() && self.state.load(&id).is_err() => {
                    // It crashed before the run was recorded: the caller starts over.
                    end = self.coordinate(&id, Beginning::New);
                }
                None => end = self.coordinate(&id, Beginning::Resumed { automatic: true }),
            }
        }
        panic!("the run does not end");
    }

    /// Somebody types `patchday resume` when the run is over, and again after each crash.
    pub fn undo_leftovers(&self, id: &RunId) -> Run {
        for _ in 0..4 {
            if self.state.unfinished_run().unwrap().is_none() && self.state.leftover().unwrap().is_none() {
                break;
            }
            self.resume_once(id);
        }
        self.state.load(id).unwrap()
    }

    /// Somebody types `patchday resume`, once.
    pub fn resume_once(&self, id: &RunId) -> Run {
        let is_open = self.state.unfinished_run().unwrap().is_some();
        self.coordinate(id, if is_open { Beginning::Resumed { automatic: false } } else { Beginning::Reopened });
        self.state.load(id).unwrap()
    }

    /// One life of the coordinator; none where it crashed.
    fn coordinate(&self, id: &RunId, life: Beginning) -> Option<RunEnd> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let host = host(&self.world);
        let live = || {
            point(&self.world, "lock");
            let locked = self.state.lock("a test").unwrap();
            point(&self.world, "locked");
            let (store, run) = match life {
                Beginning::New => {
                    let new = NewRun {
                        id: id.clone(),
                        host: "web1".into(),
                        options: self.options.clone(),
                        window: None,
                        estimate: None,
                    };
                    let boot = self.world().boot_id();
                    let recorded = new.record(locked, &self.state, boot, &host, &self.settings);
                    let (store, run) = runtime.block_on(recorded).unwrap();
                    point(&self.world, "run created");
                    (store, run)
                }
                Beginning::Reopened => {
                    let (store, run, _) = locked.reopen_leftover().unwrap().unwrap();
                    point(&self.world, "run opened again");
                    (store, run)
                }
                Beginning::Resumed { .. } => match locked.reopen_run().unwrap() {
                    Some((store, run, settings)) => {
                        assert_eq!(settings, self.settings);
                        (store, run)
                    }
                    None => {
                        let exit_code = self.state.load(id).unwrap().closed.unwrap().exit_code;
                        return RunEnd::Closed { exit_code };
                    }
                },
            };
            let clock = host.clock.clone();
            let abort = Arc::new(AbortFlag::default());
            let (signal, at) = (Arc::clone(&abort), self.abort_at.clone());
            let (clock_set, sky) = (self.clock_set.clone(), self.world.clone());
            let world = self.world.clone();
            let view = move |event: &Event| {
                // The view is told after the log.
                point(&world, "event logged");
                if let EventKind::StepStarted { step, .. } = &event.kind
                    && Some(step) == at.as_ref()
                {
                    signal.request();
                }
                if let EventKind::StepStarted { step, .. } = &event.kind
                    && let Some((at, by)) = &clock_set
                    && step == at
                {
                    lock(&sky).wall_ahead = *by;
                }
            };
            let narrator = Narrator::new(id.clone(), store.event_log().unwrap(), clock, Box::new(view));
            let storage = CrashingStore { store, world: self.world.clone(), saved: Mutex::default() };
            let mut coordinator =
                Coordinator::new(&host, &self.settings, Journal::new(run, storage), &narrator, &abort);
            runtime.block_on(async { coordinator.carry(life).await })
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(live)) {
            Ok(end) => Some(end),
            Err(thrown) if thrown.is::<Crash>() => None,
            Err(thrown) => resume_unwind(thrown),
        }
    }

    pub fn state_path(&self) -> &Path {
        self.directory.path()
    }
}

/// The exit code of a run that came to its end.
pub fn ended(end: &RunEnd) -> u8 {
    match end {
        RunEnd::Closed { exit_code } => *exit_code,
        other => panic!("{other:?}"),
    }
}

/// What was active is active again, and what was not has never been started.
pub fn assert_timers_as_before(units: &BTreeMap<String, FakeUnit>, context: &str) {
    assert_eq!(units[TIMER].active, "active", "{TIMER} is still paused {context}");
    assert_eq!((units[IDLE_TIMER].active, units[IDLE_TIMER].enabled), ("inactive", false), "{IDLE_TIMER} {context}");
}

/// Ends the world at every moment of a run, one after the other. Whenever that is, the run comes to its end and the
/// services run; `look` sees the rest.
pub fn at_every_moment(fault: Fault, scenario: impl Fn() -> Scenario, mut look: impl FnMut(&Scenario, &Run, u8, &str)) {
    for point in 1_u32.. {
        let scenario = scenario().crash_at(point, fault);
        let (end, run) = scenario.run_to_end();
        if !scenario.has_crashed() {
            break;
        }
        let context = format!("after {fault:?} at point {point}");
        let RunEnd::Closed { exit_code } = end else { panic!("{end:?} {context}") };
        assert_in_service(&scenario, &context);
        look(&scenario, &run, exit_code, &context);
    }
}

pub fn assert_in_service(scenario: &Scenario, context: &str) {
    let mut world = scenario.world();
    for unit in [API, MONGOD] {
        assert_eq!(world.unit(unit).active, "active", "{unit} is down {context}");
        assert!(!world.unit(unit).held, "{unit} is held {context}");
        assert!(!world.unit(unit).protected, "{unit} is protected {context}");
    }
    assert_timers_as_before(&world.units, context);
    assert!(world.dpkg_broken.is_empty(), "dpkg is dirty {context}");
    assert!(
        world.in_memory.is_empty() && world.torn.is_empty(),
        "{:?} and {:?} {context}",
        world.in_memory,
        world.torn
    );
    assert!(!world.locked_by_us, "the locks of apt are kept {context}");
    assert_eq!(world.limits, SliceLimits::default(), "the limits of the work are still set {context}");
    drop(world);
    assert_eq!(scenario.state.open_run().unwrap(), None, "the run is still open {context}");
}
