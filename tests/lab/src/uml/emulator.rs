//! User Mode Linux as the emulator of a machine.

use crate::emulated::{Board, Emulator};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Enough for systemd, mongod, the sample API and apt; and for a compiler and a linker beside them.
const MEMORY: &str = "768M";
const MEMORY_TO_BUILD: &str = "2048M";

pub(super) struct Uml {
    /// The kernel, or what starts one.
    program: PathBuf,
    memory: &'static str,
    /// UML's words for its disk.
    drive: String,
    files: AtomicU32,
}

impl Uml {
    /// Starts the host's UML kernel.
    pub(super) fn new(drive: String) -> Self {
        Self { program: "linux.uml".into(), memory: MEMORY, drive, files: AtomicU32::new(0) }
    }

    /// Starts the kernel that the machine has built.
    pub(super) fn with_boot_loader(self, program: PathBuf) -> Self {
        Self { program, memory: MEMORY_TO_BUILD, ..self }
    }
}

impl Emulator for Uml {
    fn command(&self, board: &Board, with_agent: bool) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg(format!("mem={}", self.memory)).arg(format!("ubd0={}", self.drive));
        command.args(["root=/dev/ubda", "rw", "quiet", "systemd.show_status=0"]);
        command.args(["con=null", "con0=null,fd:2", "ssl=null"]);
        command.arg(format!("hostfs={}", board.share.display()));
        // UML keeps its files in the home directory, and the machine's memory in the other one.
        command.env("HOME", board.share.parent().unwrap_or(&board.share)).env("TMPDIR", "/dev/shm");
        if with_agent {
            command.arg("ssl0=fd:0,fd:1");
        } else {
            command.args(["con1=fd:0,fd:1", "lab.shell"]);
        }
        Ok(command)
    }

    fn hand_in(&self, board: &Board, content: &[u8]) -> Result<String> {
        // A new name each time: the machine may remember what an old one held.
        let name = format!("file-{}", self.files.fetch_add(1, Ordering::Relaxed));
        let shared = board.share.join(&name);
        fs::write(&shared, content).with_context(|| format!("cannot write {}", shared.display()))?;
        Ok(format!("cat /lab/{name}"))
    }
}
