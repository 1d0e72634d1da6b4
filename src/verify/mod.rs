//! Proves that the host came back as it was: looks, compares with the baseline, judges. It changes nothing.
//!
//! [`judge`] does all of it; a run's step goes through [`Look`], and may restart services in between.

mod cause;
pub(crate) mod compare;
mod database;
mod findings;
mod judge;
pub(crate) mod latency;
mod observe;
pub(crate) mod old_code;
mod order;
mod pace;
mod relations;
mod seen;
mod subject;
mod watch;
mod witness;

pub(crate) use judge::Look;
pub use judge::judge;
pub(crate) use relations::of_each as relations_of_each;
pub use subject::Verifying;
pub use witness::{Witnessing, witness};
