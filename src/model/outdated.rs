//! What the upgrade has not reached.

use super::UnitName;

/// Somebody who still runs files that were replaced, as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldCode {
    /// The unit; none for a process of none.
    pub unit: Option<UnitName>,
    /// The program of its first process.
    pub program: String,
    pub pid: u32,
    /// The files, as far as they are told.
    pub files: Vec<String>,
}

/// What still runs with files that were replaced under it, as needrestart(1) tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outdated {
    /// Units; `systemd-manager` is systemd itself.
    pub services: Vec<String>,
    /// Sessions of people, in needrestart's words: `root @ session #4`.
    pub sessions: Vec<String>,
    /// Containers, with their kind: `LXC web1`.
    pub containers: Vec<String>,
    /// The microcode that the CPU has and the newer one that it would get.
    pub microcode: Option<(String, String)>,
}
