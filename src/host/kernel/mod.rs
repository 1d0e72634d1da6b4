//! Kernels: what runs, what `/boot` holds, and the modules that DKMS builds.

mod boot;
mod dkms;
mod exclusive;
mod modules;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::boot_menu::{self, image};
use super::command::{self, below};
use super::{HostError, HostErrorKind, HostResult, Kernels};
pub use modules::install_modules;
pub use source::build;

use crate::model::{
    BootSurvey, BuiltKernel, DkmsModule, InstalledKernel, KernelFacts, KernelSource, Vulnerability, WorkProgress,
    compare_releases, compare_versions,
};

/// `dkms status` compares the checksums of all modules; on slow disks this takes a while.
const DKMS_TIMEOUT: Duration = Duration::from_secs(120);
const DPKG_TIMEOUT: Duration = Duration::from_secs(20);

/// What `make install` and DKMS leave beside the images and initrds that boot.
const LEFTOVERS: [&str; 5] = [".old", ".bak", ".dpkg-new", ".dpkg-tmp", ".old-dkms"];

/// The kernels of this host, read from its files.
#[derive(Debug, Clone)]
pub struct Kernel {
    root: PathBuf,
    program: PathBuf,
}

impl Kernel {
    /// Reads files and finds programs below `root`; `/` except in tests.
    /// `program` is this binary, which has modules built.
    pub fn new(root: PathBuf, program: impl Into<PathBuf>) -> Self {
        Self { root, program: program.into() }
    }

    /// Images in `/boot`, newest first in the order of [`compare_releases`]. A missing `/boot` holds none.
    fn installed(&self) -> HostResult<Vec<InstalledKernel>> {
        let boot = self.root.join("boot");
        let mut kernels = Vec::new();
        for name in names_in(&boot)? {
            let Some(release) = name.strip_prefix("vmlinuz-") else { continue };
            if release.is_empty() || LEFTOVERS.iter().any(|suffix| release.ends_with(suffix)) {
                continue;
            }
            kernels.push(InstalledKernel {
                release: release.to_owned(),
                version: image::banner(&boot.join(&name)).map(|(_, version)| version),
                image_bytes: size_of(&boot.join(&name)).unwrap_or(0),
                initrd_bytes: size_of(&boot.join(format!("initrd.img-{release}"))),
                has_modules: !names_in(&self.root.join("lib/modules").join(release))?.is_empty(),
            });
        }
        kernels.sort_by(|left, right| compare_releases(&right.release, &left.release));
        Ok(kernels)
    }

    /// `uname -r` and `uname -v`.
    fn running(&self) -> HostResult<(String, String)> {
        let uname = rustix::system::uname();
        let told = |path: &str, else_: &std::ffi::CStr| {
            let text = read_or_empty(&below(&self.root, path))?.trim_end().to_owned();
            Ok(if text.is_empty() { else_.to_string_lossy().into_owned() } else { text })
        };
        Ok((told("/proc/sys/kernel/osrelease", uname.release())?, told("/proc/sys/kernel/version", uname.version())?))
    }

    /// Only images of x86 tell their version; of the others that of the package is taken. Nothing rests on it: a version
    /// that is not known is compared with nothing.
    async fn versions_of_packages(&self, installed: &mut [InstalledKernel]) {
        if installed.iter().all(|kernel| kernel.version.is_some()) {
            return;
        }
        let arguments = ["-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n", "linux-image-*"];
        let told = command::read_text(&self.root, "dpkg-query", &arguments, DPKG_TIMEOUT).await.unwrap_or_default();
        for kernel in installed.iter_mut().filter(|kernel| kernel.version.is_none()) {
            let names = ["linux-image-", "linux-image-unsigned-"].map(|prefix| format!("{prefix}{}", kernel.release));
            kernel.version = told.lines().find_map(|line| {
                let mut words = line.split_whitespace();
                let (state, name, version) = (words.next()?, words.next()?, words.next()?);
                (state.ends_with('i') && names.iter().any(|known| known == name)).then(|| version.to_owned())
            });
        }
    }

    /// Packages that asked for a reboot, each once. The list may be missing beside the request itself.
    fn reboot_required(&self) -> HostResult<Option<Vec<String>>> {
        let request = self.root.join("run/reboot-required");
        if !request.try_exists().map_err(|error| read_error(&request, &error))? {
            return Ok(None);
        }
        let mut packages: Vec<String> = Vec::new();
        for line in read_or_empty(&self.root.join("run/reboot-required.pkgs"))?.lines().map(str::trim) {
            if !line.is_empty() && !packages.iter().any(|known| known == line) {
                packages.push(line.to_owned());
            }
        }
        Ok(Some(packages))
    }

