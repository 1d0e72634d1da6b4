//! The sandbox of a coordinator that was started by hand, and of the one that watches a reboot. The units in `systemd/`
//! have the same; `tests/suite/sandbox.rs` holds them against this table.
//!
//! Hooks have a small one of their own, [`of_hooks`].
//!
//! A coordinator talks to systemd, to the database and to the network, reads the host and writes its own state. What
//! works (apt, dpkg, a build) is in units of its own, which have none of this.
//!
//! Left out, each with its reason:
//!
//! - `ProtectKernelTunables=`, `ProtectControlGroups=`: below systemd-nspawn each of them takes away the boot ID that the
//!   container has.
//! - `PrivateTmp=`: mongod's sockets are in `/tmp`. `PrivateDevices=`: what `/etc/fstab` names in `/dev` would not be
//!   there. `ProtectKernelModules=`: `/lib/modules` would be empty for the checks of kernels; nobody may load one all the
//!   same, by capabilities and system calls.
//! - `MemoryDenyWriteExecute=`: a probe may be a program that compiles itself.
//! - `UMask=`: apt keeps caches that others read. All of our own files have their modes.

use zbus::Variant;

use super::property::Property;

/// Where a coordinator writes below what is read-only: GRUB's environment, and what is shown at logins.
const WRITABLE: [&str; 2] = ["-/boot/grub", "-/etc/motd.d"];

/// Bits of `CAP_…`, see capabilities(7).
const CAPABILITIES: [u32; 11] = [
    0,  // CHOWN
    1,  // DAC_OVERRIDE
    2,  // DAC_READ_SEARCH
    3,  // FOWNER
    4,  // FSETID
    5,  // KILL
    6,  // SETGID: apt's methods are another user
    7,  // SETUID
    13, // NET_RAW: a probe that is a ping
    19, // SYS_PTRACE: whose the sockets of processes are
    26, // SYS_TTY_CONFIG: wall
];

const EPERM: i32 = 1;

/// Bits of `CAP_…` that no hook has: what would reboot past systemd, set the clock, wake the host, or count processes.
const NOT_FOR_HOOKS: [u32; 4] = [
    20, // SYS_PACCT
    22, // SYS_BOOT
    25, // SYS_TIME
    35, // WAKE_ALARM
];

/// What a hook may not call: as above, and what no program of today calls.
const REFUSED_TO_HOOKS: [&str; 4] = ["@clock", "@reboot", "@obsolete", "@cpu-emulation"];

/// Half of the host's memory, in parts of the largest number.
const HALF: u32 = u32::MAX / 2;

/// Properties for a program of the administrator. It may do nearly all that root does: install packages, mount, take a
/// snapshot, mail, become another user. So it has none of what would take that away:
///
/// - `NoNewPrivileges=`, `RestrictSUIDSGID=`: `su`, `sudo` and `sendmail` would not work, nor dpkg, nor a backup by rsync.
/// - Whatever gives it mounts of its own (`ProtectSystem=`, `ProtectKernelLogs=`, `PrivateTmp=` …): what it mounts for a
///   later hook would be seen by nobody. `RestrictNamespaces=`: containers.
/// - `ProtectClock=`, `DevicePolicy=`: LVM and backups need devices; the capability and the calls go all the same.
///
/// `[[hook]] sandbox = false` leaves all of it out.
pub(super) fn of_hooks() -> Vec<Property> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    vec![
        ("RestrictRealtime", true.into()),
        ("LockPersonality", true.into()),
        ("SystemCallArchitectures", words(&["native"]).into()),
        ("SystemCallFilter", (false, words(&REFUSED_TO_HOOKS)).into()),
        ("SystemCallErrorNumber", EPERM.into()),
        ("CapabilityBoundingSet", NOT_FOR_HOOKS.iter().fold(u64::MAX, |all, bit| all & !(1 << bit)).into()),
        ("MemoryMaxScale", HALF.into()),
        ("TasksMax", 4096u64.into()),
    ]
}

/// Properties for who writes to these directories as well. A directory that is not there is no error.
pub(super) fn properties(writable: &[String]) -> Vec<Property> {
    let strings = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let writable: Vec<String> =
        strings(&WRITABLE).into_iter().chain(writable.iter().map(|path| format!("-{path}"))).collect();
    let devices: Vec<(String, String)> =
        [("char-pts", "rw"), ("char-tty", "rw"), ("block-*", "r"), ("/dev/tpmrm0", "rw")]
            .map(|(device, rights)| (device.to_owned(), rights.to_owned()))
            .to_vec();
    let families = strings(&["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"]);
    let yes = |name| (name, Variant::from(true));
    vec![
        yes("NoNewPrivileges"),
        ("ProtectSystem", "full".into()),
        ("ProtectHome", "read-only".into()),
        ("ReadWritePaths", writable.into()),
        ("DevicePolicy", "closed".into()),
        ("DeviceAllow", devices.into()),
        yes("ProtectKernelLogs"),
        yes("ProtectClock"),
        yes("ProtectHostname"),
        ("RestrictNamespaces", 0u64.into()),
        yes("RestrictRealtime"),
        yes("RestrictSUIDSGID"),
        yes("LockPersonality"),
        ("SystemCallArchitectures", strings(&["native"]).into()),
        ("SystemCallFilter", (true, strings(&["@system-service"])).into()),
        ("SystemCallErrorNumber", EPERM.into()),
        ("RestrictAddressFamilies", (true, families).into()),
        ("CapabilityBoundingSet", CAPABILITIES.iter().fold(0u64, |all, bit| all | (1 << bit)).into()),
        ("MemoryMax", (1u64 << 30).into()),
        ("TasksMax", 512u64.into()),
    ]
}
