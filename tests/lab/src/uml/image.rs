//! The disk from which UML machines are made: the tree of a nspawn image, with services that ran once.

use super::kernel;
use super::life::{self, Board};
use super::packages::{self, REPOSITORY};
use crate::cgroup::Cgroup;
use crate::image::{Image, Suite, UPPER, remove_tree};
use crate::lab::{Lab, locked};
use crate::machine::claim::{Claim, claim};
use crate::machine::leftovers;
use crate::machine::{API_UNIT, MONGOD_CONF};
use crate::process::run;
use crate::testbed::Testbed;
use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Change it when the steps of [`UmlImage::ensure`] change; what they use is in the key anyway.
const RECIPE_VERSION: u32 = 1;

const AGENT_UNIT: &str = include_str!("../../recipe/lab-agent.service");
const SHELL_UNIT: &str = include_str!("../../recipe/lab-shell.service");

/// Each machine has a network of its own, so all use the usual ports.
pub(super) const API_PORT: u16 = 8080;
pub(super) const MONGOD_PORT: u16 = 27017;

const SIZE: &str = "3G";

/// It boots in ten seconds on an idle host; the database is made then, too.
const PREPARATION: Duration = Duration::from_secs(300);

/// A disk image that machines read and none writes.
#[derive(Debug, Clone)]
pub(crate) struct UmlImage {
    pub(super) disk: PathBuf,
    /// Whether it has the source of a kernel, and all that builds it.
    pub(super) builds_kernels: bool,
}

impl UmlImage {
    /// The image of a suite. Builds it (about a minute) when there is none for the present recipe; whoever comes
    /// meanwhile waits.
    pub(crate) fn ensure(lab: &Lab, suite: Suite) -> Result<Self> {
        Self::of_kind(lab, suite, false)
    }

    /// The same with the source of a kernel that was built once, which takes ten minutes.
    pub(crate) fn with_kernel_source(lab: &Lab) -> Result<Self> {
        Self::of_kind(lab, Suite::Bookworm, true)
    }

    fn of_kind(lab: &Lab, suite: Suite, builds_kernels: bool) -> Result<Self> {
        let base = Image::ensure(lab, suite)?;
        let base = if builds_kernels { base.with(lab, kernel::SOURCE)? } else { base };
        let claim = claim(lab, "uml-image")?;
        let built = Self::build_where_missing(lab, &base, &claim, builds_kernels);
        leftovers::give_up(&claim.directory)?;
        built
    }

    fn build_where_missing(lab: &Lab, base: &Image, claim: &Claim, builds_kernels: bool) -> Result<Self> {
        let workshop = &claim.directory;
        let programs = workshop.join("programs");
        fs::create_dir(&programs)?;
        for program in [lab.sample_api(), &lab.agent()?] {
            let name = program.file_name().context("a program has no name")?;
            run(Command::new("strip").arg("-o").arg(programs.join(name)).arg(program))?;
        }
        let suite = base.suite();
        let kind = if builds_kernels { "uml-kernel" } else { "uml" };
        let name = format!("{kind}-{suite}-{:016x}", key(base, &programs, builds_kernels)?);
        let disk = lab.cache().join("images").join(format!("{name}.ext4"));
        let _lock = locked(&disk.with_extension("lock"))?;
        if !disk.exists() {
            let start = Instant::now();
            eprintln!("lab: building the image {kind} of {suite} (once)");
            let unfinished = disk.with_extension("new");
            build(base, claim, &programs, &unfinished, builds_kernels).context("cannot build the UML image")?;
            fs::rename(&unfinished, &disk).with_context(|| format!("cannot name {}", disk.display()))?;
            eprintln!("lab: image {kind} of {suite} built in {:.0} s", start.elapsed().as_secs_f64());
        }
        Ok(Self { disk, builds_kernels })
    }
}

fn key(base: &Image, programs: &Path, builds_kernels: bool) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    (RECIPE_VERSION, packages::VERSION, base.tree(), AGENT_UNIT, SHELL_UNIT, API_UNIT, MONGOD_CONF).hash(&mut hasher);
    for program in ["lab-agent", "sample-api"] {
        fs::read(programs.join(program))?.hash(&mut hasher);
    }
    builds_kernels.then_some(kernel::PACKAGE_KERNEL).hash(&mut hasher);
    Ok(hasher.finish())
}

