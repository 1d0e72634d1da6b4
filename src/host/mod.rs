//! The ports: what steps and checks may ask of the host, by intent. The adapters below implement them with zbus, the
//! MongoDB driver and child processes; nothing else does.

pub mod apt;
pub mod boot_clock;
pub mod boot_menu;
pub mod bus;
pub mod clock;
pub mod clock_state;
pub mod command;
pub mod end_proof;
pub mod exec_line;
pub mod foreign;
pub mod git;
pub mod grub;
#[cfg(test)]
pub(crate) mod hostile;
pub mod journal;
pub mod kernel;
pub mod kexec;
pub mod logind;
pub mod messenger;
pub mod mongodb;
pub mod mounts;
pub mod pace;
pub mod people;
pub mod placed;
mod ports;
pub mod probe;
pub mod running_code;
pub mod secret;
pub mod sockets;
pub mod system;
pub mod systemd;
pub mod tls_words;
#[cfg(test)]
pub(crate) mod tree;
pub mod trusted;
pub mod way;
pub mod witness;

pub use ports::{
    Batches, BootLoader, Budget, Clock, CommandLine, Database, DatabaseForensics, DatabaseInsight, Deployments,
    EndProofs, Host, HostError, HostErrorKind, HostResult, Inhibitor, InhibitorGuard, Journal, Kernels, Kexec,
    Messenger, PackageLocks, PackageSurvey, PackageWork, Packages, People, Power, Prober, RunningCode, Shutdown,
    ShutdownSpec, Spoiled, System, UnitChanges, UnitHold, Units, Witness, WorkUnits,
};
