//! The build: what the hidden verb does, in the unit that is named after the step.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::objects::{self, Teller};
use super::tree::{judged, run, told};
use super::{RELEASE_FILE, built, configuration, distrusted, is_installed, tree};
use crate::host::{command, foreign, trusted};
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
    if let Some(command) = &source.command {
        trusted::check_command(command)?;
    }
    distrusted(source).map_or(Ok(()), Err)?;
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
    let mut objects = 0_u32;
    let mut dry_run = make(&["--dry-run", "--keep-going", "vmlinux", "modules"]);
    let count = |line: &str| objects = objects.saturating_add(objects::is_in(line).into());
    lines(dry_run.stderr(Stdio::null()), count).map_err(|error| format!("make --dry-run: {error}"))?;
    teller.expect(objects);

    let jobs = format!("-j{jobs}");
    let mut command = match source.command.as_deref().and_then(<[String]>::split_first) {
        Some((program, arguments)) => {
            let mut command = command::detached(Path::new(program));
            // make reads them there as if they were told on its command line.
            let words = std::iter::once(&jobs).chain(&source.make).map(|word| word.replace(' ', "\\ "));
            let flags = words.collect::<Vec<_>>().join(" ");
            command.current_dir(&tree).args(arguments).env("MAKEFLAGS", flags).env("HOME", HOME);
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

/// Compilers and signing tools look for their settings there.
const HOME: &str = "/root";

/// For all files of a tree on a slow disk.
pub(super) const TREE_TIMEOUT: Duration = Duration::from_secs(60);

/// make asks the tree's own scripts, which may ask git.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the tree makes as it is; none if that is not known before it is prepared. Changes nothing.
pub(super) async fn release_of_tree(root: &Path, source: &KernelSource) -> Option<String> {
    let tree = {
        let (cache, source) = (command::below(root, tree::CACHE), source.clone());
        let look = move || {
            let tree = tree::ready(&source, &cache)?;
            let is_known = distrusted(&source).is_none() && !configuration::is_to_change(&source, &tree);
            is_known.then_some(tree)
        };
        foreign::in_time(TREE_TIMEOUT, "look at the kernel's tree", look).await.ok()??
    };
    let make = make(source, &tree, &KERNEL_RELEASE);
    let output = command::run(make.into(), "make kernelrelease", RELEASE_TIMEOUT).await.ok()?;
    let release = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| release.trim().to_owned())
}

fn make(source: &KernelSource, tree: &Path, arguments: &[&str]) -> Command {
    let mut make = command::detached(Path::new(&command::find_or_default(Path::new("/"), "make")));
    make.current_dir(tree).args(&source.make).args(arguments).env("HOME", HOME);
    make
}

fn output(command: &mut Command) -> Result<String, String> {
    let told = told(command);
    let mut said = String::new();
    let keep = |line: &str| {
        if said.len() < LONGEST_ANSWER {
            said.push_str(line);
            said.push('\n');
        }
    };
    let status = lines(command, keep).map_err(|error| format!("{told}: {error}"))?;
    judged(&told, status)?;
    Ok(said)
}

/// More is no release of a kernel.
const LONGEST_ANSWER: usize = 4096;

/// What is taken for one line at most.
const LONGEST_LINE: u64 = 1 << 20;

/// The same as [`run`], but for its output, which is heard on its way.
fn follow(command: &mut Command, teller: &mut Teller<'_>) -> Result<(), String> {
    let told = told(command);
    let failed = |error: std::io::Error| format!("{told}: {error}");
    let status = lines(command, |line| teller.hear(line)).map_err(failed)?;
    judged(&told, status)
}

/// Hears a program line by line, and waits for its end. A line without end is heard in parts.
fn lines(command: &mut Command, mut hear: impl FnMut(&str)) -> std::io::Result<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    if let Some(said) = child.stdout.take() {
        let mut said = BufReader::new(said);
        let mut line = Vec::new();
        while (&mut said).take(LONGEST_LINE).read_until(b'\n', &mut line)? > 0 {
            hear(String::from_utf8_lossy(&line).trim_end_matches('\n'));
            line.clear();
        }
    }
    child.wait()
}
