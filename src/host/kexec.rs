//! kexec: the kernel that runs loads another one, and starts it when the host goes down.
//!
//! Sources: kexec(8), `kexec_load(2)`, and what kexec-tools does with `--kexec-syscall-auto`. The kernel gets the image and the
//! initrd as files, and checks the image's signature where it is locked down. The older call, which it refuses then, is used
//! only where the kernel does not have the newer one, or does not understand the image.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::boot_menu::{self, WholeEntry};
use super::command::{self, below};
use super::{HostError, HostErrorKind, HostResult, Kexec};
use crate::model::KexecHindrance;

const PROGRAM: &str = "kexec";
/// Whether a kernel is loaded: `0` or `1`.
const LOADED: &str = "/sys/kernel/kexec_loaded";
const DISABLED: &str = "/proc/sys/kernel/kexec_load_disabled";
/// The words of which one is in brackets: `[none] integrity confidentiality`.
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// The number of what has started the kernel that runs; that of kexec is [`BY_KEXEC`] (Documentation/arch/x86/boot.rst).
const STARTED_BY: &str = "/proc/sys/kernel/bootloader_type";
const BY_KEXEC: u32 = 0xd;

/// What systemd starts for it, and where an administrator or a program masks it.
const UNITS: [&str; 2] = ["kexec.target", "systemd-kexec.service"];
const MASKED_IN: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];

/// Variables by which the firmware is asked to do something at the next boot, and their vendor.
const VARIABLES: &str = "/sys/firmware/efi/efivars";
const FIRMWARE_VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Start this once. fwupd leaves its work so.
const NEXT: &str = "BootNext";
/// Four bytes of attributes, then bits of which each asks for something: to show the setup, or to take capsules in.
const INDICATIONS: &str = "OsIndications";

/// To load an image and an initrd takes a second.
const TIMEOUT: Duration = Duration::from_secs(90);
/// Nothing else may load a kernel from within our sandbox, so that it is done in a unit of its own.
const OUTSIDE: [&str; 7] = [
    "--quiet",
    "--pipe",
    "--wait",
    "--collect",
    "--service-type=exec",
    "--description=Patchday: loads a kernel for the reboot",
    "--property=RuntimeMaxSec=60",
];

/// The kexec-tools of this host.
#[derive(Debug, Clone)]
pub struct KexecTools {
    root: PathBuf,
}

