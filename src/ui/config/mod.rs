//! `patchday config`: whether the configuration is valid, and what it says.

pub mod check;
pub mod show;
