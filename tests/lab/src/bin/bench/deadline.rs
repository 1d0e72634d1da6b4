//! Commands that end, whatever becomes of what they wait for.

use anyhow::{Result, ensure};
use patchday_lab::{Machine, Output};
use std::time::Duration;

/// What `timeout` says of a command that it ended.
const TOO_LATE: i32 = 124;

/// Runs a command in a machine, for so long at most; longer is an error, and a failure is none.
pub(crate) fn within(machine: &Machine, deadline: Duration, arguments: &[&str]) -> Result<Output> {
    let seconds = deadline.as_secs().to_string();
    let timeout = ["timeout", "--kill-after=10", &seconds];
    let output = machine.exec(&[&timeout, arguments].concat())?;
    let command = arguments.join(" ");
    ensure!(output.code() != Some(TOO_LATE), "`{command}` did not end within {seconds} s in {}", machine.name());
    Ok(output)
}

/// The same for one that must succeed; returns what it printed.
pub(crate) fn succeeds_within(machine: &Machine, deadline: Duration, arguments: &[&str]) -> Result<String> {
    let output = within(machine, deadline, arguments)?;
    let (command, said) = (arguments.join(" "), output.stderr.trim());
    ensure!(output.success(), "`{command}` failed in {} ({}): {said}", machine.name(), output.status);
    Ok(output.stdout)
}
