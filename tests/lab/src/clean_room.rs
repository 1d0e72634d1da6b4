//! A Debian that has only what tests say they need, in `tests/lab/needs`.
//!
//! A test that asks the host for more passes wherever that happens to be installed, and fails on a fresh machine. In here
//! it fails everywhere. Test programs come from outside, built; so do the sources, which nobody may change, the build
//! directory, Rust and the lab's cache.

use crate::host_apt;
use crate::image::{minimal, mount_layers, remove_tree};
use crate::lab::Lab;
use crate::machine::claim::{Claim, claim};
use crate::process::run;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NEEDS: &str = include_str!("../needs");

/// The tree of the room, and a directory for what is written in it; that one is gone with this value.
pub struct CleanRoom {
    tree: PathBuf,
    claim: Claim,
}

impl CleanRoom {
    /// Builds the tree where it is missing, about a minute. It is the host's own release of Debian: what was built here
    /// runs on no older one.
    pub fn ensure(lab: &Lab) -> Result<Self> {
        let packages: Vec<&str> = packages(NEEDS).collect();
        Self::with(lab, "clean-room", &host_apt::debian_codename()?, &packages)
    }

    /// A room of another release or with other packages.
    pub fn with(lab: &Lab, name: &str, codename: &str, packages: &[&str]) -> Result<Self> {
        let tree = minimal(lab, name, codename, packages)?;
        Ok(Self { tree, claim: claim(lab, name)? })
    }

    /// Starts a program with mounts and processes of its own: they end with it, and it with us, however we end.
    pub fn entered_by(program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--ipc", "--uts"]);
        command.args(["--fork", "--kill-child", "--"]).arg(program);
        command
    }

    /// The Debian in it.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Where its root will be mounted.
    pub fn directory(&self) -> &Path {
        &self.claim.directory
    }

    /// Mounts the room below a directory, and what comes from outside in it: paths to look at, and paths to write to.
    /// Only for a process with mounts of its own, which end with it.
    pub fn mount(tree: &Path, directory: &Path, shown: &[PathBuf], writable: &[PathBuf]) -> Result<PathBuf> {
        let root = mount_layers(&[tree.to_owned()], directory)?;
        run(Command::new("mount").args(["-t", "proc", "proc"]).arg(root.join("proc")))?;
        for name in ["dev", "sys"] {
            run(Command::new("mount").arg("--rbind").arg(Path::new("/").join(name)).arg(root.join(name)))?;
        }
        // As every installed Debian has it.
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").context("cannot write /etc/hosts of the room")?;
        for path in shown {
            let inside = bind(&root, path)?;
            run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(inside))?;
        }
        // After the others: one of these may lie below one of those.
        for path in writable {
            bind(&root, path)?;
        }
        Ok(root)
    }
}

impl Drop for CleanRoom {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.claim.directory) {
            // The next start of the lab tries again.
            eprintln!("lab: the clean room is not removed yet: {error:#}");
        }
    }
}

fn bind(root: &Path, path: &Path) -> Result<PathBuf> {
    let Ok(relative) = path.strip_prefix("/") else { bail!("{} is no absolute path", path.display()) };
    let inside = root.join(relative);
    if !inside.exists() {
        fs::create_dir_all(&inside).with_context(|| format!("cannot make {}", inside.display()))?;
    }
    run(Command::new("mount").arg("--bind").arg(path).arg(&inside))?;
    Ok(inside)
}

/// The packages of a list, as `prepare` reads it too.
fn packages(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().nth(1))
}

#[cfg(test)]
mod tests {
    use super::{NEEDS, packages};

    #[test]
    fn the_list_names_a_program_and_a_package_to_a_line() {
        let lines = NEEDS.lines().filter(|line| !line.starts_with('#'));
        assert!(lines.clone().all(|line| line.split_whitespace().count() == 2), "{NEEDS}");
        assert_eq!(packages(NEEDS).count(), lines.count());
        assert!(packages(NEEDS).any(|package| package == "dbus") && packages("# no package\n").next().is_none());
    }
}
