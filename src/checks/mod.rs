//! Preflight: what must be known before the host is touched. Each check is a row of [`CATALOGUE`].

mod allowed;
mod begin;
mod catalogue;
mod check;
mod inputs;
mod run;

mod companions;
mod database;
mod database_process;
mod deployments;
mod end_proof;
mod host;
mod kernel;
mod packages;
mod people;
mod places;
mod readiness;
mod selection;
mod servers;
mod services;
mod space;

pub use allowed::is_allowed;
pub use catalogue::{CATALOGUE, labels};
pub use check::{Check, CheckAnswer, Topic};
pub use companions::uncontrollable;
pub use database_process::{server_of, trusts_unclear_process};
pub use end_proof::goes_without_proof;
pub use host::RIVALS;
pub use inputs::CheckInputs;
pub use packages::{BOOT_CRITICAL, refused_removals};
pub use run::{run_again, run_all};
pub use space::tight_boot;

use check::check;
