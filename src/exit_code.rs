//! Exit codes: for scripts and units, stable, documented in `docs/exit-codes.md`.

/// Done, or nothing to do.
pub const DONE: u8 = 0;
/// A fault in Patchday or an unexpected answer of the host.
pub const UNEXPECTED: u8 = 1;
/// The command line or the configuration is wrong; nothing was touched.
pub const USAGE: u8 = 2;
/// Refused: not in a window, held, not confirmed, too late to abort, already resumed on this boot.
pub const BLOCKED: u8 = 10;
/// Another run holds the lock.
pub const LOCKED: u8 = 11;
/// A step failed before anything was touched.
pub const UNTOUCHED: u8 = 20;
/// A step failed, or the run was aborted; the services were brought back and the host was not rebooted.
pub const STEP_FAILED: u8 = 21;
/// The reboot did not happen; the services were brought back.
pub const NOT_REBOOTED: u8 = 22;
/// The host came back, and not as it was: the verdict is degraded or failed.
pub const NOT_VERIFIED: u8 = 23;
/// The state cannot be read, or a newer version wrote it.
pub const STATE: u8 = 30;

/// The command only stopped following (Ctrl-C); the run goes on.
pub const DETACHED: u8 = 130;

/// Every code and its meaning, for the help and the documentation.
pub const ALL: [(u8, &str); 11] = [
    (DONE, "done, or nothing to do"),
    (UNEXPECTED, "unexpected error"),
    (USAGE, "wrong usage or configuration; nothing was touched"),
    (BLOCKED, "refused: not in a window, held, not confirmed, too late to abort, already resumed on this boot"),
    (LOCKED, "another run holds the lock"),
    (UNTOUCHED, "a step failed before anything was touched"),
    (STEP_FAILED, "a step failed or the run was aborted, without a reboot; or a change of the run is not undone"),
    (NOT_REBOOTED, "the reboot did not happen"),
    (NOT_VERIFIED, "the host came back, but the verdict is degraded or failed"),
    (STATE, "the state is unreadable or from a newer version"),
    (DETACHED, "no longer following (Ctrl-C); the run goes on"),
];
