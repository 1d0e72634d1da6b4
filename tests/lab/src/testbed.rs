//! What a test does with a machine, whatever kind of machine it is.

use crate::http::Response;
use crate::machine::{Machine, Output};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// A running Debian with the lab's services, as tests see it.
pub trait Testbed {
    /// The machine's name.
    fn name(&self) -> &str;

    /// The port, inside, of the sample API.
    fn api_port(&self) -> u16;

    /// The port, inside, of mongod.
    fn mongod_port(&self) -> u16;

    /// Runs a command inside, as root, to its end. A failing command is no error here.
    fn exec(&self, arguments: &[&str]) -> Result<Output>;

    /// Reads a text file.
    fn read_file(&self, path: &str) -> Result<String>;

    /// Writes a file with these permissions, replacing an old one, and makes the directories above it.
    fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<()>;

    /// Sends a request without a body to the sample API. An API that does not answer at all is an error.
    fn request(&self, method: &str, path: &str) -> Result<Response>;

    /// Runs a command that must succeed, and returns its standard output.
    fn exec_ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.exec(arguments)?;
        if !output.success() {
            let said = output.stderr.trim();
            bail!("`{}` failed in {} ({}): {said}", arguments.join(" "), self.name(), output.status);
        }
        Ok(output.stdout)
    }

    /// The boot ID as the machine itself sees it; new at every boot.
    fn boot_id(&self) -> Result<String> {
        Ok(self.read_file("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
    }

    /// Puts a Patchday program and the project's unit files onto the machine, and enables what the package enables.
    ///
    /// The directory may be flat or not; files are told apart by their names: `*tmpfiles.conf`, and what lies in a
    /// directory `tmpfiles` or `tmpfiles.d`, becomes `/usr/lib/tmpfiles.d/patchday.conf`, and every service, timer,
    /// slice, target, path and socket goes to `/etc/systemd/system`.
    fn install(&self, patchday: &Path, systemd_directory: &Path) -> Result<()> {
        let program = fs::read(patchday).with_context(|| format!("cannot read {}", patchday.display()))?;
        self.write("/usr/bin/patchday", &program, 0o755)?;
        let mut files = Vec::new();
        find_units(systemd_directory, &mut files)?;
        for (target, content) in &files {
            self.write(target, content, 0o644)?;
        }
        let has = |target: &str| files.iter().any(|(path, _)| path == target);
        self.exec_ok(&["systemctl", "daemon-reload"])?;
        if has(TMPFILES) {
            self.exec_ok(&["systemd-tmpfiles", "--create", "patchday.conf"])?;
        }
        for unit in ["patchday-resume.service", "patchday-witness.service"] {
            if has(&format!("/etc/systemd/system/{unit}")) {
                self.exec_ok(&["systemctl", "enable", unit])?;
            }
        }
        Ok(())
    }
}

const TMPFILES: &str = "/usr/lib/tmpfiles.d/patchday.conf";

/// The unit files below a directory: where each goes, and what is in it.
fn find_units(directory: &Path, files: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let in_tmpfiles = directory.file_name().is_some_and(|name| name == "tmpfiles" || name == "tmpfiles.d");
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        if path.is_dir() {
            find_units(&path, files)?;
            continue;
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let target = match path.extension().and_then(|extension| extension.to_str()) {
            Some("service" | "timer" | "slice" | "target" | "path" | "socket") => format!("/etc/systemd/system/{name}"),
            Some("conf") if in_tmpfiles || name.ends_with("tmpfiles.conf") => TMPFILES.to_owned(),
            _ => continue,
        };
        files.push((target, fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?));
    }
    Ok(())
}

impl Testbed for Machine {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn api_port(&self) -> u16 {
        Self::api_port(self)
    }

    fn mongod_port(&self) -> u16 {
        Self::mongod_port(self)
    }

    fn exec(&self, arguments: &[&str]) -> Result<Output> {
        Self::exec(self, arguments)
    }

    fn read_file(&self, path: &str) -> Result<String> {
        Self::read_file(self, path)
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        self.files()?.write(path, content, mode)
    }

    fn request(&self, method: &str, path: &str) -> Result<Response> {
        Self::request(self, method, path)
    }
}
