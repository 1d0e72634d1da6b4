//! Transient units that do long work, and outlive whoever started them.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::jobs::Goal;
use super::manager::{Manager, RawUnit, exit_status};
use super::property::Property;
use super::proxy::{NO_SUCH_UNIT, UNIT_EXISTS, manager};
use super::unit_properties::UnitProperty;
use super::unit_spec::{service_properties, unset_environment, work_properties};
use super::work_processes;
use crate::host::bus::{Bus, host_error, is_lost, is_named};
use crate::host::{HostError, HostErrorKind, HostResult, WorkUnits};
use crate::model::{ActiveState, JobResult, RunId, UnitName, WorkLook, WorkOutcome, WorkProcess, WorkSpec};

/// How long the program may take until it runs (`execve`), and an ended unit until it is stopped.
const JOB_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);

/// How long systemd may take to forget a unit that was collected: it does so from its idle loop.
const FORGET_TRIES: u32 = 40;
const FORGET_PAUSE: Duration = Duration::from_millis(50);

/// What one call reads of a file at most.
const MAX_READ: u64 = 1024 * 1024;

/// Services of the package that carry runs, and the one that watches a boot for them.
const CARRY_RUNS: [&str; 3] = ["patchday.service", "patchday-resume.service", "patchday-witness.service"];

/// `Result` of a service that was ended from outside, as in systemd.service(5).
const KILLED: [&str; 5] = ["signal", "core-dump", "oom-kill", "watchdog", "timeout"];

#[derive(Debug, Clone)]
pub struct SystemdWork {
    manager: Manager,
    program: PathBuf,
    /// What a coordinator writes to besides its state.
    pub(super) writable: Vec<String>,
}

impl SystemdWork {
    /// Transient units behind `bus`. `program` is the path of this binary, which gives work its status descriptor; see
    /// [`exec_with_status`](super::exec_with_status()).
    pub fn new(bus: Bus, program: impl Into<PathBuf>) -> Self {
        Self { manager: Manager { bus, root: PathBuf::from("/") }, program: program.into(), writable: Vec::new() }
    }

    /// A coordinator that is started may write to these directories, wherever they are.
    #[must_use]
    pub fn with_writable(self, writable: Vec<String>) -> Self {
        Self { writable, ..self }
    }

    /// Starts a transient unit and waits until its program runs.
    pub(super) async fn start_transient(
        &self,
        unit: &UnitName,
        argv: &[String],
        properties: Vec<Property>,
    ) -> HostResult<()> {
        let what = format!("start {unit}");
        if !argv.first().is_some_and(|program| program.starts_with('/')) {
            return Err(HostError::failed(what, format!("{argv:?} begins with no absolute path")));
        }
        let properties = &properties[..];
        // True once a call was sent whose reply was lost: then a unit of that name is ours.
        let maybe_ours = &AtomicBool::new(false);
        let taken = &AtomicBool::new(false);
        let result = self
            .manager
            .job(&what, unit, Goal::Up, JOB_TIMEOUT, |manager, connection| async move {
                let name = unit.as_str();
                match manager.start_transient_unit(name, "fail", properties, &[]).await {
                    Err(error) if is_lost(&error) => {
                        maybe_ours.store(true, Ordering::Relaxed);
                        Err(error)
                    }
                    Err(error) if is_named(&error, UNIT_EXISTS) => {
                        if !maybe_ours.load(Ordering::Relaxed) {
                            taken.store(true, Ordering::Relaxed);
                            return Err(error);
                        }
                        let path = manager.get_unit(name).await?;
                        Ok(super::proxy::properties(&connection, &path, "Unit").await?.job())
                    }
                    job => job.map(Some),
                }
            })
            .await;
        match result {
            Ok(JobResult::Done) => Ok(()),
            Ok(_) if self.has_run(unit).await => Ok(()),
            Ok(result) => Err(self.start_failed(what, unit, argv, &result).await),
            Err(error) if taken.load(Ordering::Relaxed) => {
                let why = "a unit of that name is there already: it runs, its outcome was not collected, or processes \
                           outlived it";
                Err(HostError { why: why.into(), kind: HostErrorKind::Refused, ..error })
            }
            Err(error) => Err(error),
        }
    }

