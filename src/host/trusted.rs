//! Whether a program that root is told to run is root's own, with all that it runs by itself.

use std::fs::{self, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{command, foreign, way};

/// Permission bits that let others than the owner write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const WRITABLE_BY_GROUP: u32 = 0o020;
/// Everybody may make files in such a directory, and only their owners may replace them.
const STICKY: u32 = 0o1000;

/// A script's interpreter may be a script; no real one goes deeper.
const MOST_INTERPRETERS: usize = 4;
/// The kernel reads no more of a script's first line.
const FIRST_LINE: u64 = 256;

/// More files than any tree of a kernel has, built for several architectures.
const MOST_FILES: usize = 2_000_000;

/// What is told of a tree.
const TOLD: usize = 3;

/// Programs that run a file which is their argument.
const RUN_THEIR_ARGUMENTS: [&str; 22] = [
    "sh",
    "bash",
    "dash",
    "ash",
    "ksh",
    "mksh",
    "zsh",
    "fish",
    "busybox",
    "env",
    "nice",
    "ionice",
    "chrt",
    "nohup",
    "setsid",
    "setpriv",
    "sudo",
    "runuser",
    "timeout",
    "flock",
    "chroot",
    "systemd-run",
];
/// The same, under names that go on with a version.
const INTERPRETERS: [&str; 8] = ["python", "perl", "ruby", "node", "php", "lua", "tclsh", "java"];

/// Refuses a command of which somebody else than root could replace a part: the program, the interpreter that a script
/// names, and the files that such a program is told to run. Each must belong to root and be writable by nobody else, and
/// so must every directory and every link on the way to it. So it does not matter by which of its names it is run.
///
/// # Errors
///
/// Why it is not trusted.
pub fn check_command(argv: &[String]) -> Result<(), String> {
    let (program, arguments) = argv.split_first().ok_or("there is no command")?;
    check(Path::new(program))?;
    let is_run_by_it = |argument: &&String| !argument.starts_with('-') && Path::new("/").join(argument).is_file();
    if !runs_its_arguments(Path::new(program)) {
        return Ok(());
    }
    arguments.iter().filter(is_run_by_it).try_for_each(|file| check_owner(&Path::new("/").join(file)))
}

fn runs_its_arguments(program: &Path) -> bool {
    let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    RUN_THEIR_ARGUMENTS.contains(&name.as_str()) || INTERPRETERS.contains(&stem)
}

/// Refuses a program, as [`check_command`] does.
///
/// # Errors
///
/// Why it is not trusted.
pub fn check(program: &Path) -> Result<(), String> {
    let mut program = program.to_owned();
    for _ in 0..MOST_INTERPRETERS {
        check_owner(&program)?;
        let metadata = fs::metadata(&program).map_err(|error| format!("{}: {error}", program.display()))?;
        if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
            return Err(format!("{} is no program", program.display()));
        }
        match interpreter(&program)? {
            Some(next) => program = next,
            None => return Ok(()),
        }
    }
    Err(format!("{} is a script that is run by a script, and so on", program.display()))
}

/// What runs a script, as its first line says; none for a program of the machine's own.
fn interpreter(program: &Path) -> Result<Option<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    let mut begin = Vec::new();
    foreign::open(program).and_then(|file| file.take(FIRST_LINE).read_to_end(&mut begin)).map_err(failed)?;
    let Some(line) = begin.strip_prefix(b"#!") else { return Ok(None) };
    let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let mut words = line.split_whitespace();
    let Some(named) = words.next() else { return Ok(None) };
    if Path::new(named).file_name().is_none_or(|name| name != "env") {
        return Ok(Some(PathBuf::from(named)));
    }
    check_owner(Path::new(named))?;
    let wanted = words.find(|word| !word.starts_with('-') && !word.contains('='));
    let Some(wanted) = wanted else { return Ok(None) };
    let mut places = command::PATH.split(':').map(|directory| Path::new(directory).join(wanted));
    places.find(|place| place.is_file()).map(Some).ok_or_else(|| {
        format!("{}: its first line names {wanted}, which is in none of {}", program.display(), command::PATH)
    })
}

/// The same for a file that root reads its orders from, as a makefile.
///
/// # Errors
///
/// Why it is not trusted.
pub fn check_owner(file: &Path) -> Result<(), String> {
    let places = way::to(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let end = places.len().saturating_sub(1);
    for (at, place) in places.iter().enumerate() {
        check_place(&place.path, &place.metadata, at == end)?;
    }
    Ok(())
}

/// One place on the way. Nobody writes a link: it is replaced, which its directory allows or not.
fn check_place(path: &Path, metadata: &Metadata, is_end: bool) -> Result<(), String> {
    let told = path.display();
    if metadata.uid() != 0 {
        return Err(format!("{told} does not belong to root"));
    }
    let may_replace = is_end || metadata.mode() & STICKY == 0;
    if !metadata.is_symlink() && metadata.mode() & WRITABLE_BY_OTHERS != 0 && may_replace {
        return Err(format!("{told} is writable by others than root"));
    }
    Ok(())
}

/// Refuses a tree in which somebody else than root could change or replace anything: root builds what lies there, and
/// any file of it can give orders. What a link leads to outside is checked too. Tarballs are often unpacked so that the
/// group may write; the group root is root's.
///
/// # Errors
///
/// What is not trusted, the first few places of it.
pub fn check_tree(top: &Path) -> Result<(), String> {
    check_owner(top)?;
    let top = fs::canonicalize(top).map_err(|error| format!("{}: {error}", top.display()))?;
    let mut directories = vec![top.clone()];
    let mut files = 0;
    let mut bad = Vec::new();
    while let Some(directory) = directories.pop() {
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let metadata = fs::symlink_metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            files += 1;
            if files > MOST_FILES {
                return Err(format!(
                    "{} has more than {MOST_FILES} files, and was not looked at to the end",
                    top.display()
                ));
            }
            if metadata.is_symlink() {
                // One that leads nowhere gives no orders.
                let outside = fs::canonicalize(&path).is_ok_and(|end| !end.starts_with(&top));
                bad.extend((metadata.uid() != 0).then(|| format!("{} does not belong to root", path.display())));
                bad.extend(outside.then(|| check_owner(&path).err()).flatten());
            } else {
                let groups_own = metadata.gid() == 0 && metadata.mode() & WRITABLE_BY_OTHERS == WRITABLE_BY_GROUP;
                bad.extend(check_place(&path, &metadata, true).err().filter(|_| metadata.uid() != 0 || !groups_own));
                directories.extend(metadata.is_dir().then_some(path));
            }
            if bad.len() > TOLD {
                bad.truncate(TOLD);
                return Err(format!("{}, and more", bad.join("; ")));
            }
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(bad.join("; ")) }
}

#[cfg(test)]
mod tests;
