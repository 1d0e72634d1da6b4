//! Keys that are pressed while a run is followed.

use std::io::{IsTerminal, stdin};

use rustix::io::read;
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// Takes keys one by one and without showing them, until it is dropped: then the terminal is as it was. Ctrl-C and its
/// like stay signals.
pub(super) struct Keys {
    before: Termios,
}

impl Keys {
    /// None if nobody can press one: stdin is no terminal, or another job has it.
    pub(super) fn listen() -> Option<Self> {
        if !stdin().is_terminal() || !has_terminal() {
            return None;
        }
        let keys = Self { before: tcgetattr(stdin()).ok()? };
        keys.take();
        Some(keys)
    }

    /// What was pressed since the last look.
    pub(super) fn pressed(&self) -> Vec<u8> {
        let mut keys = [0; 16];
        // Whoever reads a terminal that another job has is stopped.
        if !has_terminal() {
            return Vec::new();
        }
        // A shell that had the terminal meanwhile has set it as it likes.
        self.take();
        let count = read(stdin(), &mut keys).unwrap_or(0);
        keys[..count].to_vec()
    }

    fn take(&self) {
        let mut modes = self.before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        // A read returns at once, with what there is.
        modes.special_codes[SpecialCodeIndex::VMIN] = 0;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        // A terminal that is gone is no reason to stop following.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if has_terminal() {
            let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
        }
    }
}

/// Whether this job is the one in the foreground.
fn has_terminal() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}
