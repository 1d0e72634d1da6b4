//! Patchday takes a Linux server through its monthly patch and reboot, and proves that it came back as it was.

pub mod config;
pub mod events;
pub mod exit_code;
pub mod host;
pub mod model;
pub mod machine;
pub mod store;
pub mod checks;
pub mod coordinator;
pub mod report;
pub mod steps;
