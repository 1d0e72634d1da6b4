//! Reads the files, if nobody but root can have written them: Patchday acts as root on what they say.

mod drop_ins;
mod trust;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::drop_ins::DropIns;
use self::trust::{Refusal, is_missing, unreadable};
use super::effective::Effective;
use super::error::{ConfigError, Problem};
use super::keys::Key;
use super::located::Located;
use super::place::Place;
use super::sources::Sources;

pub use trust::Trust;

/// Where the file is unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/patchday/patchday.toml";

/// More than any real file; keeps a wrong path from filling the memory.
const MAX_BYTES: u64 = 1024 * 1024;

/// The files of a configuration: `FILE`, and after it its drop-ins, `FILE.d/*.toml`, in the order of their names.
#[derive(Debug)]
pub struct Files {
    trust: Trust,
    sources: Sources,
    read: Vec<PathBuf>,
    ignored: Vec<PathBuf>,
}

impl Files {
    /// Reads them. Each, and the directory of the drop-ins, must be the trusted one's alone to write. Where there are
    /// drop-ins, the file itself may be missing. What cannot be read is told with what is wrong with the others.
    pub fn read(trust: Trust, path: &Path) -> Self {
        let mut files = Self { trust, sources: Sources::default(), read: Vec::new(), ignored: Vec::new() };
        let drop_ins = DropIns::of(trust, path).unwrap_or_else(|problem| {
            files.sources.lack(problem);
            DropIns::default()
        });
        if drop_ins.read.is_empty() || !is_missing(path) {
            files.add(
                path,
                trust.open(path, false).map_err(|(message, hint)| {
                    let leads_nowhere = matches!(path.try_exists(), Ok(false));
                    (message, if leads_nowhere { "write one with: patchday init".to_owned() } else { hint })
                }),
            );
        }
        for path in &drop_ins.read {
            files.add(path, drop_ins.open(trust, path));
        }
        Self { ignored: drop_ins.ignored, ..files }
    }

    fn add(&mut self, path: &Path, file: Result<File, Refusal>) {
        let told = |(message, hint): Refusal| Problem::whole(path, message, hint);
        match file.map_err(told).and_then(|file| text_of(path, file)) {
            Ok(text) => self.sources.add(path, text),
            Err(problem) => self.sources.lack(problem),
        }
        self.read.push(path.to_owned());
    }

    /// The files that count, in their order.
    pub fn paths(&self) -> &[PathBuf] {
        &self.read
    }

    /// What lies among the drop-ins and is none, by its name.
    pub fn ignored(&self) -> &[PathBuf] {
        &self.ignored
    }

    /// The settings. Files that hold secrets must be there, and be root's alone.
    ///
    /// # Errors
    ///
    /// A file cannot be read or trusted, or is wrong.
    pub fn settings(&self, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
        self.with_secrets(self.sources.settings(cpus, known_checks)?)
    }

    /// Every key, and which file says so.
    ///
    /// # Errors
    ///
    /// As [`Files::settings`].
    pub fn effective(&self, cpus: u32, known_checks: &[&str]) -> Result<Vec<Effective>, ConfigError> {
        let whole = self.sources.merged().map_err(ConfigError::sorted)?;
        self.with_secrets(self.sources.judged(&whole, cpus, known_checks)?)?;
        Ok(self.sources.effective(&whole, cpus, known_checks))
    }

    fn with_secrets(&self, located: Located) -> Result<Located, ConfigError> {
        let problems = secret_files(self.trust, &located);
        if problems.is_empty() { Ok(located) } else { Err(ConfigError::sorted(problems)) }
    }
}

fn text_of(path: &Path, file: File) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| {
        let (message, hint) = unreadable("file", path, &error);
        Problem::whole(path, message, hint)
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("expected at most {MAX_BYTES} bytes, found more");
        return Err(Problem::whole(path, message, format!("look at it: ls -l {}", path.display())));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = Place::of(path, error.as_bytes(), error.utf8_error().valid_up_to());
        let message = "expected text in UTF-8, found another byte".to_owned();
        let hint = format!("convert it: iconv -f ISO-8859-1 -t UTF-8 {}", path.display());
        Problem { place, key: None, message, hint }
    })
}

/// The settings of root's files.
///
/// # Errors
///
/// As [`Files::settings`].
pub fn load(path: &Path, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
    load_trusting(Trust::ROOT, path, cpus, known_checks)
}

/// As [`load`], for files of another owner.
///
/// # Errors
///
/// As [`load`].
pub fn load_trusting(trust: Trust, path: &Path, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
    Files::read(trust, path).settings(cpus, known_checks)
}

/// What is wrong with the files that hold secrets.
fn secret_files(trust: Trust, located: &Located) -> Vec<Problem> {
    let files = located.positions.secret_files.iter();
    let problem = |(file, key, place): &(String, &'static Key, Place)| {
        let (message, hint) = trust.open(Path::new(file), true).err()?;
        Some(Problem { place: place.clone(), key: Some(key.path()), message: format!("{file}: {message}"), hint })
    };
    files.filter_map(problem).collect()
}
