//! What the trees of all emulated machines get: the agent, the services, and a repository instead of a network.

use crate::emulated::{API_PORT, MONGOD_PORT};
use crate::image::{Image, UPPER, remove_tree};
use crate::lab::Lab;
use crate::machine::claim::Claim;
use crate::machine::{API_UNIT, MONGOD_CONF, leftovers};
use crate::process::run;
use anyhow::{Context, Result};
use std::fs;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::process::Command;

const AGENT_UNIT: &str = include_str!("../recipe/lab-agent.service");

/// Where the repository lies in the machine.
pub(crate) const REPOSITORY: &str = "/srv/packages";

const PROGRAMS: [&str; 2] = ["lab-agent", "sample-api"];

/// The lab's programs for the inside, stripped.
pub(crate) fn programs(lab: &Lab, claim: &Claim) -> Result<PathBuf> {
    let programs = claim.directory.join("programs");
    fs::create_dir(&programs)?;
    for program in [lab.sample_api(), &lab.agent()?] {
        let name = program.file_name().context("a program has no name")?;
        run(Command::new("strip").arg("-o").arg(programs.join(name)).arg(program))?;
    }
    Ok(programs)
}

/// Adds to an image's key whatever [`tree`] puts into it.
pub(crate) fn hash(programs: &Path, hasher: &mut impl std::hash::Hasher) -> Result<()> {
    (AGENT_UNIT, API_UNIT, MONGOD_CONF).hash(hasher);
    for program in PROGRAMS {
        fs::read(programs.join(program))?.hash(hasher);
    }
    Ok(())
}

/// Unpacks an image's tree for a while, so that it can be changed and written to a disk.
pub(crate) fn with_tree(base: &Image, claim: &Claim, work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let root = base.mount_below(&claim.directory)?;
    work(&root)?;
    leftovers::unmount(&root)?;
    remove_tree(&claim.directory.join(UPPER))
}

/// Puts programs, services and names into an unpacked tree. The agent gets this line.
pub(crate) fn tree(root: &Path, programs: &Path, name: &str, line: &str) -> Result<()> {
    for program in PROGRAMS {
        fs::copy(programs.join(program), root.join("usr/bin").join(program))?;
    }
    let fill = |text: &str| {
        text.replace("@MONGOD_PORT@", &MONGOD_PORT.to_string()).replace("@API_PORT@", &API_PORT.to_string())
    };
    write(root, "etc/mongod.conf", &fill(MONGOD_CONF))?;
    write(root, "etc/systemd/system/sample-api.service", &fill(API_UNIT))?;
    write(root, "etc/systemd/system/lab-agent.service", &AGENT_UNIT.replace("@LINE@", line))?;
    in_tree(root, &["systemctl", "enable", "sample-api.service", "lab-agent.service"])?;
    in_tree(root, &["systemctl", "mask", "getty@tty1.service", "e2scrub_reap.service", "systemd-networkd.service"])?;
    write(root, "etc/hostname", &format!("{name}\n"))?;
    write(root, "etc/hosts", &format!("127.0.0.1 localhost\n127.0.1.1 {name}\n"))?;
    write(root, "etc/machine-id", "")
}

/// Makes the repository the tree's only source: the machine has no network.
pub(crate) fn only_repository(root: &Path) -> Result<()> {
    write(root, "etc/apt/sources.list", &format!("deb [trusted=yes] file:{REPOSITORY} ./\n"))?;
    in_tree(root, &["sh", "-c", "rm -rf /var/lib/apt/lists/*"])?;
    in_tree(root, &["apt-get", "update", "--quiet", "--error-on=any"]).map(drop)
}

/// The paragraph of a repository's list (`Packages`) about a package file in it.
pub(crate) fn listed(repository: &Path, file: &str) -> Result<String> {
    let path = repository.join(file);
    let control = run(Command::new("dpkg-deb").arg("--field").arg(&path))?;
    let size = fs::metadata(&path)?.len();
    let sum = run(Command::new("sha256sum").arg(&path))?;
    let sum = sum.split_whitespace().next().context("sha256sum said nothing")?;
    Ok(format!("{control}Filename: ./{file}\nSize: {size}\nSHA256: {sum}\n\n"))
}

/// Writes a file of a tree.
pub(crate) fn write(root: &Path, path: &str, content: &str) -> Result<()> {
    fs::write(root.join(path), content).with_context(|| format!("cannot write /{path} of the image"))
}

/// Runs a command with the unpacked tree as its root.
pub(crate) fn in_tree(root: &Path, arguments: &[&str]) -> Result<String> {
    run(Command::new("chroot").arg(root).args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C"))
}