    /// The program was executed, and ended so soon that systemd takes the start itself for failed. systemd's own steps
    /// before it end with a status from 200 on ("Process Exit Codes" in systemd.exec(5)).
    async fn has_run(&self, unit: &UnitName) -> bool {
        let raw = self.manager.raw_if_loaded(unit).await;
        raw.is_ok_and(|raw| exit_status(&raw.service).is_some_and(|status| status < 200))
    }

    /// The error of a start job that did not end well. The unit is forgotten: nothing ran, so there is no outcome, and
    /// the name is free for another attempt.
    async fn start_failed(&self, what: String, unit: &UnitName, argv: &[String], result: &JobResult) -> HostError {
        let status = match self.manager.raw_if_loaded(unit).await {
            Ok(raw) => match exit_status(&raw.service) {
                // systemd.exec(5), "Process Exit Codes".
                Some(203) => " (status 203: it cannot be executed)".to_owned(),
                Some(209) => " (status 209: its log cannot be written)".to_owned(),
                Some(status) => format!(" (status {status})"),
                None => String::new(),
            },
            Err(_) => String::new(),
        };
        if let Err(error) = self.forget(unit).await {
            tracing::warn!(%unit, %error, "a unit that failed to start is left behind");
        }
        let program = argv.first().map(String::as_str).unwrap_or_default();
        HostError::failed(what, format!("{program} did not start: the job ended as {result}{status}"))
    }

    /// Stops, resets, and waits until the name is free. It stays taken where processes outlived the work; nothing is
    /// killed for that.
    async fn forget(&self, unit: &UnitName) -> HostResult<()> {
        let what = format!("collect {unit}");
        let result = self.manager.stop(unit, JOB_TIMEOUT).await?;
        if result != JobResult::Done {
            return Err(HostError::failed(what, format!("the stop job ended as {result}")));
        }
        for _ in 0..FORGET_TRIES {
            let name = unit.as_str();
            let gone = self
                .manager
                .bus
                .retry(|connection| async move {
                    let manager = manager(&connection).await?;
                    let not_loaded = |result: zbus::Result<()>| match result {
                        Err(error) if is_named(&error, NO_SUCH_UNIT) => Ok(true),
                        result => result.map(|()| false),
                    };
                    Ok(not_loaded(manager.reset_failed_unit(name).await)?
                        || not_loaded(manager.get_unit(name).await.map(drop))?)
                })
                .await
                .map_err(|error| host_error(&what, &error))?;
            if gone {
                return Ok(());
            }
            tokio::time::sleep(FORGET_PAUSE).await;
        }
        let state = self.manager.state(unit).await?;
        if !matches!(state.active, ActiveState::Inactive) {
            return Err(HostError::failed(what, format!("it is {}/{} after the stop", state.active, state.sub)));
        }
        // A daemon, say, that a maintainer script started by hand. Its end is not ours to decide.
        tracing::warn!(%unit, processes = state.processes, "systemd keeps an ended unit: processes outlived the work");
        Ok(())
    }
}

#[async_trait]
impl WorkUnits for SystemdWork {
    async fn start(&self, spec: &WorkSpec) -> HostResult<()> {
        let mut properties = work_properties(spec, &self.program);
        if spec.is_pinned {
            let inherited =
                self.manager.bus.retry(|connection| async move { manager(&connection).await?.environment().await });
            let what = || format!("start {}", spec.unit);
            let inherited = inherited.await.map_err(|error| host_error(what(), &error))?;
            properties.push(unset_environment(&inherited, spec));
        }
        self.start_transient(&spec.unit, &spec.argv, properties).await
    }

