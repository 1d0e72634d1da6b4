//! What an experiment needs from a machine.

use crate::agent::{Heard, Sighting, hear, lock};
use crate::emulated::EmulatedMachine;
use crate::http::Response;
use crate::lab::Lab;
use crate::machine::{Machine, Output};
use crate::testbed::Testbed;
use anyhow::{Context, Result};
use std::fs;
use std::io::BufReader;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A machine whose power can be cut, and which is watched by the lab's agent.
pub trait Subject: Testbed {
    /// Starts a command and leaves it running.
    fn start(&self, arguments: &[&str]) -> Result<()>;

    /// What the agent saw so far, over all boots, from the given number on.
    fn sightings(&self, from: usize) -> Vec<Sighting>;

    /// On how many boots the agent was heard.
    fn boots(&self) -> u32;

    /// Ends everything at once.
    fn cut_power(&self) -> Result<()>;

    /// Switches the machine on, after a power cut.
    fn switch_on(&self) -> Result<()>;

    /// Whether its clock can be set without setting the host's.
    fn has_own_clock(&self) -> bool;

    /// The end of what the machine said, for a failed experiment.
    fn last_words(&self) -> String;
}

impl Subject for EmulatedMachine {
    fn start(&self, arguments: &[&str]) -> Result<()> {
        Self::start(self, arguments)
    }

    fn sightings(&self, from: usize) -> Vec<Sighting> {
        Self::sightings(self, from)
    }

    fn boots(&self) -> u32 {
        self.boot_count()
    }

    fn cut_power(&self) -> Result<()> {
        Self::cut_power(self)
    }

    fn switch_on(&self) -> Result<()> {
        self.boot()
    }

    fn has_own_clock(&self) -> bool {
        true
    }

    fn last_words(&self) -> String {
        let journal = self.exec(&["journalctl", "--no-pager", "--lines=60", "--output=short-precise"]);
        format!("{}\n{}", self.console(), journal.map(|output| output.stdout).unwrap_or_default())
    }
}

/// How often a machine that is down is looked at until the agent can run in it again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An nspawn machine with the lab's agent in it, started anew on every boot.
pub struct Watched {
    machine: Arc<Machine>,
    heard: Arc<Mutex<Heard>>,
    over: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
    /// Commands that were left running; collected when they end.
    started: Mutex<Vec<Child>>,
}

impl Watched {
    /// Puts the agent onto a running machine and watches from now on.
    pub fn new(lab: &Lab, machine: Machine) -> Result<Self> {
        let agent = lab.agent()?;
        let program = fs::read(&agent).with_context(|| format!("cannot read {}", agent.display()))?;
        machine.write_program("/usr/bin/lab-agent", &program)?;
        let machine = Arc::new(machine);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let over = Arc::new(AtomicBool::new(false));
        let watcher = {
            let (machine, heard, over) = (Arc::clone(&machine), Arc::clone(&heard), Arc::clone(&over));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // Between two boots there is nothing to watch.
                    if let Ok(agent) = machine.spawn(&["lab-agent", "watch"]) {
                        listen(agent, &heard);
                    }
                    thread::sleep(LOOK_EVERY);
                }
            })
        };
        Ok(Self { machine, heard, over, watcher: Some(watcher), started: Mutex::default() })
    }

    /// The machine itself.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
}

/// Takes what an agent says, until the machine goes down under it.
fn listen(mut agent: Child, heard: &Mutex<Heard>) {
    if let Some(output) = agent.stdout.take() {
        hear(BufReader::new(output), heard);
    }
    let _ = agent.wait();
}

impl Testbed for Watched {
    fn name(&self) -> &str {
        self.machine.name()
    }

    fn api_port(&self) -> u16 {
        self.machine.api_port()
    }

    fn mongod_port(&self) -> u16 {
        self.machine.mongod_port()
    }

    fn exec(&self, arguments: &[&str]) -> Result<Output> {
        self.machine.exec(arguments)
    }

    fn read_file(&self, path: &str) -> Result<String> {
        self.machine.read_file(path)
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        Testbed::write(&*self.machine, path, content, mode)
    }

    fn request(&self, method: &str, path: &str) -> Result<Response> {
        self.machine.request(method, path)
    }
}

impl Subject for Watched {
    fn start(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.machine.command(arguments)?;
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot start `{}`", arguments.join(" ")))?;
        let mut started = lock(&self.started);
        started.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        started.push(child);
        Ok(())
    }

    fn sightings(&self, from: usize) -> Vec<Sighting> {
        lock(&self.heard).sightings(from)
    }

    fn boots(&self) -> u32 {
        lock(&self.heard).boots()
    }

    fn cut_power(&self) -> Result<()> {
        self.machine.cut_power()
    }

    fn switch_on(&self) -> Result<()> {
        self.machine.boot()
    }

    fn has_own_clock(&self) -> bool {
        false
    }

    fn last_words(&self) -> String {
        crate::process::last_lines(&self.machine.journal(), 80)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The agent ends with its machine, and then the watcher does.
        let off = self.machine.pull_the_plug();
        if let (Ok(()), Some(watcher)) = (off, self.watcher.take()) {
            let _ = watcher.join();
        }
        for child in lock(&self.started).iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
