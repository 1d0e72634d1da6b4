//! When the host may be patched: pure arithmetic on calendar expressions, windows, blackouts and a hold. The one thing
//! that is read is the database of time zones, where an expression names one.
//!
//! ```text
//! expression   the text of a systemd calendar expression -> its parts
//! elapse       the next instant that an expression names
//! schedule     windows without blackouts and hold -> openings; may a run begin now?
//! ```

mod elapse;
mod expression;
mod schedule;

pub use expression::{Expression, InvalidExpression};
pub use schedule::{Blackout, Closed, Opening, Piece, Schedule, Window, clock_time};
