//! The hidden verb that gives a program a status descriptor.
//!
//! apt writes its progress to a descriptor that it is told the number of. A transient unit can pass output and errors
//! as files, but no third one; so the unit starts this binary, which opens the file and becomes the program.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};

use crate::model::WorkSpec;

/// Opens `status` for appending, puts the number of its descriptor in place of [`WorkSpec::STATUS_FD`] in `argv`, and
/// becomes that program.
///
/// # Errors
///
/// Returns only when it failed; the error says at what.
pub fn exec_with_status(status: &Path, argv: &[String]) -> io::Error {
    let Some((program, arguments)) = argv.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program to execute");
    };
    let file = match OpenOptions::new().append(true).create(true).mode(0o644).open(status) {
        Ok(file) => file,
        Err(error) => return io::Error::new(error.kind(), format!("open {}: {error}", status.display())),
    };
    if let Err(error) = fcntl_setfd(&file, FdFlags::empty()) {
        return io::Error::new(io::Error::from(error).kind(), format!("pass on {}: {error}", status.display()));
    }
    let number = file.as_raw_fd().to_string();
    let arguments = arguments.iter().map(|argument| argument.replace(WorkSpec::STATUS_FD, &number));
    let error = Command::new(program).args(arguments).exec();
    io::Error::new(error.kind(), format!("execute {program}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_executed_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let status = directory.path().join("status");
        let error = exec_with_status(&status, &["/nonexistent/program".into()]);
        assert!(error.to_string().starts_with("execute /nonexistent/program: "), "{error}");
        assert!(status.exists());
        let error = exec_with_status(&directory.path().join("no/status"), &["/bin/true".into()]);
        assert!(error.to_string().starts_with("open "), "{error}");
        assert_eq!(exec_with_status(&status, &[]).kind(), io::ErrorKind::InvalidInput);
    }
}