fn build(base: &Image, claim: &Claim, programs: &Path, disk: &Path, builds_kernels: bool) -> Result<()> {
    let workshop = &claim.directory;
    let root = base.mount_below(workshop)?;
    furnish(&root, programs)?;
    if builds_kernels {
        kernel::furnish(&root)?;
    }
    // Tables that the kernel would fill in later, in the background, are filled in now.
    let size = if builds_kernels { kernel::SIZE } else { SIZE };
    let settled = "lazy_itable_init=0,lazy_journal_init=0";
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", settled, "-d"]).arg(&root).arg(disk).arg(size))?;
    leftovers::unmount(&root)?;
    remove_tree(&workshop.join(UPPER))?;

    // The first boot makes the database and settles a lot. It is done once, on the image itself.
    let board = Board {
        id: claim.id.clone(),
        drive: disk.display().to_string(),
        share: workshop.join("share"),
        console_log: workshop.join("console.log"),
        boot_loader: None,
    };
    let prepared = life::first_boot(board, PREPARATION);
    Cgroup::of(&claim.id).destroy()?;
    let console = fs::read_to_string(workshop.join("console.log")).unwrap_or_default();
    prepared.with_context(|| format!("-- console --\n{console}\n--"))
}

/// Makes an unpacked tree one that a UML machine can boot from.
fn furnish(root: &Path, programs: &Path) -> Result<()> {
    let write = |path: &str, content: &str| {
        fs::write(root.join(path), content).with_context(|| format!("cannot write /{path} of the image"))
    };
    let in_tree = |arguments: &[&str]| run(Command::new("chroot").arg(root).args(arguments));
    for program in ["lab-agent", "sample-api"] {
        fs::copy(programs.join(program), root.join("usr/bin").join(program))?;
    }
    let fill = |text: &str| {
        text.replace("@MONGOD_PORT@", &MONGOD_PORT.to_string()).replace("@API_PORT@", &API_PORT.to_string())
    };
    write("etc/mongod.conf", &fill(MONGOD_CONF))?;
    write("etc/systemd/system/sample-api.service", &fill(API_UNIT))?;
    write("etc/systemd/system/lab-agent.service", AGENT_UNIT)?;
    write("etc/systemd/system/lab-shell.service", SHELL_UNIT)?;
    in_tree(&["systemctl", "enable", "sample-api.service", "lab-agent.service", "lab-shell.service"])?;
    in_tree(&["systemctl", "mask", "getty@tty1.service", "e2scrub_reap.service", "systemd-networkd.service"])?;
    fs::create_dir(root.join("lab"))?;
    write("etc/fstab", "/dev/ubda / ext4 defaults 0 1\nnone /lab hostfs ro 0 0\n")?;
    write("etc/hostname", "uml\n")?;
    write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 uml\n")?;
    write("etc/machine-id", "")?;

    let repository = root.join(REPOSITORY.trim_start_matches('/'));
    packages::build(&repository)?;
    let installed: Vec<String> = packages::PENDING.iter().map(|name| format!("{REPOSITORY}/1.0/{name}.deb")).collect();
    let mut install = vec!["dpkg", "--install"];
    install.extend(installed.iter().map(String::as_str));
    in_tree(&install)?;
    // No network, so no other source.
    write("etc/apt/sources.list", &format!("deb [trusted=yes] file:{REPOSITORY} ./\n"))?;
    in_tree(&["sh", "-c", "rm -rf /var/lib/apt/lists/*"])?;
    in_tree(&["apt-get", "update", "--quiet", "--error-on=any"])?;
    Ok(())
}

/// What the machine must show before its disk becomes an image.
pub(super) fn is_settled(machine: &impl Testbed) -> Result<bool> {
    let healthy = machine.request("GET", "/health").is_ok_and(|response| response.status == 200);
    Ok(healthy && machine.request("GET", "/count")?.body.trim() == "500")
}
