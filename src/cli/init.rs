//! `patchday init`: look at what runs, and write a configuration of it.

mod look;

use std::fs;
use std::io::{stderr, stdout};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::app::{App, online_cpus, require_root};
use super::args::InitArgs;
use crate::atomic_file;
use crate::checks;
use crate::config;
use crate::discovery::{self, Selection};
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::ui;

pub(super) async fn init(app: &App, args: &InitArgs) -> Result<u8, Failure> {
    require_root("init")?;
    let exists = app.config.exists();
    if exists && !args.force && !args.stdout {
        let message = format!("{} exists already, and is not replaced", app.config.display());
        return Err(Failure::new(FailureKind::Usage, message).hint("patchday init --force, or patchday init --stdout"));
    }
    let selection = look::look().await?;
    let text = discovery::render(&selection);
    // Nobody should be handed a file that the next command refuses.
    let labels: Vec<&str> = checks::labels().collect();
    config::parse(&text, &app.config, online_cpus(), &labels)?;
    if args.stdout {
        ui::print_data(&mut stdout(), &text);
        return Ok(exit_code::DONE);
    }
    write(&app.config, &text)?;
    ui::print_data(&mut stderr(), &told(&app.config, &selection));
    Ok(exit_code::DONE)
}

fn told(path: &Path, selection: &Selection) -> String {
    let candidates = &selection.candidates;
    let names: Vec<&str> = candidates.iter().map(|candidate| candidate.unit.as_str()).collect();
    let found = if names.is_empty() { "no service was found to take along".into() } else { names.join(", ") };
    let left_out = discovery::left_out_lines(&selection.left_out).into_iter().map(|line| format!("left out: {line}\n"));
    let notes = candidates.iter().flat_map(|one| &one.obstacles).map(|obstacle| format!("note: {obstacle}\n"));
    let unproven = candidates.iter().filter_map(|one| Some((&one.unit, one.unproven.as_ref()?)));
    let unproven = unproven.map(|(unit, why)| format!("note: nothing would prove that {unit} ended cleanly: {why}\n"));
    let more: String = left_out.chain(notes).chain(unproven).collect();
    format!("wrote {}: {found}\n{more}read it, then: patchday plan\n", path.display())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(FailureKind::Unexpected, format!("write {}: {error}", path.display()));
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    }
    // A whole file or the old one: a half-written configuration would be obeyed.
    atomic_file::replace_shared(path, text.as_bytes(), 0o644).map_err(failed)
}
