//! The images from which machines are made: built once, cached, never half built.

use crate::host_apt::{self, Mirrors};
use crate::lab::{Lab, locked};
use crate::machine::leftovers::{self, ROOT};
use crate::mongod;
use crate::process::run;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Instant;

/// Change it when the steps of [`build`] change; what they use is in the key anyway.
const RECIPE_VERSION: u32 = 1;

/// What a machine on which Patchday works needs, in both suites.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,udev,kmod,iproute2,procps,ca-certificates,needrestart";

/// mongod's one library that a minimal Debian lacks.
const BOOKWORM_PACKAGES: &str = "libcurl4";

/// A minimal trixie may have no more than one update pending, right after a point release. So its image also has
/// what an ordinary application server has, of which something is nearly always in the security suite.
const TRIXIE_PACKAGES: &str = "libcurl4t64,php8.4-cli,php8.4-bcmath,php8.4-curl,php8.4-gd,php8.4-mbstring,\
                               php8.4-mysql,php8.4-xml,php8.4-zip,ruby3.3,libgpgme11t64";

/// Where an overlay keeps what was written.
pub(crate) const UPPER: &str = "upper";

pub(crate) const MONGOD_UNIT: &str = include_str!("../recipe/mongod.service");

/// mongod's one library, as it is called since Debian 13.
const TESTING_PACKAGES: &str = "libcurl4t64";

/// Its lists are valid for days only, and a mirror may be older.
const ANY_DATE: &str = "Acquire::Check-Valid-Until \"false\"";

/// A Debian release that the lab can boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// Debian 12, systemd 252.
    Bookworm,
    /// Debian 13, systemd 257.
    Trixie,
    /// The next Debian, as it is today: nothing of it is pending.
    Testing,
}

impl Suite {
    /// Debian's name for it.
    pub fn codename(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Testing => "testing",
        }
    }

    /// Whether its systemd boots below control groups version 2 only.
    pub(crate) fn wants_unified_hierarchy(self) -> bool {
        self == Self::Testing
    }

    fn packages(self) -> String {
        let own = match self {
            Self::Bookworm => BOOKWORM_PACKAGES,
            Self::Trixie => TRIXIE_PACKAGES,
            Self::Testing => TESTING_PACKAGES,
        };
        format!("{PACKAGES},{own}")
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.codename())
    }
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "bookworm" => Ok(Self::Bookworm),
            "trixie" => Ok(Self::Trixie),
            "testing" => Ok(Self::Testing),
            other => Err(format!("no suite `{other}`: bookworm, trixie or testing")),
        }
    }
}

/// An unpacked Debian with mongod, ready to be the lower half of a machine's file system.
#[derive(Debug, Clone)]
pub struct Image {
    suite: Suite,
    tree: PathBuf,
    /// What a machine's file system lies on, the uppermost first.
    layers: Vec<PathBuf>,
}

impl Image {
    /// The image of a suite. Builds it (about a minute) when there is none for the present recipe; whoever comes
    /// meanwhile waits.
    pub fn ensure(lab: &Lab, suite: Suite) -> Result<Self> {
        let recipe = Recipe::of(lab, suite)?;
        let name = format!("{suite}-{:016x}", recipe.key());
        let tree = built_once(lab, &name, |tree| recipe.build(tree))?;
        let layers = vec![tree.clone()];
        Ok(Self { suite, tree, layers })
    }

