//! What a run has behind it of reboots and soft reboots, and what they have undone.

use super::{BootId, Change, Phase, Restart, Run, UnitName};

impl Run {
    /// Whether all but the kernel was started anew since somebody last looked, now that systemd counts so many.
    pub fn is_soft_rebooted(&self, count: Option<u32>) -> bool {
        self.soft_reboots_of_boot.zip(count).is_some_and(|(known, now)| known < now)
    }

    /// The restart that was asked for and has not come, or is not yet known to have.
    pub fn awaits(&self) -> Option<Restart> {
        (self.phase == Phase::RebootRequested).then_some(self.restart.restart)
    }

    /// A reboot by kexec would start a kernel that the run has loaded, or was about to load.
    pub fn has_loaded_kernel(&self) -> bool {
        self.changes.contains(&Change::KernelLoaded)
    }

    /// Which restart made it go on: the one that was asked for, or what came in its place; none before.
    pub fn restarted(&self) -> Option<Restart> {
        self.rebooted.map(|_| match (self.softly, self.by_kexec) {
            (true, _) => Restart::Soft,
            (false, true) => Restart::Kexec,
            (false, false) => Restart::Full,
        })
    }

    /// The soft reboot that was asked for is behind it, and no boot since.
    pub fn is_softly_restarted(&self) -> bool {
        self.softly && self.boot == self.first_boot
    }

    /// Everything but perhaps the kernel was started anew since the baseline, now that `boot` runs.
    pub fn is_started_anew_on(&self, boot: &BootId) -> bool {
        *boot != self.first_boot || self.is_softly_restarted()
    }

    /// Units that do not start, or cannot be stopped, as long as files of ours are below `/run`.
    pub fn held_units(&self) -> Vec<UnitName> {
        let of = |change: &Change| match change {
            Change::Held(unit) | Change::Protected(unit) | Change::TakenAlong { unit, .. } => Some(unit.clone()),
            _ => None,
        };
        self.changes.iter().filter_map(of).collect()
    }

    /// Services are down that the soft reboot was to start: somebody came before the holds were let go.
    pub fn is_held_over_soft_reboot(&self) -> bool {
        self.is_softly_restarted() && !self.held_units().is_empty()
    }

    /// Strikes out what another boot than the run's has undone, and returns it.
    pub fn strike_out_undone_by(&mut self, boot: &BootId) -> Vec<Change> {
        if boot == &self.boot {
            return Vec::new();
        }
        let (left, undone) = std::mem::take(&mut self.changes).into_iter().partition(Change::outlives_boot);
        self.changes = left;
        undone
    }
}
