//! Patchday on disposable machines: real systemd, D-Bus, apt, mongod and reboots. See `docs/testing.md`.
//!
//! All of it is one program, so that two tests are at work at any time: a machine waits most of its.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod ahead;
mod ansible;
mod checks;
mod config;
mod end_proof;
mod faults;
mod hooks;
mod least_restart;
mod mongodb;
mod notify;
mod on_machine;
mod only_planned;
mod plan;
mod plan_time;
mod recovery;
mod rivals;
mod runs;
mod strangers;
mod upgrade;
mod verify;

#[path = "../common/report_schema.rs"]
mod report_schema;