    /// An image on top of this one, with what a shell makes of it from `script`. Built where there is none yet, like
    /// the image itself.
    pub fn with(&self, lab: &Lab, script: &str) -> Result<Self> {
        let base = self.tree.file_name().context("an image has no name")?.to_string_lossy();
        let mut hasher = DefaultHasher::new();
        script.hash(&mut hasher);
        let tree = built_once(lab, &format!("{base}-{:016x}", hasher.finish()), |workshop| {
            fs::create_dir(workshop).with_context(|| format!("cannot make {}", workshop.display()))?;
            let root = self.mount_below(workshop)?;
            // Scripts of packages look there for what they are to do, and for how many CPUs there are.
            run(Command::new("mount").args(["-t", "proc", "proc"]).arg(root.join("proc")))?;
            in_tree(&root, &["sh", "-euc", script])?;
            leftovers::unmount(&root)
        })?;
        let layers = iter::once(tree.join(UPPER)).chain(self.layers.iter().cloned()).collect();
        Ok(Self { suite: self.suite, tree, layers })
    }

    /// Mounts it below a directory, where everything that is written stays too, and returns the mounted root.
    pub(crate) fn mount_below(&self, directory: &Path) -> Result<PathBuf> {
        mount_layers(&self.layers, directory)
    }

    /// The Debian release of the image.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Where it is kept: the unpacked file system, or what one on top of another has of its own. Machines see it
    /// read-only; nothing else may change it either.
    pub fn tree(&self) -> &Path {
        &self.tree
    }
}

/// Mounts layers, the uppermost first, below a directory, where everything that is written stays too; returns the root.
pub(crate) fn mount_layers(layers: &[PathBuf], directory: &Path) -> Result<PathBuf> {
    let [upper, work, root] = [UPPER, "work", ROOT].map(|name| directory.join(name));
    for directory in [&upper, &work, &root] {
        fs::create_dir(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let layers: Vec<String> = layers.iter().map(|layer| layer.display().to_string()).collect();
    let (lower, upper, work) = (layers.join(":"), upper.display(), work.display());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&root))?;
    Ok(root)
}

/// A Debian with these packages and no more than they need.
pub(crate) fn minimal(lab: &Lab, name: &str, suite: &str, packages: &[&str]) -> Result<PathBuf> {
    let archive = Mirrors::of_host()?.archive;
    let mut hasher = DefaultHasher::new();
    (RECIPE_VERSION, suite, packages, &archive).hash(&mut hasher);
    built_once(lab, &format!("{name}-{suite}-{:016x}", hasher.finish()), |tree| {
        bootstrap(tree, suite, &packages.join(","), &archive)
    })
}

/// Only the suite itself, as on the day of its release.
fn bootstrap(tree: &Path, suite: &str, packages: &str, archive: &str) -> Result<()> {
    let mut debootstrap = Command::new("mmdebstrap");
    debootstrap.args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"]);
    if suite == Suite::Testing.codename() {
        debootstrap.args(["--aptopt", ANY_DATE]);
    }
    debootstrap.arg(format!("--include={packages}")).arg(suite).arg(tree);
    run(debootstrap.arg(format!("deb {archive} {suite} main"))).map(drop)
}

/// The tree of that name, from `build` where there is none; whoever comes meanwhile waits. It is never half built.
pub(crate) fn built_once(lab: &Lab, name: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let images = lab.cache().join("images");
    fs::create_dir_all(&images).with_context(|| format!("cannot make {}", images.display()))?;
    let tree = images.join(name);
    let _lock = locked(&images.join(format!("{name}.lock")))?;
    if !tree.exists() {
        let unfinished = images.join(format!("{name}.new"));
        let start = Instant::now();
        eprintln!("lab: building the image {name} (once)");
        // A builder that was killed leaves its mounts of /proc, /sys and /dev in the tree.
        leftovers::unmount(&unfinished)?;
        remove_tree(&unfinished)?;
        build(&unfinished).with_context(|| format!("cannot build the image {name}"))?;
        fs::rename(&unfinished, &tree).with_context(|| format!("cannot name {}", tree.display()))?;
        eprintln!("lab: image {name} built in {:.0} s", start.elapsed().as_secs_f64());
    }
    Ok(tree)
}

/// Everything an image depends on; its hash names the image.
#[derive(Hash)]
struct Recipe {
    version: u32,
    suite: Suite,
    packages: String,
    mirrors: Mirrors,
    access: String,
    mongod: PathBuf,
    mongod_size: u64,
    mongod_unit: &'static str,
}

