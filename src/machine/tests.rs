//! The whole of the machine as tables, and what no sequence of its decisions may ever do.

mod decisions;
mod effects;
mod hooks;
mod matrix;
mod properties;
mod sample;
mod window;
