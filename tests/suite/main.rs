//! All tests that need no machine: on a host in memory, on a private bus, beside a real mongod, and of the sources.
//!
//! All of it is one program, so that the library is linked once. See `docs/testing.md`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "../common/fake_host.rs"]
mod fake_host;
#[path = "../common/schema_maker.rs"]
mod maker;
#[path = "../common/mock_bus/mod.rs"]
mod mock_bus;
#[path = "../common/mongod.rs"]
mod mongod;
#[path = "../common/sample_runs.rs"]
mod sample_runs;
#[path = "../common/source.rs"]
mod source;

mod ahead;
mod batch;
mod boot_room;
mod bus;
mod checks;
mod cli;
mod clock;
mod config;
mod config_amended;
mod config_files;
mod config_verb;
mod coordinator;
mod cost;
mod crash;
mod database;
mod discovery;
mod docs;
mod end_proof;
mod hooks;
mod host_debian;
mod hostile_apt;
mod kernel_source;
mod kernel_trial;
mod last_healthy;
mod last_look;
mod late_stop;
mod least_restart;
mod look_again;
mod modules;
mod mongodb;
mod mongodb_tls;
mod next_kernel;
mod only_planned;
mod owed;
mod package_locks;
mod readiness;
mod recovery;
mod sandbox;
mod scripts;
mod selection;
mod standstill;
mod store;
mod store_compat;
mod supply_chain;
mod tidy;
mod tidy_circles;
mod tidy_clock;
mod tidy_comments;
mod tidy_findings;
mod units;
mod waves;
mod windows;
mod witness;
