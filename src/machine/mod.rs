//! The state machine, pure: what may follow ([`apply`]), and what to do next ([`decide`]).

mod budget;
mod changes;
mod decide;
mod transition;

pub use decide::{Decision, OpenWork, decide, may_abort};
pub use transition::{IllegalTransition, apply};

#[cfg(test)]
mod tests;
