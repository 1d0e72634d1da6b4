//! `patchday config`: whether the configuration is valid, and what it says.

use std::io::stderr;
use std::path::PathBuf;
use std::slice;

use super::app::{App, json_text, online_cpus};
use super::args::{ConfigArgs, ConfigCommand, ShowArgs};
use super::page;
use crate::checks;
use crate::config::keys::header;
use crate::config::{ConfigError, Effective, Files, Problem, literal};
use crate::error::Failure;
use crate::exit_code;
use crate::report::words::count;
use crate::ui;
use crate::ui::config::check::{self, Check, ProblemRow};
use crate::ui::config::show::{self, KeyRow, Show};

const COPY: &str = "what is shown is no copy of the configuration";

pub(super) fn config(app: &App, args: &ConfigArgs) -> Result<u8, Failure> {
    match &args.command {
        ConfigCommand::Check(args) => check(app, args.json),
        ConfigCommand::Show(args) => show(app, args),
    }
}

fn check(app: &App, json: bool) -> Result<u8, Failure> {
    let files = app.config_files();
    let (keys, problems) = match effective(&files) {
        Ok(keys) => (keys, Vec::new()),
        Err(ConfigError { problems }) => (Vec::new(), problems),
    };
    let told = Check {
        format: check::FORMAT,
        valid: problems.is_empty(),
        files: shown(files.paths()),
        keys: keys.iter().filter(|key| key.place.is_some()).count(),
        ignored: shown(files.ignored()),
        problems: problems.iter().map(problem_row).collect(),
        missing: (!files.paths().contains(&app.config)).then(|| app.config.display().to_string()),
    };
    if told.valid {
        app.answer(&told, json)?;
        return Ok(exit_code::DONE);
    }
    if json {
        page::print(&json_text(&told)?)?;
        return Ok(exit_code::USAGE);
    }
    for problem in &problems {
        let hints = slice::from_ref(&problem.hint);
        ui::print_error(&mut stderr(), &problem.to_string(), &[], hints, &app.stderr_style());
    }
    ui::print_talk(&mut stderr(), &told.notes());
    Ok(exit_code::USAGE)
}

fn effective(files: &Files) -> Result<Vec<Effective>, ConfigError> {
    let labels: Vec<&str> = checks::labels().collect();
    files.effective(online_cpus(), &labels)
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

fn problem_row(problem: &Problem) -> ProblemRow {
    ProblemRow {
        file: problem.place.file.display().to_string(),
        line: problem.place.position.map(|position| position.line),
        column: problem.place.position.map(|position| position.column),
        key: problem.key.clone(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}

fn show(app: &App, args: &ShowArgs) -> Result<u8, Failure> {
    let files = app.config_files();
    let all = effective(&files)?;
    let is_wanted = |one: &Effective| {
        let is_named = args.keys.is_empty() || args.keys.iter().any(|name| name.covers(one.key));
        // Of entries, which are of many kinds, only what one has; or what was asked for by its name.
        let has_one = one.value.is_some() || one.entry.is_none() || args.keys.iter().any(|name| name.is(one.key));
        is_named && has_one && (one.place.is_some() || !args.changed)
    };
    let list = |one: &Effective| (one.key.table.split('.').next(), one.entry);
    let is_shown = |one: &&Effective| {
        // What an entry is told from others by goes with all of it.
        let heads = one.key.identifies() && one.place.is_some();
        is_wanted(one) || heads && all.iter().any(|other| list(other) == list(one) && is_wanted(other))
    };
    let keys: Vec<KeyRow> = all.iter().filter(is_shown).map(key_row).collect();
    let hidden = keys.iter().filter(|key| key.redacted).count();
    app.answer(&Show { format: show::FORMAT, files: shown(files.paths()), keys }, args.json)?;
    if hidden > 0 {
        let note = format!("note: {} may hold a secret and stands there in part: {COPY}\n", count(hidden, "value"));
        ui::print_talk(&mut stderr(), &note);
    }
    Ok(exit_code::DONE)
}

fn key_row(one: &Effective) -> KeyRow {
    let value = one.shown();
    KeyRow {
        key: one.key.dotted(),
        entry: one.entry,
        file: one.place.as_ref().map(|place| place.file.display().to_string()),
        line: one.place.as_ref().and_then(|place| place.line()),
        redacted: value != one.value,
        header: header(one.key.table),
        name: one.key.name,
        written: value.as_ref().map(literal::value),
        value,
    }
}
