//! A systemd that does what its script says: manager, units and services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectServer, OwnedObjectPath, OwnedVariant};

use super::daemon::BusDaemon;
use super::units::{Service, Unit};
use super::{Fault, soon};

type UnitRow = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// How the next job of a unit goes.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// `JobRemoved` with this word is sent before the reply, after this many signals of other jobs.
    BeforeReply { result: &'static str, noise: u32 },
    /// The job stays until the test ends it.
    Never,
    /// The call is carried out, and its reply lost with this error.
    LostReply { result: &'static str, fault: Fault },
    /// The call fails.
    Refused(Fault),
}

impl Ending {
    pub(crate) fn with(result: &'static str) -> Self {
        Self::BeforeReply { result, noise: 0 }
    }
}

/// One unit, in systemd's words.
#[derive(Debug, Clone)]
pub(crate) struct MockUnit {
    pub(crate) load: &'static str,
    pub(crate) active: &'static str,
    pub(crate) sub: &'static str,
    pub(crate) result: &'static str,
    pub(crate) main_code: i32,
    pub(crate) main_status: i32,
    pub(crate) main_pid: u32,
    pub(crate) started: u64,
    pub(crate) cpu_nsec: u64,
    pub(crate) stop_timeout: u64,
    pub(crate) transient: bool,
    /// Another drop-in has the last word on `Restart=`.
    pub(crate) restarts_anyway: bool,
    pub(crate) job: u32,
}

impl MockUnit {
    pub(crate) fn running() -> Self {
        Self {
            load: "loaded",
            active: "active",
            sub: "running",
            result: "success",
            main_code: 0,
            main_status: 0,
            main_pid: 4711,
            started: 5_000_000,
            cpu_nsec: u64::MAX,
            stop_timeout: 90_000_000,
            transient: false,
            restarts_anyway: false,
            job: 0,
        }
    }

    pub(crate) fn dead() -> Self {
        Self { active: "inactive", sub: "dead", main_pid: 0, started: 0, ..Self::running() }
    }

    pub(super) fn not_found() -> Self {
        Self { load: "not-found", ..Self::dead() }
    }
}

/// What is behind the objects; shared with the test, and kept when the bus dies.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) units: BTreeMap<String, MockUnit>,
    endings: BTreeMap<String, Vec<Ending>>,
    subscribers: BTreeSet<String>,
    reload_faults: u32,
    blind_to_drop_ins: bool,
    pub(super) drop_ins: BTreeMap<String, Vec<String>>,
    transient: BTreeMap<String, BTreeMap<String, OwnedVariant>>,
    last_job: u32,
    root: PathBuf,
}

/// The mock. Its state outlives the bus.
#[derive(Clone)]
pub(crate) struct MockSystemd {
    state: Arc<Mutex<State>>,
    calls: Arc<watch::Sender<Vec<String>>>,
}

impl MockSystemd {
    pub(crate) fn new(daemon: &BusDaemon) -> Self {
        let state = State { root: daemon.root().to_owned(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), calls: Arc::new(watch::Sender::new(Vec::new())) }
    }

    /// Puts it on the bus, for as long as the connection lives.
    pub(crate) async fn attach(&self, daemon: &BusDaemon) -> Connection {
        self.state().subscribers.clear();
        let manager = Manager { mock: self.clone() };
        let builder = daemon.builder().serve_at("/org/freedesktop/systemd1", manager);
        let connection = builder.build().await.unwrap();
        let names: Vec<String> = self.state().units.keys().cloned().collect();
        for name in names {
            self.serve(connection.object_server(), &name).await.unwrap();
        }
        // The name comes last: whoever sees it finds everything.
        connection.request_name("org.freedesktop.systemd1").await.unwrap();
        connection
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Before attaching only.
    pub(crate) fn unit(&self, name: &str, unit: MockUnit) {
        self.state().units.insert(name.to_owned(), unit);
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut MockUnit)) {
        change(self.state().units.get_mut(name).unwrap());
    }

    /// How the unit's next jobs go, one after the other. Without, jobs end well.
    pub(crate) fn ending(&self, name: &str, ending: Ending) {
        self.state().endings.entry(name.to_owned()).or_default().push(ending);
    }

    pub(crate) fn fail_reloads(&self, times: u32) {
        self.state().reload_faults = times;
    }

    pub(crate) fn ignore_drop_ins(&self) {
        self.state().blind_to_drop_ins = true;
    }

