//! Opens the file, if nobody but root can have written it: Patchday acts as root on what it says.

mod trust;

use std::io::Read;
use std::path::Path;

use self::trust::unreadable;
use super::error::{ConfigError, Problem};
use super::keys::Key;
use super::located::Located;
use super::parse::parse;
use super::place::Position;

pub use trust::Trust;

/// Where the file is unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/patchday/patchday.toml";

/// More than any real file; keeps a wrong path from filling the memory.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a configuration file that root owns and nobody else can write, and the [`parse`]d settings of it. Files that
/// hold secrets must be there and be root's alone.
///
/// # Errors
///
/// The file cannot be read or trusted, or is wrong.
pub fn load(path: &Path, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
    load_trusting(Trust::ROOT, path, cpus, known_checks)
}

/// As [`load`], for files of another owner.
///
/// # Errors
///
/// As [`load`].
pub fn load_trusting(trust: Trust, path: &Path, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
    let refused = |(message, hint): (String, String)| {
        let missing = matches!(path.try_exists(), Ok(false));
        let hint = if missing { "write one with: patchday init".to_owned() } else { hint };
        ConfigError::whole(path, message, hint)
    };
    let file = trust.open(path, false).map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refused(unreadable(path, &error)))?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("expected at most {MAX_BYTES} bytes, found more");
        return Err(ConfigError::whole(path, message, format!("look at it: ls -l {}", path.display())));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = Some(Position::of(error.as_bytes(), error.utf8_error().valid_up_to()));
        let message = "expected text in UTF-8, found another byte".to_owned();
        let hint = format!("convert it: iconv -f ISO-8859-1 -t UTF-8 {}", path.display());
        ConfigError::one(path, Problem { at, key: None, message, hint })
    })?;
    let located = parse(&text, path, cpus, known_checks)?;
    let problems = secret_files(trust, &located);
    if problems.is_empty() { Ok(located) } else { Err(ConfigError::sorted(path, problems)) }
}

/// What is wrong with the files that hold secrets.
fn secret_files(trust: Trust, located: &Located) -> Vec<Problem> {
    let files = located.positions.secret_files.iter();
    let problem = |(file, key, at): &(String, &'static Key, Position)| {
        let (message, hint) = trust.open(Path::new(file), true).err()?;
        Some(Problem { at: Some(*at), key: Some(key.path()), message: format!("{file}: {message}"), hint })
    };
    files.filter_map(problem).collect()
}
