//! Preflight: what must be known before the host is touched. Each check is a row of [`CATALOGUE`].

mod catalogue;
mod inputs;
mod run;

mod database;
mod host;
mod packages;
mod services;
mod space;

pub use catalogue::{CATALOGUE, Check, CheckAnswer, Topic, labels};
pub use inputs::CheckInputs;
pub use run::run_all;

use catalogue::check;
