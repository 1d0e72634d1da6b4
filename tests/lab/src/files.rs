//! Files inside a machine, from outside.
//!
//! A path is resolved as the machine itself would resolve it. An absolute link such as `/var/run` would otherwise
//! lead out of the machine, and a write would hit the host.

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// The root directory of a machine.
pub(crate) struct MachineRoot {
    directory: File,
}

impl MachineRoot {
    /// Opens the tree of a machine that is off, or `/proc/PID/root` of one that runs.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let directory =
            File::open(path).with_context(|| format!("cannot open the machine's root {}", path.display()))?;
        Ok(Self { directory })
    }

    fn open_in(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        openat2(&self.directory, path, flags | OFlags::CLOEXEC, mode, ResolveFlags::IN_ROOT)
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>> {
        let file = self
            .open_in(Path::new(path), OFlags::RDONLY, Mode::empty())
            .with_context(|| format!("cannot open {path} in the machine"))?;
        let mut content = Vec::new();
        File::from(file).read_to_end(&mut content).with_context(|| format!("cannot read {path} in the machine"))?;
        Ok(content)
    }

    /// Writes a whole file with these permissions, and makes the directories above it.
    pub(crate) fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let path = Path::new(path);
        let explain = || format!("cannot write {} in the machine", path.display());
        if let Some(parent) = path.parent() {
            self.create_directories(parent).with_context(explain)?;
        }
        // Removed first, so that a running program can be replaced and the permissions are ours.
        self.remove(path).with_context(explain)?;
        let file = self
            .open_in(path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, Mode::from_raw_mode(mode))
            .with_context(explain)?;
        let mut file = File::from(file);
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).with_context(explain)?;
        file.write_all(content).with_context(explain)
    }

    /// Makes a symbolic link and the directories above it.
    pub(crate) fn link(&self, path: &str, target: &str) -> Result<()> {
        let path = Path::new(path);
        let explain = || format!("cannot link {} in the machine", path.display());
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::ISDIR).with_context(explain);
        };
        self.create_directories(parent).with_context(explain)?;
        self.remove(path).with_context(explain)?;
        let parent = self.open_in(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).with_context(explain)?;
        rustix::fs::symlinkat(target, &parent, name).with_context(explain)
    }

    /// Whether the path leads to something; a link that leads nowhere does not count.
    pub(crate) fn exists(&self, path: &str) -> Result<bool> {
        match self.open_in(Path::new(path), OFlags::PATH, Mode::empty()) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot look for {path} in the machine")),
        }
    }

    fn remove(&self, path: &Path) -> Result<(), Errno> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::ISDIR);
        };
        let parent = self.open_in(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        match rustix::fs::unlinkat(&parent, name, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn create_directories(&self, path: &Path) -> Result<(), Errno> {
        let mut done = PathBuf::from("/");
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let parent = self.open_in(&done, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            done.push(name);
        }
        Ok(())
    }
}
