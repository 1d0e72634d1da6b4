//! Disposable machines on which Patchday is tested and shown.
//!
//! A machine is a booted Debian with its own systemd, D-Bus, logind, journal and apt, a real MongoDB with a sample
//! API on top, and real updates pending. It lives in an overlay above a cached image, boots in about a second, and
//! is gone when its [`Machine`] is dropped. `docs/testing.md` tells how to use it.
//!
//! ```no_run
//! use patchday_lab::{Lab, Suite};
//! use std::time::Duration;
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::new()?;
//! let machine = lab.booted_machine(Suite::Bookworm, "example")?;
//! let before = machine.boot_id()?;
//! machine.exec(&["systemctl", "reboot"])?;
//! machine.wait_for_reboot(&before, Duration::from_secs(60))?;
//! machine.wait_until_healthy(Duration::from_secs(60))?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | `lab` | where the cache and the sample API are |
//! | `host_apt` | the mirror and the proxy of the host's own apt |
//! | `image`, `mongod` | how an image is built, and where mongod comes from |
//! | `clean_room` | where tests run that need no machine: a Debian that has only what they say they need |
//! | `machine` | one machine: its life, commands, files and services |
//! | `supervisor` | starts nspawn again when the machine rebooted |
//! | `uml` | a machine with a kernel of its own: caps that bite, and power cuts that lose the page cache |
//! | `qemu` | a machine with a boot loader |
//! | `emulated`, `furnish` | what these two share: their life, and what is on their disks |
//! | `comeback`, `order` | a server that comes back wrong in many ways; and the order in which it comes back |
//! | `testbed` | what both kinds of machines can do |
//! | `agent` | what the agent in a machine sees, and how it is told to run commands |
//! | `faults` | kills and power cuts in the middle of a run, and the judge of what comes after |
//! | `strangers` | hosts as strangers have them, and what Patchday says of each |
//! | `usage` | what a run uses of its machine |
//! | `load` | how users fare while something is built under a cap |
//! | `terminal` | a terminal that somebody types at, and its screen |
//! | `settings` | Patchday's settings for the two services |
//! | `shipped`, `ended` | Patchday as the lab's programs are given it, and how they end |
//! | `cgroup`, `ports`, `files`, `hex`, `http`, `process`, `wait` | the small tools below them |

mod agent;
mod cgroup;
mod clean_room;
mod comeback;
mod emulated;
mod ended;
pub mod faults;
mod files;
mod furnish;
mod hex;
mod host_apt;
mod http;
mod image;
mod lab;
mod load;
mod machine;
mod mongod;
mod order;
mod ports;
mod process;
mod qemu;
mod settings;
mod shipped;
pub mod sink;
pub mod strangers;
mod supervisor;
mod terminal;
mod testbed;
mod uml;
mod usage;
mod wait;

pub use agent::Sighting;
pub use clean_room::CleanRoom;
pub use comeback::{Comeback, Cost, FAULTS, Fault, Judgement};
pub use emulated::EmulatedMachine;
pub use ended::ended;
pub use hex::{hex, unhex};
pub use http::{Response, request, request_within};
pub use image::{Image, Suite};
pub use lab::Lab;
pub use load::{Window, slow_module};
pub use machine::{ApiFault, Machine, Output};
pub use order::{OrderServer, OrderedBoot, Way, median};
pub use settings::services;
pub use shipped::Shipped;
pub use terminal::Terminal;
pub use testbed::Testbed;
pub use uml::UML_PACKAGES;
pub use usage::Usage;
pub use wait::wait_for;
