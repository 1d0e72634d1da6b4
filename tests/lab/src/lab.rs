//! Where the lab keeps its things on this host.

use crate::emulated::EmulatedMachine;
use crate::image::{Image, Suite, remove_tree};
use crate::machine::{Machine, leftovers};
use crate::process::run;
use crate::qemu::QemuImage;
use crate::uml::UmlImage;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A machine boots in about a second; a busy host may take much longer.
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);

/// The lab on this host: its cache and the sample API's program.
#[derive(Debug, Clone)]
pub struct Lab {
    cache: PathBuf,
    sample_api: PathBuf,
}

impl Lab {
    /// Prepares the cache (`/var/cache/patchday-lab`, or `PATCHDAY_LAB_CACHE`) and finds the sample API beside the
    /// running program, building it where it is missing or older than its source. Needs root.
    pub fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("the lab must run as root: it mounts file systems and boots machines");
        }
        let cache =
            env::var_os("PATCHDAY_LAB_CACHE").map_or_else(|| PathBuf::from("/var/cache/patchday-lab"), PathBuf::from);
        fs::create_dir_all(&cache).with_context(|| format!("cannot make the cache {}", cache.display()))?;
        let cache = cache.canonicalize().with_context(|| format!("cannot resolve {}", cache.display()))?;
        Ok(Self { cache, sample_api: program("sample-api")? })
    }

    /// The directory for images and machines.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The agent's program, built where it is missing or older than its source.
    pub(crate) fn agent(&self) -> Result<PathBuf> {
        program("lab-agent")
    }

    /// A fresh UML machine, off. The image is built first where there is none.
    pub fn uml_machine(&self, suite: Suite, name: &str) -> Result<EmulatedMachine> {
        UmlImage::ensure(self, suite)?.machine(self, name)
    }

    /// A fresh QEMU machine, off. The image is built first where there is none.
    pub fn qemu_machine(&self, name: &str) -> Result<EmulatedMachine> {
        QemuImage::ensure(self)?.machine(self, name)
    }

    /// A fresh UML machine, off, that has the source of a kernel and boots the newest one that it builds.
    pub fn kernel_machine(&self, name: &str) -> Result<EmulatedMachine> {
        UmlImage::with_kernel_source(self)?.machine(self, name)
    }

    /// The sample API's program.
    pub(crate) fn sample_api(&self) -> &Path {
        &self.sample_api
    }

    /// Removes every image and every kept machine. Refuses while machines are in use.
    pub fn clean(&self) -> Result<()> {
        let _creating = locked(&self.cache.join("machines.lock"))?;
        Machine::remove_all(&self.cache.join("machines"))?;
        for name in ["images", "mongod-6.0.5", "mongod.new"] {
            let tree = self.cache.join(name);
            leftovers::unmount(&tree)?;
            remove_tree(&tree)?;
        }
        Ok(())
    }

    /// A fresh machine, off. The image is built first where there is none.
    pub fn machine(&self, suite: Suite, name: &str) -> Result<Machine> {
        Machine::create(self, &Image::ensure(self, suite)?, name)
    }

    /// A fresh machine whose database and API answer.
    pub fn booted_machine(&self, suite: Suite, name: &str) -> Result<Machine> {
        self.booted_machine_of(&Image::ensure(self, suite)?, name)
    }

    /// The same, made from an image of one's own.
    pub fn booted_machine_of(&self, image: &Image, name: &str) -> Result<Machine> {
        let machine = Machine::create(self, image, name)?;
        machine.boot()?;
        machine.wait_until_up(BOOT_TIMEOUT)?;
        machine.wait_until_healthy(BOOT_TIMEOUT)?;
        Ok(machine)
    }
}

/// Opens and locks a file, waiting for whoever holds it. The lock is released when the file is closed.
pub(crate) fn locked(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot open the lock {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// A program of this package, beside the running one; built where it is missing or older than its source.
fn program(name: &str) -> Result<PathBuf> {
    let this = env::current_exe().context("cannot tell the path of the running program")?;
    let mut directory = this.parent().context("the running program has no directory")?;
    if directory.ends_with("deps") {
        // Tests run from target/PROFILE/deps.
        directory = directory.parent().context("a directory named deps has no parent")?;
    }
    let program = directory.join(name);
    let built = fs::metadata(&program).and_then(|metadata| metadata.modified()).ok();
    if built.is_some_and(|built| newest_source(name).is_none_or(|source| source <= built)) {
        return Ok(program);
    }
    let target = directory.parent().context("the build directory has no parent")?;
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--locked", "--package", "patchday-lab", "--bin", name]);
    build.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    build.arg("--target-dir").arg(target);
    if directory.ends_with("release") {
        build.arg("--release");
    }
    eprintln!("lab: building {name}");
    run(&mut build).with_context(|| format!("cannot build {name}"))?;
    if !program.is_file() {
        bail!("cargo built {name}, but not as {}", program.display());
    }
    Ok(program)
}

/// When a program's source was last changed; none where the source tree is gone.
fn newest_source(name: &str) -> Option<SystemTime> {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let modified = |path: PathBuf| path.metadata().ok()?.modified().ok();
    match fs::read_dir(programs.join(name)) {
        Ok(files) => files.filter_map(|file| modified(file.ok()?.path())).max(),
        Err(_) => modified(programs.join(name).with_extension("rs")),
    }
}
