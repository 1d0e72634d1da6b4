//! The build: what the hidden verb does, in the unit that is named after the step.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::objects::{self, Teller};
use super::{RELEASE_FILE, built, configuration, files_of, is_installed, tree};
use crate::host::{command, trusted};
use crate::model::KernelSource;

/// Builds the kernel and its packages, unless its release is installed. Writes to `log` what make says, and to the
/// descriptor `status` how far it is.
///
/// # Errors
///
/// What failed, and why; the rest is in the log before it.
pub fn build(source: &KernelSource, jobs: u32, status: u32, log: &mut dyn Write) -> Result<(), String> {
    let status = format!("/proc/self/fd/{status}");
    let mut status = OpenOptions::new().append(true).open(&status).map_err(|error| format!("{status}: {error}"))?;
    build_below(Path::new("/"), source, jobs, &mut Teller::new(&mut status, log))
}

pub(super) fn build_below(
    root: &Path,
    source: &KernelSource,
    jobs: u32,
    teller: &mut Teller<'_>,
) -> Result<(), String> {
    let cache = command::below(root, tree::CACHE);
    teller.say("Preparing the source");
    if let Some(program) = source.command.as_ref().and_then(|command| command.first()) {
        trusted::check(Path::new(program))?;
    }
    files_of(source).iter().try_for_each(|file| trusted::check_owner(file))?;
    let tree = tree::prepare(source, &cache)?;
    let origin = configuration::put(source, &tree, !tree::is_tarball(source))?;
    teller.log(&format!("configuration: {origin}"));
    let make = |arguments: &[&str]| make(source, &tree, arguments);
    teller.say("Configuring");
    run(&mut make(&["olddefconfig"]))?;
    let release = output(&mut make(&KERNEL_RELEASE))?.trim().to_owned();
    if release.is_empty() || release.contains(['/', ' ', '\n']) {
        return Err(format!("make kernelrelease says {release:?}, which is no release of a kernel"));
    }
    if is_installed(root, &release) {
        teller.log(&format!("{release} is installed"));
        return Ok(());
    }
    run(&mut make(&["prepare"]))?;
    teller.say("Counting the objects");
    // A dry run ends where it needs a file that it would have made; what it said before that counts.
    let dry_run = make(&["--dry-run", "--keep-going", "vmlinux", "modules"]).output();
    let dry_run = dry_run.map_err(|error| format!("make --dry-run: {error}"))?;
    teller.expect(objects::count(&String::from_utf8_lossy(&dry_run.stdout)));

    let jobs = format!("-j{jobs}");
    let mut command = match source.command.as_deref().and_then(<[String]>::split_first) {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            // make reads them there as if they were told on its command line.
            let words = std::iter::once(&jobs).chain(&source.make).map(|word| word.replace(' ', "\\ "));
            let flags = words.collect::<Vec<_>>().join(" ");
            command.current_dir(&tree).args(arguments).env("MAKEFLAGS", flags).stdin(Stdio::null());
            command
        }
        None => make(&[&jobs, "bindeb-pkg"]),
    };
    follow(&mut command, teller)?;
    let kernel = built(&tree)?;
    if kernel.release != release {
        return Err(format!("{} says {}, but {release} was to be built", RELEASE_FILE, kernel.release));
    }
    if kernel.packages.is_empty() {
        return Err(format!("the build left no package linux-image-{release}_*.deb beside {}", tree.display()));
    }
    Ok(())
}

const KERNEL_RELEASE: [&str; 2] = ["-s", "kernelrelease"];

/// What the tree makes as it is; none where that is not known before it is prepared. Changes nothing.
pub(super) fn release_of_tree(root: &Path, source: &KernelSource) -> Option<String> {
    let tree = tree::ready(source, &command::below(root, tree::CACHE))?;
    files_of(source).iter().try_for_each(|file| trusted::check_owner(file)).ok()?;
    if configuration::is_to_change(source, &tree) {
        return None;
    }
    let output = make(source, &tree, &KERNEL_RELEASE).stderr(Stdio::null()).output().ok()?;
    let release = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| release.trim().to_owned())
}

fn make(source: &KernelSource, tree: &Path, arguments: &[&str]) -> Command {
    let mut make = Command::new(command::find_or_default(Path::new("/"), "make"));
    make.current_dir(tree).args(&source.make).args(arguments).stdin(Stdio::null());
    make
}

/// Runs a program to its end. Its output is ours.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    let told = told(command);
    let status = command.status().map_err(|error| format!("{told}: {error}"))?;
    judged(&told, status)
}

fn output(command: &mut Command) -> Result<String, String> {
    let told = told(command);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("{told}: {error}"))?;
    judged(&told, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The same as [`run`], but for its output, which is heard on its way.
fn follow(command: &mut Command, teller: &mut Teller<'_>) -> Result<(), String> {
    let told = told(command);
    let failed = |error: std::io::Error| format!("{told}: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(said) = child.stdout.take() {
        for line in BufReader::new(said).split(b'\n') {
            let line = line.map_err(failed)?;
            teller.hear(&String::from_utf8_lossy(&line));
        }
    }
    let status = child.wait().map_err(failed)?;
    judged(&told, status)
}

fn judged(told: &str, status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("{told}: {status}")) }
}

fn told(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
