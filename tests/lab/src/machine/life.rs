//! Creates, boots, waits, switches off, removes.

use super::claim::{Claim, claim};
use super::disk::Disk;
use super::leftovers::{self, ROOT};
use crate::cgroup::Cgroup;
use crate::files::MachineRoot;
use crate::image::{Image, Suite};
use crate::lab::Lab;
use crate::ports::Port;
use crate::process::last_lines;
use crate::supervisor::{Hardware, Power, Supervisor, leader_of};
use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A disposable machine. Dropping it switches it off and removes every trace of it, unless `PATCHDAY_LAB_KEEP=1`.
///
/// It may be shared between threads: every method takes `&self`.
pub struct Machine {
    name: String,
    id: String,
    suite: Suite,
    directory: PathBuf,
    supervisor: Mutex<Option<Supervisor>>,
    /// Its own disk; none where it lives in an overlay.
    pub(super) disk: Option<Disk>,
    isolated: AtomicBool,
    pub(super) api_port: Port,
    pub(super) mongod_port: Port,
    more_ports: Mutex<Vec<Port>>,
    cache: PathBuf,
    /// Tells other labs that this machine is alive.
    _lock: File,
}

impl Machine {
    /// Makes a machine, still off: an overlay above the image, a name, a machine ID, two ports, the sample API.
    pub fn create(lab: &Lab, image: &Image, name: &str) -> Result<Self> {
        Self::create_on(lab, image.suite(), name, |directory| image.mount_below(directory).map(|_| None))
    }

    /// The same, on what `mount` mounts as the root in its directory.
    pub(super) fn create_on(
        lab: &Lab,
        suite: Suite,
        name: &str,
        mount: impl FnOnce(&Path) -> Result<Option<Disk>>,
    ) -> Result<Self> {
        let Claim { id, directory, lock } = claim(lab, name)?;
        let mut machine = Self {
            name: name.to_owned(),
            id,
            suite,
            directory,
            supervisor: Mutex::new(None),
            disk: None,
            isolated: AtomicBool::new(false),
            api_port: Port::reserve(lab.cache())?,
            mongod_port: Port::reserve(lab.cache())?,
            more_ports: Mutex::default(),
            cache: lab.cache().to_owned(),
            _lock: lock,
        };
        machine.disk = mount(&machine.directory)?;
        machine.personalise()?;
        machine.install_services(lab.sample_api())?;
        Ok(machine)
    }

    /// Removes all machines below a directory, also the kept ones; an error when one is in use.
    pub(crate) fn remove_all(machines: &Path) -> Result<()> {
        if !machines.is_dir() {
            return Ok(());
        }
        leftovers::forget_kept(machines)?;
        leftovers::remove_abandoned(machines)?;
        match fs::read_dir(machines).with_context(|| format!("cannot list {}", machines.display()))?.next() {
            Some(_) => bail!("machines are in use, see {}", machines.display()),
            None => Ok(()),
        }
    }

    fn personalise(&self) -> Result<()> {
        let machine_id = fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot make a machine ID")?;
        self.write_file("/etc/machine-id", &machine_id.replace('-', ""))?;
        self.write_file("/etc/hostname", &format!("{}\n", self.name))?;
        self.write_file("/etc/hosts", &format!("127.0.0.1 localhost\n127.0.1.1 {}\n", self.name))
    }

    /// The name given at creation, also the host name inside.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One more port on 127.0.0.1 that no other machine gets as long as this one lives.
    pub fn reserve_port(&self) -> Result<u16> {
        let port = Port::reserve(&self.cache)?;
        let number = port.number();
        self.more_ports.lock().unwrap_or_else(PoisonError::into_inner).push(port);
        Ok(number)
    }

    /// The Debian release on it.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Switches the machine on. It returns at once; [`wait_until_up`](Self::wait_until_up) waits.
    pub fn boot(&self) -> Result<()> {
        let mut supervisor = self.lock_supervisor();
        if supervisor.as_ref().is_some_and(|supervisor| matches!(supervisor.power(), Power::On { .. })) {
            bail!("machine {} runs already", self.name);
        }
        let hardware = Hardware {
            id: self.id.clone(),
            root: self.root(),
            console_log: self.directory.join("console.log"),
            isolated: self.isolated.load(Ordering::Relaxed),
            unified: self.suite.wants_unified_hierarchy(),
        };
        *supervisor = Some(Supervisor::start(hardware)?);
        Ok(())
    }

    /// From its next boot on, the machine has a network of its own, and may do with it what it likes: addresses, routes,
    /// kernel settings. Nothing outside is reachable then.
    pub fn isolate(&self) {
        self.isolated.store(true, Ordering::Relaxed);
    }

    /// How often the machine was started since it was last switched on; each reboot adds one.
    pub fn boot_count(&self) -> u32 {
        self.lock_supervisor().as_ref().map_or(0, Supervisor::boots)
    }