impl KexecTools {
    /// Reads files and finds programs below `root`; `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn look(&self) -> HostResult<Option<KexecHindrance>> {
        let read = |path: &str| read(&self.root, path);
        if below(&self.root, "/run/systemd/container").exists() {
            return Ok(Some(KexecHindrance::Container));
        }
        if read("/sys/hypervisor/type")?.is_some_and(|kind| kind == "xen") {
            return Ok(Some(KexecHindrance::Xen));
        }
        if command::find(&self.root, PROGRAM).is_none() {
            return Ok(Some(KexecHindrance::NoTool));
        }
        if read(LOADED)?.is_none() {
            return Ok(Some(KexecHindrance::NotBuilt));
        }
        if read(DISABLED)?.is_some_and(|value| value != "0") {
            return Ok(Some(KexecHindrance::Disabled));
        }
        if started_by(&self.root)?.is_none() {
            return Ok(Some(KexecHindrance::NotTold));
        }
        if let Some(unit) = self.masked() {
            return Ok(Some(KexecHindrance::Masked(unit.to_owned())));
        }
        if let Some(variable) = self.asks_the_firmware()? {
            return Ok(Some(KexecHindrance::Firmware(variable.to_owned())));
        }
        Ok(self.entry()?.err().map(KexecHindrance::Entry))
    }

    fn masked(&self) -> Option<&'static str> {
        let is_masked = |unit: &str| {
            let places = MASKED_IN.map(|place| below(&self.root, place).join(unit));
            places.iter().any(|place| fs::read_link(place).is_ok_and(|target| target == Path::new("/dev/null")))
        };
        UNITS.into_iter().find(|unit| is_masked(unit))
    }

    /// The variable that asks the firmware to do something at the next boot.
    fn asks_the_firmware(&self) -> HostResult<Option<&'static str>> {
        let variable = |name: &str| {
            let path = below(&self.root, VARIABLES).join(format!("{name}-{FIRMWARE_VENDOR}"));
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(HostError::failed(format!("read {}", path.display()), error)),
            }
        };
        if variable(NEXT)?.is_some() {
            return Ok(Some(NEXT));
        }
        let asks = variable(INDICATIONS)?.is_some_and(|bytes| bytes.iter().skip(4).any(|byte| *byte != 0));
        Ok(asks.then_some(INDICATIONS))
    }

    fn entry(&self) -> HostResult<Result<WholeEntry, String>> {
        let running = read(&self.root, "/proc/sys/kernel/osrelease")?.unwrap_or_default();
        boot_menu::whole_entry(&self.root, &running)
    }

    fn is_loaded(&self) -> HostResult<bool> {
        Ok(read(&self.root, LOADED)?.is_some_and(|value| value != "0"))
    }

    async fn kexec(&self, what: &str, args: &[&str]) -> HostResult<()> {
        let program = command::find(&self.root, PROGRAM)
            .ok_or_else(|| HostError::new(HostErrorKind::NotFound, what, "kexec-tools is not installed"))?;
        let program = program.display().to_string();
        let environment: Vec<String> =
            command::environment().iter().map(|(name, value)| format!("--setenv={name}={value}")).collect();
        let environment = environment.iter().map(String::as_str);
        let words: Vec<&str> =
            OUTSIDE.into_iter().chain(environment).chain(["--", &program]).chain(args.iter().copied()).collect();
        let output = command::read(&self.root, "systemd-run", &words, TIMEOUT).await;
        let output = output.map_err(|error| HostError { what: what.to_owned(), ..error })?;
        if output.status.success() {
            return Ok(());
        }
        let mut why = command::complaint(&output);
        let mode = read(&self.root, LOCKDOWN).ok().flatten().unwrap_or_default();
        if let Some(mode) = mode.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
            && mode != "none"
        {
            why.push_str(&format!(" (the kernel is locked down: {mode})"));
        }
        Err(HostError::failed(what, why))
    }
}

#[async_trait]
impl Kexec for KexecTools {
    async fn hindrance(&self) -> Option<KexecHindrance> {
        self.look().unwrap_or_else(|error| Some(KexecHindrance::Unknown(error.to_string())))
    }

    async fn load(&self, release: &str) -> HostResult<()> {
        let what = format!("load kernel {release}");
        let entry = self.entry()?.map_err(|why| HostError::new(HostErrorKind::Refused, &what, why))?;
        if entry.release != release {
            let why = format!("the boot loader would start {}", entry.release);
            return Err(HostError::new(HostErrorKind::Refused, what, why));
        }
        let image = entry.image.display().to_string();
        let initrd = entry.initrd.map(|path| format!("--initrd={}", path.display()));
        let line = format!("--command-line={}", entry.command_line);
        let mut args = vec!["--kexec-syscall-auto", "--load", &image, &line];
        args.extend(initrd.as_deref());
        self.kexec(&what, &args).await?;
        if !self.is_loaded()? {
            return Err(HostError::failed(what, "kexec was content, and the kernel says that none is loaded"));
        }
        Ok(())
    }

    async fn unload(&self) -> HostResult<()> {
        if !self.is_loaded()? {
            return Ok(());
        }
        let what = "unload the kernel that kexec has loaded";
        self.kexec(what, &["--kexec-syscall-auto", "--unload"]).await?;
        if self.is_loaded()? {
            return Err(HostError::failed(what, "the kernel says that one is loaded still"));
        }
        Ok(())
    }

    async fn has_started_this_boot(&self) -> bool {
        started_by(&self.root).is_ok_and(|by| by.is_some_and(|by| by >> 4 == BY_KEXEC))
    }
}

fn started_by(root: &Path) -> HostResult<Option<u32>> {
    Ok(read(root, STARTED_BY)?.and_then(|number| number.parse().ok()))
}

/// The text of a file of the kernel, without the end of its line; none if there is no such file.
fn read(root: &Path, path: &str) -> HostResult<Option<String>> {
    match fs::read_to_string(below(root, path)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HostError::failed(format!("read {path}"), error)),
    }
}

#[cfg(test)]
mod tests;
