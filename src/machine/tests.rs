//! The whole of the machine as tables, and what no sequence of its decisions may ever do.

mod decided;
mod decisions;
mod effects;
mod endings;
mod hooks;
mod legal;
mod matrix;
mod properties;
mod random_fact;
mod sample;
mod situations;
mod standstill;
mod window;
