//! Preflight: what must be known before the host is touched. Each check is a row of [`CATALOGUE`].

mod begin;
mod catalogue;
mod inputs;
mod run;

mod companions;
mod database;
mod database_process;
mod deployments;
mod host;
mod kernel;
mod packages;
mod people;
mod places;
mod readiness;
mod services;
mod space;

pub use catalogue::{CATALOGUE, Check, CheckAnswer, Topic, labels};
pub use companions::uncontrollable;
pub use database_process::{server_of, trusts_unclear_process};
pub use host::RIVALS;
pub use inputs::CheckInputs;
pub use packages::{BOOT_CRITICAL, refused_removals};
pub use run::{is_allowed, run_again, run_all};
pub use space::tight_boot;

use catalogue::check;
