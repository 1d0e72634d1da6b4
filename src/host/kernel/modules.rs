//! Builds modules by DKMS, one after the other: what the hidden verb does, in the unit that is named after the step.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::host::command;

/// Has DKMS build and install these modules, each named as in `zfs/2.1.11`, for one kernel. Each by itself: `dkms
/// autoinstall` would take the newest version of all that it knows, whichever of them this host runs. One that fails does
/// not keep the others from being built.
///
/// # Errors
///
/// Those that were not built, with DKMS's exit status.
pub fn install_modules(kernel: &str, modules: &[String], log: &mut dyn Write) -> Result<(), String> {
    let dkms = command::find_or_default("/".as_ref(), "dkms");
    let mut failed = Vec::new();
    for module in modules {
        // The log is for people: what cannot be written to it must not end a build.
        let _ = writeln!(log, "dkms install {module} -k {kernel}").and_then(|()| log.flush());
        let ended = Command::new(&dkms).args(["install", module, "-k", kernel]).stdin(Stdio::null()).status();
        match ended {
            Ok(status) if status.success() => {}
            Ok(status) => failed.push(format!("{module} ({status})")),
            Err(error) => failed.push(format!("{module} ({dkms}: {error})")),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not installed for {kernel}: {}", failed.join(", "))) }
}