    async fn look(&self, unit: &UnitName) -> WorkLook {
        // While it runs, one word is enough: all properties of a unit are hundreds, and reading them twice a second
        // was most of what a run cost. Whatever else the word says is judged by all of them.
        if self.manager.sub_state(unit).await.is_ok_and(|word| word == "running") {
            return WorkLook::Running;
        }
        match self.manager.raw_if_loaded(unit).await {
            Ok(raw) => work_look(&raw),
            Err(error) if is_named(&error, NO_SUCH_UNIT) => WorkLook::NotLoaded,
            Err(error) => WorkLook::Unknown(host_error(format!("look at {unit}"), &error).to_string()),
        }
    }

    async fn at_work(&self, unit: &UnitName) -> HostResult<Vec<WorkProcess>> {
        let what = || format!("look who is at work in {unit}");
        let raw = self.manager.raw_if_loaded(unit).await.map_err(|error| host_error(what(), &error))?;
        let group = raw.service.text(UnitProperty::ControlGroup).unwrap_or_default();
        let root = self.manager.root.clone();
        let found = tokio::task::spawn_blocking(move || work_processes::of_group(&root, &group)).await;
        found.map_err(|error| HostError::failed(what(), error))?.map_err(|error| HostError::failed(what(), error))
    }

    async fn collect(&self, unit: &UnitName) -> HostResult<()> {
        let what = || format!("collect {unit}");
        match self.look(unit).await {
            WorkLook::Running => Err(HostError::new(HostErrorKind::Refused, what(), "it is still running")),
            WorkLook::Unknown(why) => Err(HostError::new(HostErrorKind::Unknown, what(), why)),
            WorkLook::NoWork | WorkLook::NotLoaded => Ok(()),
            WorkLook::Exited(_) => self.forget(unit).await,
        }
    }

    async fn end(&self, unit: &UnitName) -> HostResult<()> {
        match self.look(unit).await {
            WorkLook::Unknown(why) => Err(HostError::new(HostErrorKind::Unknown, format!("end {unit}"), why)),
            WorkLook::NoWork | WorkLook::NotLoaded => Ok(()),
            WorkLook::Running | WorkLook::Exited(_) => self.forget(unit).await,
        }
    }

    async fn ended(&self, run: &RunId) -> HostResult<Vec<UnitName>> {
        let pattern = &format!("patchday-*-{run}-*.service");
        let rows = self
            .manager
            .bus
            .retry(|connection| async move {
                manager(&connection).await?.list_units_by_patterns(&[], &[pattern.as_str()]).await
            })
            .await
            .map_err(|error| host_error("list the work units", &error))?;
        let mut ended = Vec::new();
        for unit in rows.into_iter().filter_map(|row| row.0.parse::<UnitName>().ok()) {
            if matches!(self.look(&unit).await, WorkLook::Exited(_)) {
                ended.push(unit);
            }
        }
        Ok(ended)
    }

    async fn forget_killed(&self, run: &RunId) -> HostResult<Vec<UnitName>> {
        let what = || "forget what was killed".to_owned();
        let of_run = ["run", "resume", "watch"].map(|verb| format!("patchday-{verb}-{run}.service"));
        let patterns: Vec<&str> = of_run.iter().map(String::as_str).chain(CARRY_RUNS).collect();
        let patterns = &patterns[..];
        let rows = self
            .manager
            .bus
            .retry(|connection| async move {
                manager(&connection).await?.list_units_by_patterns(&["failed"], patterns).await
            })
            .await
            .map_err(|error| host_error(what(), &error))?;
        let mut forgotten = Vec::new();
        for unit in rows.into_iter().filter_map(|row| row.0.parse::<UnitName>().ok()) {
            let raw = self.manager.raw_if_loaded(&unit).await.map_err(|error| host_error(what(), &error))?;
            // One that ended by itself said something: that stays.
            if raw.service.text(UnitProperty::Result).is_none_or(|result| !KILLED.contains(&result.as_str())) {
                continue;
            }
            let name = unit.as_str();
            self.manager
                .bus
                .retry(|connection| async move { manager(&connection).await?.reset_failed_unit(name).await })
                .await
                .map_err(|error| host_error(what(), &error))?;
            forgotten.push(unit);
        }
        Ok(forgotten)
    }