    pub(crate) fn transient_properties(&self, name: &str) -> BTreeMap<String, OwnedVariant> {
        let state = self.state();
        state.transient[name].iter().map(|(name, value)| (name.clone(), value.try_clone().unwrap())).collect()
    }

    /// Forgets the job of a unit without a word, as when the signal is lost.
    pub(crate) fn end_silently(&self, name: &str, active: &'static str, sub: &'static str) {
        self.change(name, |unit| (unit.job, unit.active, unit.sub) = (0, active, sub));
    }

    /// Ends the job of a unit with a signal.
    pub(crate) async fn end_job(&self, on: &Connection, name: &str, result: &str) {
        let job = std::mem::take(&mut self.state().units.get_mut(name).unwrap().job);
        let emitter = SignalEmitter::new(on, "/org/freedesktop/systemd1").unwrap();
        self.removed(&emitter, job, name, result).await.unwrap();
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|made| *made == call).count()
    }

    /// Waits until a call was made for the nth time.
    pub(crate) async fn called(&self, call: &str, times: usize) {
        let mut calls = self.calls.subscribe();
        let enough = |calls: &Vec<String>| calls.iter().filter(|made| *made == call).count() >= times;
        soon(call, calls.wait_for(enough)).await.unwrap();
    }

    fn note(&self, call: String) {
        self.calls.send_modify(|calls| calls.push(call));
    }

    /// Without subscribers systemd sends no signal.
    async fn removed(&self, emitter: &SignalEmitter<'_>, job: u32, unit: &str, result: &str) -> zbus::Result<()> {
        if self.state().subscribers.is_empty() {
            return Ok(());
        }
        Manager::job_removed(emitter, job, job_path(job), unit, result).await
    }

    async fn serve(&self, server: &ObjectServer, name: &str) -> zbus::Result<()> {
        let path = unit_path(name);
        server.at(&path, Unit { mock: self.clone(), name: name.to_owned() }).await?;
        if name.ends_with(".service") {
            server.at(&path, Service { mock: self.clone(), name: name.to_owned() }).await?;
        }
        Ok(())
    }

    /// Carries out a job as its script says.
    async fn job(
        &self,
        emitter: &SignalEmitter<'_>,
        name: &str,
        done: (&'static str, &'static str),
    ) -> Result<OwnedObjectPath, Fault> {
        let (ending, job) = {
            let mut state = self.state();
            let endings = state.endings.entry(name.to_owned()).or_default();
            let ending = if endings.is_empty() { Ending::with("done") } else { endings.remove(0) };
            state.last_job += 1;
            (ending, state.last_job)
        };
        let (result, noise) = match &ending {
            Ending::Refused(fault) => return Err(fault.clone()),
            Ending::Never => {
                self.change(name, |unit| unit.job = job);
                return Ok(job_path(job));
            }
            Ending::BeforeReply { result, noise } => (*result, *noise),
            Ending::LostReply { result, .. } => (*result, 0),
        };
        for other in 0..noise {
            self.removed(emitter, 100_000 + other, "other.service", "failed").await?;
        }
        if result == "done" {
            self.change(name, |unit| (unit.active, unit.sub) = done);
        }
        self.removed(emitter, job, name, result).await?;
        match ending {
            Ending::LostReply { fault, .. } => Err(fault),
            _ => Ok(job_path(job)),
        }
    }
}

pub(super) fn job_path(job: u32) -> OwnedObjectPath {
    format!("/org/freedesktop/systemd1/job/{job}").try_into().unwrap()
}

fn unit_path(name: &str) -> OwnedObjectPath {
    let escape = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("_{:02x}", c as u32) };
    let name: String = name.chars().map(escape).collect();
    format!("/org/freedesktop/systemd1/unit/{name}").try_into().unwrap()
}

fn no_such_unit(name: &str) -> Fault {
    Fault::new("org.freedesktop.systemd1.NoSuchUnit", format!("Unit {name} not loaded."))
}

struct Manager {
    mock: MockSystemd,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Fault> {
        let sender = header.sender().unwrap().to_string();
        let first = self.mock.state().subscribers.insert(sender);
        // Only now, so that a test that waits for this call knows its signals are sent.
        self.mock.note("Subscribe".into());
        if first {
            return Ok(());
        }
        Err(Fault::new("org.freedesktop.systemd1.AlreadySubscribed", "Client is already subscribed."))
    }

