//! The tests that need no machine, in the clean room.

use anyhow::{Context, Result, bail};
use clap::Args;
use patchday_lab::{CleanRoom, Lab};
use serde_json::Value;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Test programs that boot machines: they run on the host.
const ON_MACHINES: [&str; 3] = ["machine", "lab", "uml"];

/// What the room's programs find; Debian's own, for root.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Debug, Args)]
pub(crate) struct Rooms {
    /// Only tests whose name holds this text
    #[arg(default_value = "")]
    only: String,
    /// The room's directory, and its tree: for the part of this that runs with mounts of its own
    #[arg(long, hide = true, num_args = 2)]
    inside: Vec<PathBuf>,
}

/// A test program: what it is called, where it is, and from where cargo would start it.
struct Program {
    name: String,
    file: PathBuf,
    directory: PathBuf,
}

impl Rooms {
    pub(crate) fn test(&self) -> Result<ExitCode> {
        let passed = match &self.inside[..] {
            [directory, tree] => inside(directory, tree, &self.only)?,
            _ => self.outside()?,
        };
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn outside(&self) -> Result<bool> {
        // cargo may build this program anew, and put another file in its place.
        let this = env::current_exe().context("cannot tell the path of this program")?;
        let programs = programs()?;
        let lab = Lab::new()?;
        let room = CleanRoom::ensure(&lab)?;
        let list =
            programs.iter().map(|one| format!("{}\t{}\t{}\n", one.name, one.file.display(), one.directory.display()));
        fs::write(room.directory().join("programs"), list.collect::<String>()).context("cannot write a list")?;
        let mut command = CleanRoom::entered_by(&this);
        command.args(["clean-room", &self.only, "--inside"]).arg(room.directory()).arg(room.tree());
        let status = command.status().context("cannot run setpriv and unshare (package util-linux)")?;
        Ok(status.success())
    }
}

/// Builds the test programs, and names those that need no machine.
fn programs() -> Result<Vec<Program>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--locked", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]);
    let output = cargo.current_dir(source()?).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the tests do not compile");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs: Vec<Program> = messages.filter_map(|message| program(&message)).collect();
    if programs.len() < 3 {
        bail!("cargo names no more than {} test programs that need no machine", programs.len());
    }
    Ok(programs)
}

fn program(message: &Value) -> Option<Program> {
    let target = &message["target"];
    let (name, kind) = (target["name"].as_str()?, target["kind"][0].as_str()?);
    if message["profile"]["test"] != true || (kind == "test" && ON_MACHINES.contains(&name)) {
        return None;
    }
    Some(Program {
        name: format!("{name} ({kind})"),
        file: message["executable"].as_str()?.into(),
        directory: Path::new(message["manifest_path"].as_str()?).parent()?.to_owned(),
    })
}

fn inside(directory: &Path, tree: &Path, only: &str) -> Result<bool> {
    let list = fs::read_to_string(directory.join("programs")).context("cannot read the list of programs")?;
    let programs: Vec<Program> = list
        .lines()
        .filter_map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [name, file, directory] => {
                Some(Program { name: name.to_owned(), file: file.into(), directory: directory.into() })
            }
            _ => None,
        })
        .collect();
    let home = env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(|| Path::new(&home).join(".cargo"), PathBuf::from);
    let lab = Lab::new()?;
    let mut shown = vec![source()?, cargo_home.clone(), lab.cache().to_owned()];
    let rust = said(Command::new("rustc").args(["--print", "sysroot"]))?;
    // Debian's own Rust lies in /usr, which is the room's.
    if !rust.starts_with("/usr") {
        shown.push(rust.clone().into());
    }
    shown.retain(|path| path.exists());
    let mut targets: Vec<PathBuf> =
        programs.iter().filter_map(|one| Some(one.file.ancestors().nth(3)?.to_owned())).collect();
    targets.dedup();
    let root = CleanRoom::mount(tree, directory, &shown, &targets)?;

    let mut passed = true;
    for Program { name, file, directory } in programs {
        eprintln!("lab: {name} in the clean room");
        let began = Instant::now();
        let mut test = Command::new("chroot");
        test.arg(&root).args(["env", "-i", "-C"]).arg(directory);
        test.arg(format!("PATH={rust}/bin:{PATH}")).args(["HOME=/root", "USER=root", "INSTA_UPDATE=no", "CI=1"]);
        test.arg(format!("CARGO_HOME={}", cargo_home.display()));
        test.arg(format!("INSTA_WORKSPACE_ROOT={}", source()?.display())).arg(file).arg("--quiet").arg(only);
        let status = test.stdin(Stdio::null()).status().context("cannot run chroot")?;
        eprintln!("lab: {name} in the clean room: {status}, {:.0} s", began.elapsed().as_secs_f64());
        passed &= status.success();
    }
    Ok(passed)
}

/// The project.
pub(crate) fn source() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    source.canonicalize().with_context(|| format!("cannot find {}", source.display()))
}

pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
