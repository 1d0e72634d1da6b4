//! QEMU as the emulator of a machine.

use crate::emulated::{Board, Emulator};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// The largest file that can be handed in.
const MAILBOX_SIZE: u64 = 64 << 20;

pub(super) struct Qemu {
    pub(super) disk: PathBuf,
}

impl Emulator for Qemu {
    fn command(&self, board: &Board, with_agent: bool) -> Result<Command> {
        if !with_agent {
            bail!("a QEMU machine has no shell for a terminal");
        }
        let mailbox = board.share.join("mailbox");
        let file = File::options().create(true).truncate(false).write(true).open(&mailbox);
        file.and_then(|file| file.set_len(MAILBOX_SIZE))
            .with_context(|| format!("cannot make {}", mailbox.display()))?;
        let drive = |file: &PathBuf| format!("file={},format=raw,if=virtio,cache=unsafe", file.display());
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-no-user-config", "-accel", "tcg,thread=multi", "-M", "q35", "-smp", "2", "-m", "2048"]);
        // mongod needs AVX.
        command.args(["-cpu", "max", "-display", "none", "-monitor", "none", "-nic", "none"]);
        command.arg("-drive").arg(drive(&self.disk)).arg("-drive").arg(drive(&mailbox));
        command.arg("-chardev").arg(format!("file,id=console,append=on,path={}", board.console_log.display()));
        command.args(["-serial", "chardev:console", "-chardev", "stdio,id=agent,signal=off"]);
        command.args(["-serial", "chardev:agent"]);
        Ok(command)
    }

    /// By a disk that both sides see: the serial line is too slow, and Debian's cloud kernel shares no files.
    fn hand_in(&self, board: &Board, content: &[u8]) -> Result<String> {
        let (size, block) = (content.len() as u64, 1_u64 << 20);
        if size > MAILBOX_SIZE {
            bail!("{size} bytes do not fit into the mailbox of a QEMU machine");
        }
        let mailbox = board.share.join("mailbox");
        let file = File::options().write(true).open(&mailbox);
        let written = file.and_then(|file| file.write_all_at(content, 0));
        written.with_context(|| format!("cannot write {}", mailbox.display()))?;
        // Past the machine's cache, which may hold what was there before.
        let count = size.div_ceil(block);
        Ok(format!("dd if=/dev/vdb iflag=direct bs={block} count={count} status=none | head -c {size}"))
    }
}
