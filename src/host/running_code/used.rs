//! What processes have mapped or open, and what they were started with.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use super::{DELETED, MOST, identity};
use crate::host::command::below;
use crate::host::foreign;
use crate::model::UsedFiles;

/// Open files of one process: a server with more connections than that is not looked through.
const DESCRIPTORS: usize = 200_000;
/// The kernel reads no more of a script's first line.
const FIRST_LINE: u64 = 256;
/// A script's interpreter may be a script; no real one goes deeper.
const INTERPRETERS: usize = 4;
/// Where `env` looks for a program that a script names.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Files without a name on any disk.
const NAMELESS: [&str; 6] = ["/memfd:", "/dev/", "/SYSV", "/proc/", "/anon_hugepage", "/[aio]"];

/// Everything that these processes use, and these command lines name.
pub(super) fn look(root: &Path, pids: &[u32], commands: &[Vec<String>]) -> Result<UsedFiles, String> {
    let own_root = identity(root).map_err(|error| format!("{}: {error}", root.display()))?;
    let mut used = UsedFiles::default();
    for &pid in pids {
        let process = below(root, "/proc").join(pid.to_string());
        of_process(&process, own_root, &mut used).map_err(|error| told(pid, &process, &error))?;
    }
    for command in commands {
        of_command(root, command, &mut used);
    }
    Ok(used)
}

fn told(pid: u32, process: &Path, error: &io::Error) -> String {
    if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(3) {
        return format!("process {pid} ended while it was looked at");
    }
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    format!("process {pid} ({}): {error}", name.trim_end())
}

fn of_process(process: &Path, own_root: (u64, u64), used: &mut UsedFiles) -> io::Result<()> {
    let program = match fs::read_link(process.join("exe")) {
        Ok(program) => program,
        // It has ended, and its parent has not asked how.
        Err(error) if error.kind() == ErrorKind::NotFound && is_zombie(process) => return Ok(()),
        Err(error) => return Err(error),
    };
    if identity(&process.join("root"))? != own_root {
        return Err(io::Error::other("it has a file system of its own, as in a container"));
    }
    let program = program.to_string_lossy();
    used.running.insert(program.strip_suffix(DELETED).unwrap_or(&program).to_owned());
    let mut maps = BufReader::new(File::open(process.join("maps"))?.take(MOST));
    let mut line = Vec::new();
    let mut read = 0;
    while maps.read_until(b'\n', &mut line)? > 0 {
        read += line.len() as u64;
        if let Some(file) = mapped(&String::from_utf8_lossy(&line)) {
            used.files.insert(file.to_owned());
        }
        line.clear();
    }
    let mut descriptors = 0;
    for descriptor in fs::read_dir(process.join("fd"))? {
        descriptors += 1;
        // One that is closed meanwhile is none.
        let Ok(target) = fs::read_link(descriptor?.path()) else { continue };
        if let Some(file) = named(&target.to_string_lossy()) {
            used.files.insert(file.to_owned());
        }
    }
    if read >= MOST || descriptors > DESCRIPTORS {
        return Err(io::Error::other("it uses more files than are looked at"));
    }
    Ok(())
}

/// `State:\tZ (zombie)`
fn is_zombie(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.strip_prefix("State:").is_some_and(|state| state.trim_start().starts_with(['Z', 'X'])))
}

/// `7f5c2e628000-7f5c2e77d000 r-xp 00028000 fe:00 131 /usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)`
fn mapped(line: &str) -> Option<&str> {
    named(line.trim_end_matches('\n').splitn(6, ' ').nth(5)?.trim_start())
}

/// The name of a file, also of one that was replaced.
fn named(target: &str) -> Option<&str> {
    let file = target.strip_suffix(DELETED).unwrap_or(target);
    (file.starts_with('/') && !NAMELESS.iter().any(|start| file.starts_with(start))).then_some(file)
}

/// The program, every file among its arguments, where links lead, and what runs it if it is a script.
fn of_command(root: &Path, command: &[String], used: &mut UsedFiles) {
    for word in command.iter().filter(|word| word.starts_with('/')) {
        of_file(root, word, used);
    }
    let mut script = command.first().cloned();
    for _ in 0..INTERPRETERS {
        let Some(line) = script.and_then(|script| first_line(&below(root, &script))) else { return };
        let mut words = line.split_whitespace();
        let Some(interpreter) = words.next() else { return };
        of_file(root, interpreter, used);
        script = Some(interpreter.to_owned());
        if interpreter.ends_with("/env") {
            let name = words.find(|word| !word.starts_with('-') && !word.contains('='));
            let Some(name) = name else { return };
            let mut found = PATH.iter().map(|directory| format!("{directory}/{name}"));
            script = found.find(|path| below(root, path).is_file());
            let Some(program) = &script else { return };
            of_file(root, program, used);
        }
    }
}

fn of_file(root: &Path, path: &str, used: &mut UsedFiles) {
    let there = below(root, path);
    if !there.is_file() {
        return;
    }
    used.started_with.insert(path.to_owned());
    let real = there.canonicalize().ok().zip(root.canonicalize().ok());
    let real = real.and_then(|(real, root)| Some(format!("/{}", real.strip_prefix(root).ok()?.to_str()?)));
    used.started_with.extend(real);
}

/// What follows `#!`; none if it is no script.
fn first_line(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    foreign::open(path).ok()?.take(FIRST_LINE).read_to_end(&mut bytes).ok()?;
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    Some(String::from_utf8_lossy(line).trim().to_owned())
}

#[cfg(test)]
mod tests;
