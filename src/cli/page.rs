//! Show what a verb answers, page by page where it is longer than the screen.

use std::env;
use std::io::{IsTerminal as _, stdout};
use std::path::Path;

use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{SignalKind, signal};

use super::person;
use crate::error::{Failure, FailureKind};
use crate::host::command;
use crate::report::harmless::shown;
use crate::ui;
use crate::ui::pager::{self, PagerInputs};

/// The first that is set counts, also where it is set to nothing.
const NAMED_BY: [&str; 2] = ["PATCHDAY_PAGER", "PAGER"];

/// Prints a text on stdout, or gives it to a pager where one is `wanted`.
pub(super) fn show(text: &str, wanted: bool) -> Result<(), Failure> {
    let rows = console::Term::stdout().size_checked().map(|(rows, _columns)| rows);
    let named = NAMED_BY.iter().find_map(|name| env::var(name).ok());
    let inputs = PagerInputs {
        wanted,
        rows: rows.filter(|_| stdout().is_terminal()),
        named: named.as_deref(),
        is_root: rustix::process::geteuid().is_root(),
        is_elevated: person::is_elevated(),
        find: |name| command::find(Path::new("/"), name),
    };
    let text = shown(text);
    let is_shown = pager::choose(&inputs, &text).is_some_and(|pager| {
        let environment: Vec<_> = env::vars_os().collect();
        with_interrupts_left_to_it(|| pager.show(&text, &environment))
    });
    if is_shown { Ok(()) } else { print(&text) }
}

/// Prints data on stdout. Half of them is an error, whatever else the command came to.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    ui::print_data(&mut stdout(), text).map_err(|error| {
        Failure::new(FailureKind::Unexpected, format!("write the answer to stdout: {error}"))
            .hint("see that what stdout leads to has room and can be written")
    })
}

/// Ctrl-C is the pager's: if it ended this program, shell and pager would read the same keyboard.
fn with_interrupts_left_to_it<T>(show: impl FnOnce() -> T) -> T {
    if Handle::try_current().is_ok() {
        let _taken = signal(SignalKind::interrupt());
        return show();
    }
    let runtime = Builder::new_current_thread().enable_io().build().ok();
    let _inside = runtime.as_ref().map(|runtime| runtime.enter());
    let _taken = runtime.is_some().then(|| signal(SignalKind::interrupt()));
    show()
}

#[cfg(test)]
mod tests {
    use super::NAMED_BY;
    use crate::cli::man::ENVIRONMENT;

    #[test]
    fn what_names_the_pager_is_in_the_manual() {
        for name in NAMED_BY {
            assert!(ENVIRONMENT.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}
