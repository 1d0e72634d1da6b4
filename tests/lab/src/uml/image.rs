//! The disk from which UML machines are made: the tree of a nspawn image, with services that ran once.

use super::emulator::Uml;
use super::{kernel, packages};
use crate::cgroup::Cgroup;
use crate::emulated::{self, EmulatedMachine};
use crate::furnish::{self, in_tree, write};
use crate::image::{Image, Suite, built_once};
use crate::lab::Lab;
use crate::machine::claim::{Claim, claim};
use crate::machine::leftovers;
use crate::process::run;
use anyhow::Result;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Change it when the steps of [`UmlImage::ensure`] change; what they use is in the key anyway.
const RECIPE_VERSION: u32 = 1;

const SHELL_UNIT: &str = include_str!("../../recipe/lab-shell.service");

const SIZE: &str = "3G";

/// It boots in ten seconds on an idle host; the database is made then, too.
const PREPARATION: Duration = Duration::from_secs(300);

/// A disk image that machines read and none writes.
#[derive(Debug, Clone)]
pub(crate) struct UmlImage {
    disk: PathBuf,
    /// Whether it has the source of a kernel, and all that builds it.
    builds_kernels: bool,
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
        let base = if builds_kernels { base.with(lab, kernel::SOURCE)?.with(lab, kernel::MODULE)? } else { base };
        let claim = claim(lab, "uml-image")?;
        let built = Self::build_where_missing(lab, &base, &claim, builds_kernels);
        leftovers::give_up(&claim.directory)?;
        built
    }

    fn build_where_missing(lab: &Lab, base: &Image, claim: &Claim, builds_kernels: bool) -> Result<Self> {
        let programs = furnish::programs(lab, claim)?;
        let suite = base.suite();
        let kind = if builds_kernels { "uml-kernel" } else { "uml" };
        let name = format!("{kind}-{suite}-{:016x}.ext4", key(base, &programs, builds_kernels)?);
        let disk = built_once(lab, &name, |disk| build(base, claim, &programs, disk, builds_kernels))?;
        Ok(Self { disk, builds_kernels })
    }

    /// A machine, still off, whose own disk holds only what differs from the image.
    pub(crate) fn machine(&self, lab: &Lab, name: &str) -> Result<EmulatedMachine> {
        let claim = claim(lab, name)?;
        let own = claim.directory.join("disk.cow");
        let mut emulator = Uml::new(format!("{},{}", own.display(), self.disk.display()));
        if self.builds_kernels {
            emulator = emulator.with_boot_loader(kernel::boot_loader(&claim.directory)?);
        }
        Ok(EmulatedMachine::create(name, claim, Box::new(emulator)))
    }
}

fn key(base: &Image, programs: &Path, builds_kernels: bool) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    (RECIPE_VERSION, packages::VERSION, base.tree(), SHELL_UNIT).hash(&mut hasher);
    furnish::hash(programs, &mut hasher)?;
    builds_kernels.then_some(kernel::PACKAGE_KERNEL).hash(&mut hasher);
    Ok(hasher.finish())
}

fn build(base: &Image, claim: &Claim, programs: &Path, disk: &Path, builds_kernels: bool) -> Result<()> {
    furnish::with_tree(base, claim, |root| {
        furnish(root, programs)?;
        if builds_kernels {
            kernel::furnish(root)?;
        }
        // Tables that the kernel would fill in later, in the background, are filled in now.
        let size = if builds_kernels { kernel::SIZE } else { SIZE };
        let settled = "lazy_itable_init=0,lazy_journal_init=0";
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", settled, "-d"]).arg(root).arg(disk).arg(size)).map(drop)
    })?;
    // The first boot makes the database and settles a lot. It is done once, on the image itself.
    let emulator = Box::new(Uml::new(disk.display().to_string()));
    let prepared = emulated::first_boot(claim, emulator, PREPARATION, |_| Ok(()));
    Cgroup::of(&claim.id).destroy()?;
    prepared
}

/// Makes an unpacked tree one that a UML machine can boot from.
fn furnish(root: &Path, programs: &Path) -> Result<()> {
    furnish::tree(root, programs, "uml", "/dev/ttyS0")?;
    write(root, "etc/systemd/system/lab-shell.service", SHELL_UNIT)?;
    in_tree(root, &["systemctl", "enable", "lab-shell.service"])?;
    fs::create_dir(root.join("lab"))?;
    write(root, "etc/fstab", "/dev/ubda / ext4 defaults 0 1\nnone /lab hostfs ro 0 0\n")?;

    packages::install(root)?;
    furnish::only_repository(root)
}
