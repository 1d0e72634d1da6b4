//! A pager for what is longer than the screen, as `journalctl` has one.
//!
//! A pager starts shells and writes files for whoever holds its keys. Where that person has root's rights by way of sudo
//! and not by root's password, it is a door: then nothing of the environment chooses it, and `less` is told to be secure.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What `less` is told: quit if it fits (F), pass colours on (R), leave the screen as it is (X), end at Ctrl-C (K), tell where
/// one is and what to press (M, PM). It does not cut long lines: they are commands, which somebody will copy.
const OF_LESS: &str = "FRXKMPMlines %lt-%lb?L of %L.?e, the end. (space\\: on, q\\: quit)$";

/// The words of it that a person with another's rights keeps.
const KEPT: [&str; 5] = ["TERM", "LANG", "LC_ALL", "LC_CTYPE", "PATH"];

/// What the choice depends on. Gathered by the command line.
#[derive(Debug, Clone, Copy)]
pub struct PagerInputs<'a> {
    /// Neither `--no-pager` nor a terminal that cannot page.
    pub wanted: bool,
    /// Rows of the terminal behind stdout; none where it is none.
    pub rows: Option<u16>,
    /// What the environment names: a program and its arguments.
    pub named: Option<&'a str>,
    /// Whether it runs as root.
    pub is_root: bool,
    /// Whether whoever is at the keyboard is somebody else than whose rights these are.
    pub is_elevated: bool,
    /// Where a program of the system is.
    pub find: fn(&str) -> Option<PathBuf>,
}

/// A pager that is not started yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pager {
    program: PathBuf,
    arguments: Vec<String>,
    is_secure: bool,
    keeps_environment: bool,
}

/// The pager for a text; none where it is shown as it is.
pub fn choose(inputs: &PagerInputs<'_>, text: &str) -> Option<Pager> {
    let rows = inputs.rows.filter(|_| inputs.wanted)?;
    // The last row is the prompt's.
    if text.lines().count() < usize::from(rows) {
        return None;
    }
    let named: Option<Vec<&str>> = inputs.named.map(|named| named.split_whitespace().collect());
    if named.as_ref().is_some_and(|words| matches!(words.as_slice(), [] | ["cat"])) {
        return None;
    }
    let named = named.filter(|_| !inputs.is_elevated).and_then(|words| {
        let (program, arguments) = words.split_first()?;
        let program = if program.starts_with('/') { Some(PathBuf::from(program)) } else { (inputs.find)(program) };
        Some((program.filter(|path| path.is_file())?, arguments.iter().map(|word| (*word).to_owned()).collect()))
    });
    let (program, arguments) = named.or_else(|| Some(((inputs.find)("less")?, Vec::new())))?;
    Some(Pager { program, arguments, is_secure: inputs.is_root, keeps_environment: !inputs.is_elevated })
}

impl Pager {
    /// Shows a text until the reader has had enough; false if it could not be started. `environment` is the caller's.
    pub fn show(&self, text: &str, environment: &[(OsString, OsString)]) -> bool {
        let Ok(mut pager) = self.command(environment).stdin(Stdio::piped()).spawn() else { return false };
        if let Some(mut reader) = pager.stdin.take() {
            // Whoever leaves before the end has seen enough.
            let _ = reader.write_all(text.as_bytes());
        }
        let _ = pager.wait();
        true
    }

    fn command(&self, environment: &[(OsString, OsString)]) -> Command {
        let mut command = Command::new(&self.program);
        let kept =
            environment.iter().filter(|(name, _)| self.keeps_environment || KEPT.iter().any(|kept| name == kept));
        command.args(&self.arguments).env_clear().envs(kept.map(|(name, value)| (name, value))).env("LESS", OF_LESS);
        if self.is_secure {
            command.env("LESSSECURE", "1");
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Option<PathBuf> {
        // Programs that every host of the tests has.
        ["less", "sh"].contains(&name).then(|| PathBuf::from("/bin/sh"))
    }

    const TERMINAL: PagerInputs<'_> =
        PagerInputs { wanted: true, rows: Some(24), named: None, is_root: false, is_elevated: false, find };

    #[test]
    fn only_what_is_longer_than_the_screen_is_paged_and_only_on_a_screen() {
        let (short, long) = ("line\n".repeat(23), "line\n".repeat(24));
        assert_eq!(choose(&TERMINAL, &short), None);
        assert!(choose(&TERMINAL, &long).is_some());
        for (inputs, why) in [
            (PagerInputs { wanted: false, ..TERMINAL }, "asked not to"),
            (PagerInputs { rows: None, ..TERMINAL }, "a pipe"),
            (PagerInputs { named: Some(""), ..TERMINAL }, "named: none"),
            (PagerInputs { named: Some("cat"), ..TERMINAL }, "named: none"),
            (PagerInputs { find: |_| None, ..TERMINAL }, "there is none"),
        ] {
            assert_eq!(choose(&inputs, &long), None, "{why}");
        }
    }

    #[test]
    fn the_environment_chooses_words_and_no_shell_and_nothing_under_sudo() {
        let long = "line\n".repeat(100);
        let chosen = |named, is_elevated| {
            let inputs = PagerInputs { named: Some(named), is_root: true, is_elevated, ..TERMINAL };
            choose(&inputs, &long).map(|pager| pager.arguments)
        };
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(chosen("sh -c 'id; id'", false), words(&["-c", "'id;", "id'"]));
        assert_eq!(chosen("/bin/sh -x", false), words(&["-x"]));
        for (named, is_elevated) in [("sh -x", true), ("/bin/sh -x", true), ("missing -x", false), ("./sh -x", false)] {
            assert_eq!(chosen(named, is_elevated), words(&[]), "{named}: less alone");
        }
        let environment = [("TERM", "xterm"), ("LESSOPEN", "|evil %s"), ("LESS", "-k evil")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let inputs = PagerInputs { is_root: true, is_elevated: true, ..TERMINAL };
        let command = choose(&inputs, &long).unwrap().command(&environment);
        let mut given: Vec<_> = command.get_envs().filter_map(|(name, value)| Some((name, value?))).collect();
        given.sort();
        let wanted = [("LESS", OF_LESS), ("LESSSECURE", "1"), ("TERM", "xterm")];
        assert_eq!(given, wanted.map(|(name, value)| (name.as_ref(), value.as_ref())));
    }
}