impl Recipe {
    fn of(lab: &Lab, suite: Suite) -> Result<Self> {
        let mongod = mongod::ensure(lab.cache())?;
        let mongod_size = fs::metadata(&mongod).with_context(|| format!("cannot read {}", mongod.display()))?.len();
        Ok(Self {
            version: RECIPE_VERSION,
            suite,
            packages: suite.packages(),
            mirrors: Mirrors::of_host()?,
            access: host_apt::access_settings()?,
            mongod,
            mongod_size,
            mongod_unit: MONGOD_UNIT,
        })
    }

    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn build(&self, tree: &Path) -> Result<()> {
        let codename = self.suite.codename();
        // What came since the release is pending on every machine.
        bootstrap(tree, codename, &self.packages, &self.mirrors.archive)?;

        let Mirrors { archive, security } = &self.mirrors;
        write(
            tree,
            "etc/apt/sources.list",
            &format!(
                "deb {archive} {codename} main\n\
                 deb {archive} {codename}-updates main\n\
                 deb {security} {codename}-security main\n"
            ),
        )?;
        write(tree, "etc/apt/apt.conf.d/90host-access", &self.access)?;
        if self.suite == Suite::Testing {
            write(tree, "etc/apt/apt.conf.d/91any-date", &format!("{ANY_DATE};\n"))?;
        }
        fs::copy("/etc/resolv.conf", tree.join("etc/resolv.conf")).context("cannot copy /etc/resolv.conf")?;

        for user in ["mongod", "sample-api"] {
            in_tree(tree, &["useradd", "--system", "--user-group", "--home-dir", "/nonexistent", user])?;
        }
        in_tree(tree, &["install", "-d", "-o", "mongod", "-g", "mongod", "/var/lib/mongod", "/var/log/mongod"])?;
        let server = tree.join("usr/bin/mongod");
        fs::copy(&self.mongod, &server).with_context(|| format!("cannot copy {}", self.mongod.display()))?;
        fs::set_permissions(&server, fs::Permissions::from_mode(0o755))?;
        write(tree, "etc/systemd/system/mongod.service", self.mongod_unit)?;
        in_tree(tree, &["systemctl", "enable", "mongod.service"])?;
        // A test must not meet apt's own daily run by chance; a test of that meeting starts it by hand.
        in_tree(tree, &["systemctl", "mask", "apt-daily.timer", "apt-daily-upgrade.timer"])?;
        // Kept over reboots, so that a test can read the journal of every boot.
        in_tree(tree, &["install", "-d", "-g", "systemd-journal", "-m", "2755", "/var/log/journal"])?;

        // With the package lists in the image, `apt-get update` in a machine fetches only what is newer.
        in_tree(tree, &["apt-get", "update", "--quiet", "--error-on=any"])?;
        Ok(())
    }
}

/// Runs a command with the unpacked tree as its root.
fn in_tree(tree: &Path, arguments: &[&str]) -> Result<String> {
    run(Command::new("chroot").arg(tree).args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C"))
}

fn write(tree: &Path, path: &str, content: &str) -> Result<()> {
    fs::write(tree.join(path), content).with_context(|| format!("cannot write /{path} of the image"))
}

/// Removes an unpacked tree or a disk, but never one in which something is still mounted.
pub(crate) fn remove_tree(tree: &Path) -> Result<()> {
    if !tree.exists() {
        return Ok(());
    }
    if tree.is_file() {
        return fs::remove_file(tree).with_context(|| format!("cannot remove {}", tree.display()));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    if let Some(mount) =
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).find(|mount| Path::new(mount).starts_with(tree))
    {
        bail!("will not remove {}: {mount} is still mounted", tree.display());
    }
    fs::remove_dir_all(tree).with_context(|| format!("cannot remove {}", tree.display()))
}
