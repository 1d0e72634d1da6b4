//! Patchday takes a Linux server through its monthly patch and reboot, and proves that it came back as it was.
//!
//! `docs/architecture.md` has the map of these modules, how a run flows through them, the invariants that always hold, and
//! who may import what. Begin with [`model`], the data; [`machine`], the pure decisions; [`coordinator`], the loop around
//! them; [`host`], the ports through which [`steps`] and [`checks`] see the host; and [`cli`], where all of it meets.

pub mod atomic_file;
pub mod checks;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod discovery;
pub mod doctor;
pub mod error;
pub mod estimate;
pub mod events;
pub mod exit_code;
pub mod host;
pub mod machine;
pub mod model;
pub mod notify;
pub mod report;
pub mod steps;
pub mod store;
pub mod ui;
pub mod verify;
pub mod window;
