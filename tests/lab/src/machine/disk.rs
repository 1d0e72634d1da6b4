//! A machine whose root is a real ext4, on a loop device: a power cut takes what it has not synced.
//!
//! It is nspawn's, so that it boots in a second and needs neither KVM nor a kernel of its own. What makes the cut real is
//! the file system's own shutdown: from then on nothing of it reaches the device, and what is in the page cache is lost. What
//! the device has got counts as written, as with a disk whose cache does not lie.

use super::Machine;
use super::leftovers::{self, ROOT};
use crate::furnish::{self, in_tree};
use crate::image::{Image, Suite, built_once};
use crate::lab::Lab;
use crate::machine::claim::claim;
use crate::process::run;
use crate::uml::packages;
use crate::wait::wait_for;
use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Change it when the steps of [`build`] change.
const RECIPE_VERSION: u32 = 2;

const SIZE: &str = "4G";

/// Nothing of a journal that is not yet on the device gets there (`EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`).
/// Perl is on every Debian, and needs no unsafe code of ours for an ioctl.
const SHUTDOWN: &str =
    "open(my $root, '<', $ARGV[0]) or die $!; my $flags = pack('L', 2); ioctl($root, 0x8004587d, $flags) or die $!;";

const UNMOUNT_TIMEOUT: Duration = Duration::from_secs(60);

/// The device of a machine, and how it is mounted.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    file: PathBuf,
    options: String,
}

impl Disk {
    fn mount(&self, root: &Path) -> Result<()> {
        let options = format!("loop,{}", self.options);
        run(Command::new("mount").args(["-t", "ext4", "-o", &options]).arg(&self.file).arg(root)).map(drop)
    }
}

/// A disk that machines copy, and none writes.
#[derive(Debug, Clone)]
struct DiskImage {
    suite: Suite,
    disk: PathBuf,
}

impl DiskImage {
    /// The tree of a suite's image on a disk, with small packages of which an upgrade is pending beside the real ones. Built
    /// where there is none.
    fn ensure(lab: &Lab, suite: Suite) -> Result<Self> {
        let base = Image::ensure(lab, suite)?;
        let mut hasher = DefaultHasher::new();
        (RECIPE_VERSION, packages::VERSION, base.tree()).hash(&mut hasher);
        let name = format!("disk-{suite}-{:016x}.ext4", hasher.finish());
        let claim = claim(lab, "disk-image")?;
        let disk = built_once(lab, &name, |disk| {
            furnish::with_tree(&base, &claim, |root| {
                build(root)?;
                let settled = "lazy_itable_init=0,lazy_journal_init=0";
                run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", settled, "-d"]).arg(root).arg(disk).arg(SIZE))
                    .map(drop)
            })
        });
        leftovers::give_up(&claim.directory)?;
        Ok(Self { suite, disk: disk? })
    }
}

/// What takes long and comes before a batch: it is there already, so that a run is about the batch.
const UPGRADED: [&str; 10] = [
    "perl-base",
    "libssl3",
    "openssl",
    "libpam-modules",
    "libpam-runtime",
    "apt",
    "libpcre2-8-0",
    "tzdata",
    "libexpat1",
    "libapt-pkg6.0",
];

fn build(root: &Path) -> Result<()> {
    let repository = packages::install(root)?;
    let mut upgrade = vec!["apt-get", "--quiet", "--yes", "--only-upgrade", "--mark-auto", "install"];
    upgrade.extend(UPGRADED);
    in_tree(root, &upgrade)?;
    in_tree(root, &["apt-get", "clean"])?;
    in_tree(root, &["apt-get", "--quiet", "--yes", "--download-only", "dist-upgrade"])?;
    // What is pending lies in the machine's own repository, and a run waits for no network.
    let real = repository.join("real");
    fs::create_dir(&real).with_context(|| format!("cannot make {}", real.display()))?;
    let archives = root.join("var/cache/apt/archives");
    let mut list = fs::read_to_string(repository.join("Packages")).context("cannot read the list of the repository")?;
    for entry in fs::read_dir(&archives).context("cannot list what was fetched")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".deb") {
            // An epoch's colon is written as %3a, which apt would read in a repository.
            let plain = name.replace("%3a", "-");
            fs::rename(&path, real.join(&plain)).with_context(|| format!("cannot move {name}"))?;
            list += &furnish::listed(&repository, &format!("real/{plain}"))?;
        }
    }
    fs::write(repository.join("Packages"), list).context("cannot write the list of the repository")?;
    furnish::only_repository(root)
}

impl Lab {
    /// A fresh machine, off, with a disk of its own; `options` as mount has them for ext4, as in `noauto_da_alloc`.
    pub fn disk_machine(&self, suite: Suite, name: &str, options: &str) -> Result<Machine> {
        let image = DiskImage::ensure(self, suite)?;
        Machine::create_on(self, image.suite, name, |directory| {
            let disk = Disk { file: directory.join("disk.ext4"), options: options.to_owned() };
            run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(&image.disk).arg(&disk.file))?;
            let root = directory.join(ROOT);
            fs::create_dir(&root).with_context(|| format!("cannot make {}", root.display()))?;
            disk.mount(&root)?;
            Ok(Some(disk))
        })
    }
}

impl Machine {
    /// Cuts the power: at once, and with all that was not synced where the machine has a disk of its own. Then the disk is
    /// there again, as the cut has left it.
    pub fn cut_power(&self) -> Result<()> {
        let Some(disk) = self.disk.as_ref() else { return self.pull_the_plug() };
        let root = self.root();
        run(Command::new("perl").args(["-e", SHUTDOWN]).arg(&root))?;
        self.pull_the_plug()?;
        // The kernel lets go of the namespaces of a dead machine a little later.
        wait_for("the disk to be unmounted", UNMOUNT_TIMEOUT, || Ok(leftovers::unmount(&root).is_ok().then_some(())))?;
        // A machine that was started meanwhile may still have it mounted, in a namespace of its own: then the kernel would give
        // back the file system that is shut down. A copy of the device is another one.
        let copy = disk.file.with_extension("copy");
        run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(&disk.file).arg(&copy))?;
        fs::rename(&copy, &disk.file).with_context(|| format!("cannot name {}", disk.file.display()))?;
        disk.mount(&root)
    }
}
