//! The state machine, pure: what may follow ([`apply`]), and what to do next ([`decide`]).

mod decide;
mod exit;
mod transition;

pub use decide::{Decision, decide, may_abort};
pub use exit::exit_code;
pub use transition::{IllegalTransition, apply};
