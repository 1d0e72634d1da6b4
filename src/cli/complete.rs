//! What a shell completes: verbs and options, and what only this host knows.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use crate::checks::{self, CATALOGUE};
use crate::config::{self, DEFAULT_PATH};
use crate::store::{self, StateDir};

/// Set by a shell that asks what may come next.
const VARIABLE: &str = "PATCHDAY_COMPLETE";

/// Answers a shell. False if none asks.
pub(super) fn answer(command: fn() -> clap::Command) -> Result<bool, clap::Error> {
    CompleteEnv::with_factory(command).var(VARIABLE).try_complete(env::args_os(), None)
}

/// What makes a shell ask.
pub(super) fn script(shell: Shell) -> io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let name = shell.to_string();
    let shells = Shells::builtins();
    let completer = shells.completer(&name).ok_or_else(|| io::Error::other(format!("{name} cannot be completed")))?;
    completer.write_registration(VARIABLE, "patchday", "patchday", "patchday", &mut script)?;
    Ok(script)
}

/// Recorded runs, the last one first.
pub(super) fn runs() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let state = StateDir::new(place("PATCHDAY_STATE", store::DEFAULT_PATH));
        state.runs().unwrap_or_default().iter().rev().map(|run| CompletionCandidate::new(run.as_str())).collect()
    })
}

/// Labels of checks, with what they are about.
pub(super) fn labels() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidate = |check: &checks::Check| CompletionCandidate::new(check.label).help(Some(check.about.into()));
        CATALOGUE.iter().map(candidate).collect()
    })
}

/// Keys and tables of the configuration, with what a key means.
pub(super) fn keys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidate = |(name, about): (String, Option<&str>)| {
            CompletionCandidate::new(name).help(about.map(|about| about.replace('`', "").into()))
        };
        config::Named::all().map(candidate).collect()
    })
}

/// Units of the configuration.
pub(super) fn units() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let labels: Vec<&str> = checks::labels().collect();
        // No unit depends on how many CPUs there are.
        let located = config::load(&place("PATCHDAY_CONFIG", DEFAULT_PATH), 1, &labels);
        let services = located.map(|located| located.settings.services).unwrap_or_default();
        services.iter().map(|service| CompletionCandidate::new(service.unit.as_str())).collect()
    })
}

/// Where something is, as far as a shell's environment says; a line that is being typed is not read for it.
fn place(variable: &str, default: &str) -> PathBuf {
    env::var_os(variable).filter(|place| !place.is_empty()).unwrap_or_else(|| OsString::from(default)).into()
}
