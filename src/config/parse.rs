//! From texts to settings.

use std::cell::RefCell;
use std::path::Path;

use toml::de::DeTable;

use super::error::ConfigError;
use super::located::Located;
use super::reader::{Notes, Reader};
use super::settings::Settings;
use super::sources::Sources;

/// Reads the text of a configuration that is one file. `path` is for the errors.
///
/// # Errors
///
/// As [`Sources::settings`].
pub fn parse(text: &str, path: &Path, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
    Sources::of(&[(path, text)]).settings(cpus, known_checks)
}

impl Sources {
    /// The settings that all files say together. `cpus` is the number of CPUs of the host, and `known_checks` are the
    /// labels that `[preflight] allow` may name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, as far as it can be told: after an error of syntax nothing else of the file is looked
    /// at, and after an unknown key or a wrong type of any file no meaning.
    pub fn settings(&self, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
        self.judged(&self.merged().map_err(ConfigError::sorted)?, cpus, known_checks)
    }

    /// As [`Sources::settings`], of the table that the files have made.
    pub(super) fn judged(&self, whole: &DeTable<'_>, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
        match self.read(whole, cpus, known_checks) {
            (Some(settings), Notes { problems, positions }) if problems.is_empty() => {
                Ok(Located { settings, positions })
            }
            (_, Notes { problems, .. }) => Err(ConfigError::sorted(problems)),
        }
    }

    /// What a table of whole files means, as far as it can be told, and what was found in it.
    pub(super) fn read(&self, whole: &DeTable<'_>, cpus: u32, known_checks: &[&str]) -> (Option<Settings>, Notes) {
        let notes = RefCell::new(Notes::default());
        let settings = Reader::new(self, whole, &notes).settings(cpus, known_checks);
        (settings, notes.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../tests/fixtures/config/good/full.toml");

    /// toml's parser (1.1.5) loses count of how deep it is where tables are not closed, and takes 5 kB a level where it is not
    /// optimized: the stack of a test's thread has no room for a text of 256 KiB.
    #[test]
    fn spoiled_text_is_survived() {
        let survives = || {
            crate::host::hostile::survives(&[GOOD], |text| {
                let _ = parse(text, Path::new("/etc/patchday/patchday.toml"), 2, &["boot-space"]);
            });
        };
        std::thread::Builder::new().stack_size(256 << 20).spawn(survives).unwrap().join().unwrap();
    }
}