    /// The boot ID as the machine itself sees it; new at every boot.
    pub fn boot_id(&self) -> Result<String> {
        Ok(self.read_file("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
    }

    /// Waits until systemd inside has finished booting, and returns its state: `running`, or `degraded` when a unit
    /// has failed.
    pub fn wait_until_up(&self, timeout: Duration) -> Result<String> {
        self.explain(wait_for(&format!("machine {} to be up", self.name), timeout, || self.state_if_up()))
    }

    /// Waits until the machine has left the boot `previous` and is up again; returns the new boot ID.
    pub fn wait_for_reboot(&self, previous: &str, timeout: Duration) -> Result<String> {
        let what = format!("machine {} to reboot", self.name);
        self.explain(wait_for(&what, timeout, || {
            if self.state_if_up()?.is_none() {
                return Ok(None);
            }
            // The machine may go down between the two questions; then the next look finds it.
            Ok(self.boot_id().ok().filter(|boot_id| boot_id != previous))
        }))
    }

    /// Waits until the machine was booted at least `count` times and the present boot answers commands; it may still
    /// be starting services.
    pub fn wait_for_boot(&self, count: u32, timeout: Duration) -> Result<()> {
        let what = format!("boot {count} of machine {}", self.name);
        self.explain(wait_for(&what, timeout, || {
            if self.power()? == Power::Off {
                bail!("machine {} is off", self.name);
            }
            let answers =
                || self.exec(&["systemctl", "is-system-running"]).is_ok_and(|output| output.stderr.is_empty());
            Ok((self.boot_count() >= count && answers()).then_some(()))
        }))
    }

    /// Asks the machine to power off and waits for it.
    pub fn power_off(&self, timeout: Duration) -> Result<()> {
        self.exec(&["systemctl", "poweroff", "--no-block"])?;
        let what = format!("machine {} to power off", self.name);
        self.explain(wait_for(&what, timeout, || Ok((self.power()? == Power::Off).then_some(()))))
    }

    /// Ends the machine at once, as when the power fails. The host's page cache survives, so unlike a real power
    /// cut it does not lose what was written and not synced.
    pub fn pull_the_plug(&self) -> Result<()> {
        match self.lock_supervisor().as_mut() {
            Some(supervisor) => supervisor.pull_the_plug(&Cgroup::of(&self.id)),
            None => Ok(()),
        }
    }

    fn state_if_up(&self) -> Result<Option<String>> {
        match self.power()? {
            Power::Off => bail!("machine {} is off", self.name),
            Power::On { nspawn: Some(nspawn) } if leader_of(nspawn).is_some() => {}
            _ => return Ok(None),
        }
        let Ok(output) = self.exec(&["systemctl", "is-system-running"]) else { return Ok(None) };
        let state = output.stdout.trim();
        Ok(["running", "degraded"].contains(&state).then(|| state.to_owned()))
    }

    fn power(&self) -> Result<Power> {
        let power = self.lock_supervisor().as_ref().map_or(Power::Off, Supervisor::power);
        if let Power::Crashed { reason } = power {
            bail!("machine {} crashed: {reason}", self.name);
        }
        Ok(power)
    }

    fn lock_supervisor(&self) -> MutexGuard<'_, Option<Supervisor>> {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.directory.join(ROOT)
    }

    /// The process ID, on the host, of the machine's systemd; an error while the machine is off or rebooting.
    pub(super) fn leader(&self) -> Result<u32> {
        match self.power()? {
            Power::On { nspawn: Some(nspawn) } => leader_of(nspawn),
            _ => None,
        }
        .with_context(|| format!("machine {} is off or just rebooting", self.name))
    }

    /// The machine's file system: with its `/run`, `/tmp` and `/proc` while it runs, without them while it is off.
    pub(crate) fn files(&self) -> Result<MachineRoot> {
        match self.leader() {
            Ok(leader) => MachineRoot::open(Path::new(&format!("/proc/{leader}/root"))),
            Err(_) => MachineRoot::open(&self.root()),
        }
    }

    /// What the machine said on its console, over all boots.
    pub fn console(&self) -> String {
        let text = fs::read(self.directory.join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The machine's journal of all boots, for the output of a failed test. Never fails: where there is no journal,
    /// the text says why.
    pub fn journal(&self) -> String {
        let read = Command::new("journalctl")
            .args(["--no-pager", "--output=short-precise", "--directory"])
            .arg(self.root().join("var/log/journal"))
            .output();
        match read {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) => format!("(cannot read the journal of {}: {error})", self.name),
        }
    }

    /// Adds the end of the console and of the journal to an error.
    pub fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.with_context(|| {
            format!(
                "-- console of {name} --\n{}\n-- journal of {name} --\n{}\n--",
                last_lines(&self.console(), 15),
                last_lines(&self.journal(), 40),
                name = self.name,
            )
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("-- console of {} --\n{}", self.name, last_lines(&self.console(), 20));
            eprintln!("-- journal of {} --\n{}\n--", self.name, last_lines(&self.journal(), 80));
        }
        if let Err(error) = self.pull_the_plug().and_then(|()| leftovers::give_up(&self.directory)) {
            // The next start of the lab tries again.
            eprintln!("lab: machine {} is not removed yet: {error:#}", self.name);
        }
    }
}
