//! Patchday takes a Linux server through its monthly patch and reboot, and proves that it came back as it was.

pub mod config;
pub mod discovery;
pub mod events;
pub mod exit_code;
pub mod host;
pub mod model;
