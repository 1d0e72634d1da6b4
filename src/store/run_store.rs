//! Runs on disk.

use std::fs::{self, DirBuilder};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::lock::holder;
use super::{EventLog, EventReader, LockHolder, LockedState, StoreError, StoreResult, atomic, decode, encode, ours};
use crate::config::Settings;
use crate::model::{AbortWish, Run, RunId};

/// Beside a run's own files. Whoever asks for the end signs before the coordinator gets the signal.
const ABORT_SIGNED: &str = "abort-by";
const ABORT_WISH: &str = "abort-wish";

/// The state directory. Reading needs no lock: every file is replaced whole.
#[derive(Debug, Clone)]
pub struct StateDir {
    pub(super) root: PathBuf,
}

impl StateDir {
    /// Names the directory; it need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Creates the directory (0700) where it is missing, and takes the lock. `note` tells others who holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when somebody holds it, [`StoreError::Foreign`] when others could write it; otherwise the file system's word.
    pub fn lock(&self, note: &str) -> StoreResult<LockedState> {
        ours::check(&self.root)?;
        let runs = self.root.join("runs");
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&runs).map_err(StoreError::io("create", &runs))?;
        LockedState::acquire(&self.root, note)
    }

    /// Who holds the lock now, without taking it.
    pub fn lock_holder(&self) -> Option<LockHolder> {
        holder(&self.root)
    }

    /// All recorded runs, oldest first.
    ///
    /// # Errors
    ///
    /// When the directory exists and cannot be read.
    pub fn runs(&self) -> StoreResult<Vec<RunId>> {
        let runs = self.root.join("runs");
        let entries = match fs::read_dir(&runs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &runs)(error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut ids: Vec<RunId> = names.filter_map(|name| name.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    /// The run as it was last saved.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be understood.
    pub fn load(&self, id: &RunId) -> StoreResult<Run> {
        let path = self.run_dir(id).join("run.json");
        match fs::read(&path) {
            Ok(text) => decode(&text, &path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StoreError::NoSuchRun(id.clone())),
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }

    /// The newest run, where it is over and has left something changed on the host.
    ///
    /// # Errors
    ///
    /// When it cannot be understood.
    pub fn leftover(&self) -> StoreResult<Option<RunId>> {
        let Some(newest) = self.runs()?.pop() else { return Ok(None) };
        Ok(self.load(&newest)?.left_something().then_some(newest))
    }

    /// The wish to end the run, if somebody uttered one while a step was at work.
    ///
    /// # Errors
    ///
    /// When there is one and it cannot be understood.
    pub fn abort_wish(&self, id: &RunId) -> StoreResult<Option<AbortWish>> {
        let path = self.run_dir(id).join(ABORT_WISH);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let wish = serde_json::from_slice(&text);
        wish.map(Some).map_err(|error| StoreError::Unreadable { path, why: error.to_string() })
    }

    /// Writes down who is about to ask for the end of the run. Not the coordinator, which has the lock, does: the file is
    /// replaced whole, says a name and no more, and nothing is decided by it.
    ///
    /// # Errors
    ///
    /// The file system's word.
    pub fn sign_abort(&self, id: &RunId, by: &str) -> StoreResult<()> {
        atomic::replace(&self.run_dir(id).join(ABORT_SIGNED), by.as_bytes())
    }

    /// Who has asked for the end of the run last; none if nobody has signed.
    pub fn abort_signed_by(&self, id: &RunId) -> Option<String> {
        signature(&self.run_dir(id))
    }

    /// The settings with which the run began.
    ///
    /// # Errors
    ///
    /// When they cannot be read or understood.
    pub fn settings(&self, id: &RunId) -> StoreResult<Settings> {
        let path = self.run_dir(id).join("settings.json");
        let text = fs::read(&path).map_err(StoreError::io("read", &path))?;
        serde_json::from_slice(&text).map_err(|error| StoreError::Unreadable { path, why: error.to_string() })
    }

    /// A file of the run, as in `report.txt`.
    ///
    /// # Errors
    ///
    /// The file system's word.
    pub fn read_file(&self, id: &RunId, name: &str) -> StoreResult<String> {
        let path = self.run_dir(id).join(name);
        fs::read_to_string(&path).map_err(StoreError::io("read", &path))
    }

    /// Reads the run's events from the first on.
    pub fn events(&self, id: &RunId) -> EventReader {
        EventReader::new(self.run_dir(id).join("events.jsonl"))
    }

    /// What a crash in the middle of `create_run` left behind.
    fn remove_unborn(&self) {
        let entries = fs::read_dir(self.root.join("runs")).into_iter().flatten().flatten();
        for unborn in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')) {
            remove_run(&unborn.path());
        }
    }

    pub(super) fn run_dir(&self, id: &RunId) -> PathBuf {
        self.root.join("runs").join(id.as_str())
    }
}

/// One run, open for writing.
#[derive(Debug)]
pub struct RunStore {
    lock: LockedState,
    directory: PathBuf,
}

impl LockedState {
    fn dir(&self) -> StateDir {
        StateDir::new(&self.root)
    }

    /// Records a new run with its settings, and makes it the open one.
    ///
    /// # Errors
    ///
    /// [`StoreError::RunIsOpen`] when another one is not finished.
    pub fn create_run(self, run: &Run, settings: &Settings) -> StoreResult<RunStore> {
        if let Some(open) = self.dir().unfinished_run()? {
            return Err(StoreError::RunIsOpen(open));
        }
        let directory = self.dir().run_dir(&run.id);
        if directory.exists() {
            return Err(StoreError::io("create", &directory)(std::io::ErrorKind::AlreadyExists.into()));
        }
        // Under a name that is no run's until it is complete: whoever lists the runs finds whole ones only.
        let unborn = directory.with_file_name(format!(".{}", run.id));
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&unborn).map_err(StoreError::io("create", &unborn))?;
        let text = serde_json::to_vec_pretty(settings).map_err(std::io::Error::other);
        let settings_path = unborn.join("settings.json");
        atomic::replace(&settings_path, &text.map_err(StoreError::io("encode", &settings_path))?)?;
        let mut store = RunStore { lock: self, directory: unborn };
        store.save(run)?;
        atomic::rename(&store.directory, &directory)?;
        store.directory = directory;
        atomic::replace(&store.lock.root.join("open-run"), format!("{}\n", run.id).as_bytes())?;
        Ok(store)
    }

    /// Opens the run that is not finished, if there is one. A run whose end was saved but whose pointer survived (the
    /// power went between the two) is finished.
    ///
    /// # Errors
    ///
    /// When it cannot be understood.
    pub fn reopen_run(self) -> StoreResult<Option<(RunStore, Run, Settings)>> {
        let Some(id) = self.dir().open_run()? else { return Ok(None) };
        let run = self.dir().load_open(&id)?;
        if !run.is_open() {
            atomic::remove(&self.root.join("open-run"))?;
            return Ok(None);
        }
        let directory = self.dir().run_dir(&id);
        let settings = self.dir().settings(&id)?;
        // It may have been lost.
        atomic::replace(&self.root.join("open-run"), format!("{id}\n").as_bytes())?;
        Ok(Some((RunStore { lock: self, directory }, run, settings)))
    }
}

impl LockedState {
    /// Opens the newest run where it is over and has left something changed on the host, and makes it the open one again.
    /// The caller records that it is.
    ///
    /// # Errors
    ///
    /// When it cannot be understood, or the pointer cannot be written.
    pub fn reopen_leftover(self) -> StoreResult<Option<(RunStore, Run, Settings)>> {
        let Some(id) = self.dir().leftover()? else { return Ok(None) };
        let (run, settings) = (self.dir().load(&id)?, self.dir().settings(&id)?);
        // A pointer to a run that is over is none: a crash before the record changes nothing.
        atomic::replace(&self.root.join("open-run"), format!("{id}\n").as_bytes())?;
        let directory = self.dir().run_dir(&id);
        Ok(Some((RunStore { lock: self, directory }, run, settings)))
    }
}

impl RunStore {
    /// Saves the run; on return it survives a power cut.
    ///
    /// # Errors
    ///
    /// The file system's word; the old state is then still whole.
    pub fn save(&self, run: &Run) -> StoreResult<()> {
        let path = self.directory.join("run.json");
        let text = encode(run).map_err(std::io::Error::other).map_err(StoreError::io("encode", &path))?;
        atomic::replace(&path, &text)?;
        if !run.is_open() {
            atomic::remove(&self.lock.root.join("open-run"))?;
            // It serves no longer. The reboot of every run leaves one: a shutdown ends the coordinator as a person would.
            if let Err(error) = atomic::remove(&self.directory.join(ABORT_WISH)) {
                tracing::warn!("the wish to end run {} stays behind: {error}", run.id);
            }
        }
        Ok(())
    }

    /// Writes a file of the run, as in `report.txt`.
    ///
    /// # Errors
    ///
    /// The file system's word.
    pub fn write_file(&self, name: &str, content: &[u8]) -> StoreResult<()> {
        atomic::replace(&self.directory.join(name), content)
    }

    /// Where the output of a work unit goes.
    pub fn output_path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The log of events.
    ///
    /// # Errors
    ///
    /// The file system's word.
    pub fn event_log(&self) -> StoreResult<EventLog> {
        EventLog::open(&self.directory.join("events.jsonl"))
    }

    /// Where a wish to end the run is put while a step is at work.
    pub fn wish_box(&self) -> WishBox {
        WishBox { path: self.directory.join(ABORT_WISH) }
    }

    /// The run's events so far.
    pub fn events(&self) -> EventReader {
        EventReader::new(self.directory.join("events.jsonl"))
    }

    /// Removes the oldest runs beyond this one and `keep` others. A run that cannot be removed stays; the next run tries
    /// again.
    pub fn prune(&self, keep: u32) {
        let state = self.lock.dir();
        let Ok(runs) = state.runs() else { return };
        let own = self.directory.as_path();
        state.remove_unborn();
        let finished: Vec<PathBuf> =
            runs.iter().map(|id| state.run_dir(id)).filter(|directory| directory != own).collect();
        let surplus = finished.len().saturating_sub(keep as usize);
        for directory in finished.iter().take(surplus) {
            remove_run(directory);
        }
    }
}

/// Takes a wish to end the run, from whoever holds the lock: it comes from a [`RunStore`], and serves no longer.
#[derive(Debug)]
pub struct WishBox {
    path: PathBuf,
}

impl WishBox {
    /// Who has asked for it, where somebody has signed.
    pub fn signed_by(&self) -> Option<String> {
        signature(self.path.parent()?)
    }

    /// Saves the wish; on return it survives a kill and a power cut.
    ///
    /// # Errors
    ///
    /// The file system's word.
    pub fn put(&self, wish: &AbortWish) -> StoreResult<()> {
        let text = serde_json::to_vec_pretty(wish).map_err(std::io::Error::other);
        atomic::replace(&self.path, &text.map_err(StoreError::io("encode", &self.path))?)
    }
}

/// What is read of a name at most.
const NAME: u64 = 200;

fn signature(run: &Path) -> Option<String> {
    let mut name = String::new();
    fs::File::open(run.join(ABORT_SIGNED)).ok()?.take(NAME).read_to_string(&mut name).ok()?;
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    (!name.trim().is_empty()).then(|| name.trim().to_owned())
}

fn remove_run(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        tracing::warn!("cannot remove the old run {}: {error}", directory.display());
    }
}
