//! A disk that takes longer for each sync, as many servers have it: for every program of a machine that uses the C library.

use anyhow::{Context, Result, ensure};
use patchday_lab::{Lab, Machine};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio, id};
use std::time::{Duration, Instant};

const SOURCE: &str = include_str!("../../../recipe/slow-disk.c");
const THERE: &str = "/usr/local/lib/slow-disk.so";
const PRELOADED: &str = "/etc/ld.so.preload";

/// As the source has it.
pub(crate) const LONGER: Duration = Duration::from_millis(5);
/// How many syncs prove it.
const SYNCS: u32 = 100;

/// The library that makes it slow.
pub(crate) struct SlowDisk {
    library: Vec<u8>,
}

impl SlowDisk {
    /// Compiles it.
    pub(crate) fn build(lab: &Lab) -> Result<Self> {
        let path = lab.cache().join(format!("slow-disk-{}.so", id()));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-x", "c", "-", "-o"]).arg(&path);
        let mut compiler = compiler
            .stdin(Stdio::piped())
            .spawn()
            .context("the slow disk is made by a C compiler, and `cc` does not run: install build-essential")?;
        let written = compiler.stdin.take().map(|mut source| source.write_all(SOURCE.as_bytes()));
        let status = compiler.wait().context("cannot wait for cc")?;
        ensure!(status.success(), "cc does not compile tests/lab/recipe/slow-disk.c: {status}");
        written.transpose().context("cc does not read the source of the slow disk")?;
        let library = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        Ok(Self { library })
    }

    /// Puts it into a machine that is off: from its first process on, all meet it.
    pub(crate) fn put_into(&self, machine: &Machine) -> Result<()> {
        machine.write_program(THERE, &self.library)?;
        machine.write_file(PRELOADED, &format!("{THERE}\n"))
    }

    /// A slow disk on which nothing is slow would measure nothing.
    pub(crate) fn is_met(machine: &Machine) -> Result<()> {
        let began = Instant::now();
        let file = ["/etc/hostname"; SYNCS as usize];
        machine.exec_ok(&[&["timeout", "60", "sync"], &file[..]].concat())?;
        let took = began.elapsed();
        ensure!(took >= LONGER * SYNCS, "{SYNCS} syncs took {took:.1?}: the slow disk is not met");
        Ok(())
    }
}
