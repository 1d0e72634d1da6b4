//! How the lab's programs end.

use anyhow::Result;
use std::process::ExitCode;

/// The exit code of a program that has shown what it should, or not; an error is told.
pub fn ended(program: &str, shown: Result<bool>) -> ExitCode {
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
