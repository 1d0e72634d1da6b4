//! `patchday init`: look at what runs, and write a configuration of it.

mod look;

use std::fs;
use std::io::stderr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::app::{App, online_cpus, require_root};
use super::args::InitArgs;
use super::page;
use crate::atomic_file;
use crate::checks;
use crate::config;
use crate::discovery::{self, Selection};
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::report::Style;
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
        page::print(&text)?;
        return Ok(exit_code::DONE);
    }
    write(&app.config, &text)?;
    ui::print_talk(&mut stderr(), &told(&app.config, &selection, &app.stderr_style()));
    Ok(exit_code::DONE)
}

fn told(path: &Path, selection: &Selection, style: &Style) -> String {
    let Selection { candidates, left_out } = selection;
    let names: Vec<&str> = candidates.iter().map(|candidate| candidate.unit.as_str()).collect();
    let found = if names.is_empty() { "none was found to take along".into() } else { names.join(", ") };
    let left_out = discovery::left_out_lines(left_out).into_iter().map(|line| ("left out", line));
    let obstacles = candidates.iter().flat_map(|one| &one.obstacles).cloned();
    let unproven = candidates.iter().filter_map(|one| Some((&one.unit, one.unproven.as_ref()?)));
    let unproven = unproven.map(|(unit, why)| format!("nothing would prove that {unit} ended cleanly: {why}"));
    let notes = obstacles.chain(unproven).map(|note| ("note", note));
    let fields = [("services", found)].into_iter().chain(left_out).chain(notes);
    let fields: Vec<String> = fields.flat_map(|(name, value)| style.field(name, &value)).collect();
    format!("wrote {}\n\n{}\n\nread it, then: patchday plan\n", path.display(), fields.join("\n"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::LeftOut;

    #[test]
    fn what_was_found_is_told_within_the_width_of_the_screen() {
        let left_out = ["console-getty.service", "dbus.service", "systemd-journald.service", "systemd-logind.service"];
        let left_out = left_out.map(|unit| LeftOut { what: unit.into(), why: "part of the system".into() }).into();
        let told = told(Path::new("/etc/p.toml"), &Selection { candidates: vec![], left_out }, &Style::plain());
        let wanted = "wrote /etc/p.toml\n\n  services    none was found to take along\n\
                      \x20 left out    console-getty.service, dbus.service, systemd-journald.service,\n\
                      \x20             systemd-logind.service: part of the system\n\n\
                      read it, then: patchday plan\n";
        assert_eq!(told, wanted);
    }
}
