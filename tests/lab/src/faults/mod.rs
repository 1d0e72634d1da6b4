//! Faults in the middle of a run: the coordinator is killed, or the power is cut, at chosen moments. What comes after is
//! judged by one function, [`assert_safe`].
//!
//! | file | what it knows |
//! |---|---|
//! | `subject.rs` | what an experiment needs from a machine, and how an nspawn machine is watched |
//! | `moment.rs` | moments of a run, told by what the agent sees |
//! | `matrix.rs` | the faults that are injected, and when |
//! | `batch.rs` | power cuts inside a batch, and what must hold after them |
//! | `experiment.rs` | one fault on one machine: run, inject, come back, judge |
//! | `judge.rs` | what must hold afterwards, whatever happened |

mod batch;
mod experiment;
mod judge;
mod matrix;
mod moment;
mod subject;

pub use batch::{BeforeBatch, DISKS, in_batch};
pub use experiment::{Experiment, NotHit, Recovery, configure, perform};
pub use judge::{Before, EndState, Judgement, assert_safe};
pub use matrix::{Fault, at_random, cuts, kills, pulls, with_clock_set};
pub use moment::Moment;
pub use subject::{Subject, Watched};
