//! Patchday takes a Linux server through its monthly patch and reboot, and proves that it came back as it was.

pub mod checks;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod discovery;
pub mod error;
pub mod events;
pub mod exit_code;
pub mod host;
pub mod machine;
pub mod model;
pub mod report;
pub mod steps;
pub mod store;
pub mod ui;
