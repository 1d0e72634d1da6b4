//! Patchday takes a Linux server through its monthly patch and reboot, and proves that it came back as it was.
//!
//! The map of the crate. A layer may use those below it; `docs/architecture.md` has the exact table, with the reasons.
//!
//! | layer | module | what it is |
//! |---|---|---|
//! | front | [`cli`] | a file per verb; only it looks at the terminal, the environment, the real adapters |
//! | front | [`ui`] | views of events and of data: bars, lines, journal lines, JSON lines, tables |
//! | front | [`error`] | failures that reach a person: kind, message, hint, exit code |
//! | middle | [`coordinator`] | the loop: observe, decide, record the intent, perform, record the outcome, tell |
//! | middle | [`steps`] | one file per step of a run; a step sees ports, never adapters |
//! | middle | [`verify`] | the host compared with its baseline, and judged; changes nothing |
//! | middle | [`checks`] | the preflight's checks, one row of a catalogue each |
//! | middle | [`report`] | from a run and its events to text, JSON, Markdown and HTML |
//! | middle | [`notify`] | from a report to what those who wait are told, by which way |
//! | middle | [`config`] | from the file to valid settings |
//! | middle | [`discovery`] | from the services that run to a configuration file |
//! | middle | [`store`] | the state directory: lock, atomic saves, event log |
//! | host | [`host`] | the ports, and below it the adapters: systemd, logind, MongoDB, apt, kernels, probes |
//! | core | [`machine`] | the state machine: which fact may follow, and what to do next |
//! | core | [`events`] | what views are told: past tense, versioned |
//! | core | [`estimate`] | how long a run will take, and why |
//! | core | [`window`] | when the host may be patched: calendar expressions, windows, blackouts, a hold |
//! | core | [`model`] | data only: run, step, attempt, phase, fact, observation, baseline |
//! | core | [`exit_code`] | the documented exit codes |
//!
//! # Invariants
//!
//! Each is explained in `docs/architecture.md`, with where it is enforced and tested.
//!
//! 1. `model`, `machine` and `report::build` are pure: no I/O and no clock. Time and observations are arguments.
//! 2. Intent before effect: no step touches the host before the store has recorded durably that its attempt began.
//! 3. One writer: only `store` writes below the state directory, and only with the lock in hand.
//! 4. Only what lies below `host` speaks D-Bus, talks to MongoDB or spawns processes. Steps see small traits.
//! 5. Steps emit events; only `ui` and `cli` print. A dead terminal never changes a run.
//! 6. Only `main` exits. Only `cli` looks at the terminal, the environment and the real adapters.
//! 7. Long work lives in transient units of its own. Killing Patchday never kills dpkg.
//! 8. A reboot is judged by the next boot, by boot ID. An unreadable one is neither the same nor another.
//! 9. No test seams in `src`: root directory, bus address and ports are constructor arguments.
//! 10. A run ID is minted once; events, units and files carry it.
//! 11. Undo only what we did: every change of the host is recorded before it is made.
//! 12. Unknown is never healthy.

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