    /// The kernel's own words on the CPU's vulnerabilities. A kernel too old to tell says nothing.
    fn vulnerabilities(&self) -> HostResult<Vec<Vulnerability>> {
        let dir = below(&self.root, "/sys/devices/system/cpu/vulnerabilities");
        let mut names = names_in(&dir)?;
        names.sort_unstable();
        names
            .into_iter()
            .map(|name| {
                let state = read_or_empty(&dir.join(&name))?.trim().to_owned();
                Ok(Vulnerability { name, state })
            })
            .collect()
    }
}

#[async_trait]
impl Kernels for Kernel {
    async fn facts(&self) -> HostResult<KernelFacts> {
        let (running, running_version) = self.running()?;
        let mut installed = self.installed()?;
        self.versions_of_packages(&mut installed).await;
        Ok(KernelFacts {
            boots: boot_menu::source(&self.root, &running)?,
            running,
            running_version,
            installed,
            reboot_required: self.reboot_required()?,
            vulnerabilities: self.vulnerabilities()?,
        })
    }

    async fn dkms(&self) -> HostResult<Vec<DkmsModule>> {
        match command::read_text(&self.root, "dkms", &["status"], DKMS_TIMEOUT).await {
            Ok(text) => Ok(dkms::parse_status(&text)),
            Err(error) if error.kind == HostErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn boot_survey(&self) -> HostResult<BootSurvey> {
        let releases: Vec<String> = self.installed()?.into_iter().map(|kernel| kernel.release).collect();
        boot::survey(&self.root, &self.running()?.0, &releases)
    }

    /// Only what DKMS knows is looked at; a version without a source is another matter.
    async fn excluded(&self, release: &str) -> HostResult<BTreeMap<String, String>> {
        let mut excluded = BTreeMap::new();
        for (module, source) in boot::dkms_sources(&self.root)? {
            let conf = read_or_empty(&source.join("dkms.conf"))?;
            excluded.extend(exclusive::why_excluded(&conf, release).map(|why| (module, why)));
        }
        Ok(excluded)
    }

    async fn failing_hook(&self, release: &str) -> HostResult<BTreeMap<String, String>> {
        let program = read_or_empty(&self.root.join("usr/sbin/dkms"))?;
        if !dkms::fails_for_excluded(&program) || self.root.join("etc/dkms/no-autoinstall").exists() {
            return Ok(BTreeMap::new());
        }
        let mut wanted: BTreeMap<String, (String, PathBuf)> = BTreeMap::new();
        for (module, source) in boot::dkms_sources(&self.root)? {
            let Some((name, version)) = module.split_once('/') else { continue };
            let newer = |(other, _): &(String, PathBuf)| compare_versions(version, other).is_gt();
            let wants = exclusive::is_built_by_itself(&read_or_empty(&source.join("dkms.conf"))?);
            // Of several versions the hook builds the newest.
            if wants && wanted.get(name).is_none_or(newer) {
                wanted.insert(name.to_owned(), (version.to_owned(), source));
            }
        }
        let mut failing = self.excluded(release).await?;
        failing.retain(|module, _| {
            module
                .split_once('/')
                .is_some_and(|(name, version)| wanted.get(name).is_some_and(|(one, _)| one == version))
        });
        Ok(failing)
    }

    /// How it ends says little, since one module may do where another fails: [`Kernels::dkms`] afterwards is what counts.
    fn dkms_command(&self, release: &str, modules: &[String]) -> (Vec<String>, Vec<(String, String)>) {
        let program = self.program.display().to_string();
        let verb = [&program, "build-modules", "--kernel", release, "--"].map(str::to_owned);
        (verb.into_iter().chain(modules.iter().cloned()).collect(), command::environment())
    }

    async fn build_lacks(&self, source: &KernelSource) -> HostResult<Vec<String>> {
        self.lacking(source).await
    }

    async fn build_is_due(&self, source: &KernelSource) -> bool {
        self.is_due(source).await
    }

    fn build_command(&self, source: &KernelSource, jobs: u32) -> (Vec<String>, Vec<(String, String)>) {
        self.command(source, jobs)
    }

    fn build_progress(&self, line: &str) -> Option<WorkProgress> {
        source::objects::parse(line)
    }

    async fn built(&self, source: &KernelSource) -> HostResult<BuiltKernel> {
        self.built_from(source).await
    }
}

fn read_error(path: &Path, error: &std::io::Error) -> HostError {
    HostError::failed(format!("read {}", path.display()), error)
}

/// The names in a directory; none if there is no such directory. Names that are no UTF-8 are none of ours.
fn names_in(dir: &Path) -> HostResult<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read_error(dir, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| read_error(dir, &error))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// Bytes of a regular file, symbolic links followed; none if there is no such file.
fn size_of(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}

fn read_or_empty(path: &Path) -> HostResult<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(read_error(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::host::tree::write;

    const PATCHDAY: &str = "/usr/bin/patchday";

    #[tokio::test]
    async fn boot_is_read_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for release in ["6.1.0-9-amd64", "6.1.0-56-amd64", "6.1.0-50-amd64"] {
            write(root, &format!("boot/vmlinuz-{release}"), "image");
            write(root, &format!("lib/modules/{release}/modules.dep"), "");
        }
        write(root, "boot/initrd.img-6.1.0-50-amd64", "an initrd");
        write(root, "boot/vmlinuz-6.1.0-99-amd64", "");
        fs::create_dir_all(root.join("lib/modules/6.1.0-99-amd64")).unwrap();
        for leftover in ["boot/vmlinuz-6.1.0-9-amd64.old", "boot/vmlinuz-7.0.0.dpkg-new", "boot/config-9.9.9"] {
            write(root, leftover, "x");
        }
        symlink("vmlinuz-6.1.0-56-amd64", root.join("boot/vmlinuz")).unwrap();

        let facts = Kernel::new(root.to_owned(), PATCHDAY).facts().await.unwrap();
        let seen: Vec<_> = facts
            .installed
            .iter()
            .map(|kernel| (kernel.release.as_str(), kernel.image_bytes, kernel.initrd_bytes, kernel.has_modules))
            .collect();
        assert_eq!(
            seen,
            [
                ("6.1.0-99-amd64", 0, None, false),
                ("6.1.0-56-amd64", 5, None, true),
                ("6.1.0-50-amd64", 5, Some(9), true),
                ("6.1.0-9-amd64", 5, None, true),
            ]
        );
        assert!(!facts.running.is_empty() && !facts.running_version.is_empty());
        assert_eq!(facts.reboot_required, None);
        assert!(facts.vulnerabilities.is_empty());
    }

    #[tokio::test]
    async fn requests_for_a_reboot_and_vulnerabilities_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "run/reboot-required", "*** System restart required ***\n");
        let kernel = Kernel::new(root.to_owned(), PATCHDAY);
        assert_eq!(kernel.facts().await.unwrap().reboot_required, Some(vec![]));

        write(root, "run/reboot-required.pkgs", "linux-image-6.1.0-56-amd64\nlibc6\nlibc6\n\n");
        write(root, "sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines\n");
        write(root, "sys/devices/system/cpu/vulnerabilities/l1tf", "Not affected\n");
        let facts = kernel.facts().await.unwrap();
        assert_eq!(facts.reboot_required, Some(vec!["linux-image-6.1.0-56-amd64".into(), "libc6".into()]));
        let seen: Vec<_> = facts.vulnerabilities.iter().map(|v| (v.name.as_str(), v.state.as_str())).collect();
        assert_eq!(seen, [("l1tf", "Not affected"), ("spectre_v2", "Mitigation: Retpolines")]);
    }

    #[tokio::test]
    async fn dkms_is_asked_where_it_is_installed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let kernel = Kernel::new(root.to_owned(), PATCHDAY);
        assert_eq!(kernel.dkms().await.unwrap(), []);

        write(root, "usr/sbin/dkms", "#!/bin/sh\necho \"lab/1, $1, x86_64: installed\"\n");
        let program = root.join("usr/sbin/dkms");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let modules = kernel.dkms().await.unwrap();
        assert_eq!(modules[0].kernel.as_deref(), Some("status"));
        let (argv, _) = kernel.dkms_command("6.1.0-56-amd64", &["lab/1".into(), "zfs/2.1".into()]);
        assert_eq!(argv, [PATCHDAY, "build-modules", "--kernel", "6.1.0-56-amd64", "--", "lab/1", "zfs/2.1"]);

        write(root, "usr/sbin/dkms", "#!/bin/sh\necho 'no tree' >&2\nexit 4\n");
        assert_eq!(kernel.dkms().await.unwrap_err().to_string(), "dkms status: no tree (exit status: 4)");
    }
}