    async fn read_since(&self, file: &Path, offset: u64) -> HostResult<(String, u64)> {
        // Right here: it lies in the state, to which the run itself is saved here, and is asked for twice a second.
        read_lines(file, offset).map_err(|error| HostError::failed(format!("read {}", file.display()), error))
    }

    async fn start_service(&self, unit: &UnitName, description: &str, argv: &[String]) -> HostResult<()> {
        self.start_transient(unit, argv, service_properties(description, argv, &self.writable)).await
    }
}

/// What a loaded unit's properties say of the work. A word that is not known is no outcome.
fn work_look(raw: &RawUnit) -> WorkLook {
    let text = |name| raw.unit.text(name).unwrap_or_default();
    let sub = text(UnitProperty::SubState);
    match ActiveState::from(text(UnitProperty::ActiveState)) {
        ActiveState::Active if sub == "exited" => WorkLook::Exited(outcome(raw)),
        ActiveState::Active | ActiveState::Reloading | ActiveState::Activating | ActiveState::Deactivating => {
            WorkLook::Running
        }
        ActiveState::Failed => WorkLook::Exited(outcome(raw)),
        // Stopped after it ended, and not yet forgotten.
        ActiveState::Inactive
            if raw.service.counter(UnitProperty::ExecMainStartTimestampMonotonic).is_some_and(|at| at != 0) =>
        {
            WorkLook::Exited(outcome(raw))
        }
        ActiveState::Inactive => WorkLook::NotLoaded,
        ActiveState::Other(word) => WorkLook::Unknown(format!("systemd says {word:?}/{sub:?}")),
    }
}

fn outcome(raw: &RawUnit) -> WorkOutcome {
    WorkOutcome {
        result: raw.service.text(UnitProperty::Result).unwrap_or_default(),
        exit_status: exit_status(&raw.service),
        cpu_usec: raw.service.counter(UnitProperty::CPUUsageNSec).map(|nanoseconds| nanoseconds / 1000),
    }
}

/// Whole lines from `offset`, and the offset after them. A file that became shorter is another one, and read from its
/// beginning; a line longer than what is read at once is cut.
fn read_lines(path: &Path, offset: u64) -> std::io::Result<(String, u64)> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((String::new(), offset)),
        Err(error) => return Err(error),
    };
    let offset = if file.metadata()?.len() < offset { 0 } else { offset };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    let full = bytes.len() as u64 == MAX_READ;
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => bytes.truncate(last + 1),
        None if full => {}
        None => bytes.clear(),
    }
    Ok((String::from_utf8_lossy(&bytes).into_owned(), offset + bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        assert_eq!(read_lines(&path, 7).unwrap(), (String::new(), 7));
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(read_lines(&path, 0).unwrap(), ("one\ntwo\n".into(), 8));
        assert_eq!(read_lines(&path, 8).unwrap(), (String::new(), 8));
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(read_lines(&path, 8).unwrap(), ("three\n".into(), 14));
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(read_lines(&path, 14).unwrap(), ("new\n".into(), 4));
        std::fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(read_lines(&path, 0).unwrap(), ("\u{fffd}\n".into(), 2));
    }

    #[test]
    fn one_call_reads_a_bounded_part_and_never_stalls() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, vec![b'x'; MAX_READ as usize + 10]).unwrap();
        let (text, offset) = read_lines(&path, 0).unwrap();
        assert_eq!((text.len() as u64, offset), (MAX_READ, MAX_READ));
    }
}
