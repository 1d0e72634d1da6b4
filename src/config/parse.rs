//! From the text of a file to settings.

use std::cell::RefCell;
use std::path::Path;

use toml::de::DeTable;

use super::error::ConfigError;
use super::located::Located;
use super::reader::{Notes, Reader};
use super::schema;

/// Reads the text of a configuration file. `path` is for the errors, `cpus` is the number of CPUs of the host, and
/// `known_checks` are the labels that `[preflight] allow` may name.
///
/// # Errors
///
/// Everything that is wrong with the file, as far as it can be told: after an error of syntax nothing else is looked
/// at, and after an unknown key or a wrong type no meaning.
pub fn parse(text: &str, path: &Path, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| ConfigError::one(path, schema::syntax(text, &error)))?;
    let problems = schema::check(text, table.get_ref());
    if !problems.is_empty() {
        return Err(ConfigError::sorted(path, problems));
    }
    let notes = RefCell::new(Notes::default());
    let settings = Reader::new(text, table.get_ref(), &notes).settings(cpus, known_checks);
    let Notes { problems, positions } = notes.into_inner();
    match settings {
        Some(settings) if problems.is_empty() => Ok(Located { settings, positions }),
        _ => Err(ConfigError::sorted(path, problems)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../tests/fixtures/config/good/full.toml");

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [GOOD];
        crate::host::hostile::survives(&samples, |text| {
            let _ = parse(text, Path::new("/etc/patchday/patchday.toml"), 2, &["boot-space"]);
        });
    }
}