    fn reload(&self) -> Result<(), Fault> {
        self.mock.note("Reload".into());
        let mut state = self.mock.state();
        if state.reload_faults > 0 {
            state.reload_faults -= 1;
            return Err(Fault::no_reply());
        }
        if !state.blind_to_drop_ins {
            let names: Vec<String> = state.units.keys().cloned().collect();
            for name in names {
                let directory = format!("run/systemd/system/{name}.d");
                let found = std::fs::read_dir(state.root.join(&directory)).into_iter().flatten();
                let found = found.map(|entry| format!("/{directory}/{}", entry.unwrap().file_name().display()));
                state.drop_ins.insert(name, found.collect());
            }
        }
        Ok(())
    }

    async fn load_unit(
        &self,
        name: &str,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<OwnedObjectPath, Fault> {
        if !self.mock.state().units.contains_key(name) {
            self.mock.unit(name, MockUnit::not_found());
        }
        self.mock.serve(server, name).await?;
        Ok(unit_path(name))
    }

    fn get_unit(&self, name: &str) -> Result<OwnedObjectPath, Fault> {
        match self.mock.state().units.get(name) {
            Some(unit) if unit.load != "not-found" => Ok(unit_path(name)),
            _ => Err(no_such_unit(name)),
        }
    }

    async fn start_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Fault> {
        assert_eq!(mode, "replace");
        self.mock.note(format!("StartUnit {name}"));
        self.get_unit(name)?;
        self.mock.job(&emitter, name, ("active", "running")).await
    }

    async fn stop_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Fault> {
        assert_eq!(mode, "replace");
        self.mock.note(format!("StopUnit {name}"));
        self.get_unit(name)?;
        let failed = self.mock.state().units[name].active == "failed";
        let after = if failed { ("failed", "failed") } else { ("inactive", "dead") };
        let job = self.mock.job(&emitter, name, after).await;
        self.forget(name);
        job
    }

    fn reset_failed_unit(&self, name: &str) -> Result<(), Fault> {
        self.mock.note(format!("ResetFailedUnit {name}"));
        self.get_unit(name)?;
        self.mock.change(name, |unit| {
            if unit.active == "failed" {
                (unit.active, unit.sub) = ("inactive", "dead");
            }
        });
        self.forget(name);
        Ok(())
    }

    async fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: Vec<(String, OwnedVariant)>,
        auxiliary: Vec<(String, Vec<(String, OwnedVariant)>)>,
        #[zbus(object_server)] server: &ObjectServer,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Fault> {
        assert_eq!((mode, auxiliary.len()), ("fail", 0));
        self.mock.note(format!("StartTransientUnit {name}"));
        if self.get_unit(name).is_ok() {
            return Err(Fault::new("org.freedesktop.systemd1.UnitExists", format!("Unit {name} was already loaded.")));
        }
        self.mock.unit(name, MockUnit { transient: true, ..MockUnit::dead() });
        self.mock.state().transient.insert(name.into(), properties.into_iter().collect());
        self.mock.serve(server, name).await?;
        let job = self.mock.job(&emitter, name, ("active", "running")).await;
        self.mock.change(name, |unit| {
            if unit.active != "active" && unit.job == 0 {
                (unit.active, unit.sub, unit.result) = ("failed", "failed", "exit-code");
                (unit.main_code, unit.main_status) = (1, 203);
            }
        });
        job
    }

    fn list_units_filtered(&self, states: Vec<String>) -> Vec<UnitRow> {
        let state = self.mock.state();
        let units = state.units.iter().filter(|(_, unit)| states.iter().any(|state| state == unit.active));
        let text = |text: &str| text.to_owned();
        let row = |(name, unit): (&String, &MockUnit)| {
            let path = unit_path(name);
            let none = text("");
            let states = (text(unit.load), text(unit.active), text(unit.sub));
            (name.clone(), none.clone(), states.0, states.1, states.2, none.clone(), path, 0, none, job_path(0))
        };
        units.map(row).collect()
    }

    #[zbus(property)]
    fn version(&self) -> String {
        "252.39-1~deb12u2".into()
    }

    #[zbus(property)]
    fn virtualization(&self) -> String {
        "systemd-nspawn".into()
    }
    #[zbus(property)]
    fn environment(&self) -> Vec<String> {
        vec!["LANGUAGE=de_DE:de".into(), "PATH=/usr/bin".into()]
    }
    #[zbus(property)]
    fn system_state(&self) -> String {
        "running".into()
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

impl Manager {
    /// A transient unit that is inactive is forgotten.
    fn forget(&self, name: &str) {
        let mut state = self.mock.state();
        if state.units.get(name).is_some_and(|unit| unit.transient && unit.active == "inactive") {
            state.units.remove(name);
        }
    }
}
