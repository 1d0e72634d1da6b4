//! What starts this host, and which kernel it takes: read from the files of the boot loaders, from what the firmware keeps,
//! and from the command line that the running kernel was given. Shared by the adapters; changes nothing.

pub mod extlinux;
pub mod grub;
pub mod image;
pub mod systemd_boot;
mod whole;

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use self::systemd_boot::Entry;
pub use self::whole::{WholeEntry, whole_entry};
use super::command::below;
use super::{HostError, HostResult};
use crate::model::{BootSource, LoaderDefault, LoaderEntry};

pub(super) const GRUB_MENU: &str = "/boot/grub/grub.cfg";
const GRUB_ENVIRONMENT: &str = "/boot/grub/grubenv";
pub(super) const EXTLINUX_MENU: &str = "/boot/extlinux/extlinux.conf";
/// Where the firmware's partition and the extended one may be mounted.
const PARTITIONS: [&str; 3] = ["/efi", "/boot/efi", "/boot"];
/// The variables of boot loaders, and their vendor's number.
const VARIABLES: &str = "/sys/firmware/efi/efivars";
const LOADER_VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// No file that is read here is longer.
const LONGEST: u64 = 4 << 20;

/// What an entry starts: paths as the boot loader sees them.
#[derive(Debug, PartialEq, Eq)]
pub struct Started<'a> {
    pub image: &'a str,
    /// What is loaded with it.
    pub initrds: &'a [String],
}

/// What starts this host, whose kernel is `running`.
///
/// # Errors
///
/// When a file that is there cannot be read: what starts the host is then not known.
pub fn source(root: &Path, running: &str) -> HostResult<BootSource> {
    let seen = Seen::look(root, running)?;
    Ok(match seen.loader() {
        Some(Loader::Grub) => seen.grub(),
        Some(Loader::Extlinux) => seen.extlinux(),
        Some(Loader::SystemdBoot) => seen.systemd_boot(),
        None => match seen.starts_from_outside() {
            Some(why) => BootSource::Outside { why: why.to_owned() },
            None => BootSource::Unknown,
        },
    })
}

/// The boot loader that starts this host, and the releases of the kernels that it has an entry for; none if no boot loader
/// is known.
///
/// # Errors
///
/// As [`source`].
pub fn entries_of_loader(root: &Path, running: &str) -> HostResult<Option<(String, Vec<String>)>> {
    let seen = Seen::look(root, running)?;
    let Some(loader) = seen.loader() else { return Ok(None) };
    let (name, images) = match loader {
        Loader::Grub => ("GRUB", seen.grub.as_ref().map(grub::Menu::images).unwrap_or_default()),
        Loader::Extlinux => ("extlinux", seen.extlinux.as_ref().map(extlinux::Menu::images).unwrap_or_default()),
        Loader::SystemdBoot => ("systemd-boot", Vec::new()),
    };
    let release = |image: &str| seen.entry(&Started { image, initrds: &[] }, false).release;
    let mut releases: Vec<String> = images.into_iter().map(release).collect();
    if loader == Loader::SystemdBoot {
        let told = |entry: &Entry| if entry.version.is_empty() { release(&entry.image) } else { entry.version.clone() };
        releases.extend(seen.entries.iter().map(told));
    }
    Ok(Some((name.to_owned(), releases)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loader {
    Grub,
    Extlinux,
    SystemdBoot,
}

/// What is looked at.
struct Seen<'a> {
    root: &'a Path,
    running: &'a str,
    is_container: bool,
    is_efi: bool,
    is_xen: bool,
    /// `BOOT_IMAGE=` of the command line: GRUB, syslinux and LILO leave it there.
    boot_image: Option<String>,
    grub: Option<grub::Menu>,
    extlinux: Option<extlinux::Menu>,
    /// Those of systemd-boot, sorted, unified images among them.
    entries: Vec<Entry>,
}

impl<'a> Seen<'a> {
    fn look(root: &'a Path, running: &'a str) -> HostResult<Self> {
        let read = |path: &str| read(&below(root, path));
        let boot_image = read("/proc/cmdline")?.unwrap_or_default();
        let boot_image = boot_image.split_whitespace().find_map(|word| word.strip_prefix("BOOT_IMAGE="));
        Ok(Self {
            root,
            running,
            is_container: below(root, "/run/systemd/container").exists(),
            is_efi: below(root, "/sys/firmware/efi").exists(),
            is_xen: read("/sys/hypervisor/type")?.is_some_and(|kind| kind.trim() == "xen"),
            boot_image: boot_image.map(str::to_owned),
            grub: read(GRUB_MENU)?.map(|text| grub::Menu::parse(&text)).filter(|menu| !menu.images().is_empty()),
            extlinux: read(EXTLINUX_MENU)?.map(|text| extlinux::Menu::parse(&text)),
            entries: entries(root)?,
        })
    }

    /// The boot loader that has started the running kernel. Its traces come before what merely lies on the disk: after a
    /// change of boot loaders the menu of the one before stays behind.
    fn loader(&self) -> Option<Loader> {
        let firmware_tells =
            self.is_efi && (self.variable("LoaderInfo").is_some() || self.variable("StubInfo").is_some());
        let left_by_grub = self.boot_image.is_some() && !self.is_container;
        let has = [
            (Loader::SystemdBoot, !self.entries.is_empty() && !left_by_grub && (firmware_tells || self.is_efi), true),
            (Loader::Grub, self.grub.is_some() && left_by_grub, self.is_of_this_host()),
            (Loader::Extlinux, self.extlinux.is_some() && left_by_grub, self.is_of_this_host()),
            // Without a trace, who knows the running kernel.
            (Loader::Grub, self.grub_knows_it() && self.may_be_without_traces(), true),
            (Loader::SystemdBoot, self.entries.iter().any(|entry| entry.version == self.running), true),
            (Loader::Extlinux, self.extlinux_knows_it(), true),
        ];
        has.into_iter().find(|(_, is_it, explains)| *is_it && *explains).map(|(loader, ..)| loader)
    }

    /// Whether the command line names an image of this host: one that is there, or that of the running kernel, which its
    /// package has taken away.
    fn is_of_this_host(&self) -> bool {
        let Some(image) = &self.boot_image else { return false };
        file_name(image) == format!("vmlinuz-{}", self.running) || self.locate(image).is_some() || self.has_image()
    }

    /// GRUB always leaves one, but what a container sees is the command line of the host below, and Xen reads GRUB's menu
    /// from outside.
    fn may_be_without_traces(&self) -> bool {
        self.boot_image.is_some() || self.is_container || self.is_xen || !cfg!(target_arch = "x86_64")
    }

    fn grub_knows_it(&self) -> bool {
        self.grub.as_ref().is_some_and(|menu| menu.images().iter().any(|image| self.is_running(image)))
    }

    fn extlinux_knows_it(&self) -> bool {
        self.extlinux.as_ref().is_some_and(|menu| menu.images().iter().any(|image| self.is_running(image)))
    }

    fn is_running(&self, image: &str) -> bool {
        // The menu of a boot loader before may still name it.
        self.locate(image).is_some() && self.entry(&Started { image, initrds: &[] }, false).release == self.running
    }

    fn has_image(&self) -> bool {
        below(self.root, &format!("/boot/vmlinuz-{}", self.running)).exists()
    }

    fn starts_from_outside(&self) -> Option<&'static str> {
        if !self.has_image() {
            return Some(match self.is_container {
                true => "this is a container",
                false => "neither /boot nor a boot loader has the kernel that runs",
            });
        }
        let leaves_traces = cfg!(target_arch = "x86_64") && !self.is_efi && !self.is_container && !self.is_xen;
        let why = "no boot loader has left BOOT_IMAGE= on the command line of the kernel that runs";
        (leaves_traces && self.boot_image.is_none()).then_some(why)
    }

    fn grub(&self) -> BootSource {
        let Some(menu) = &self.grub else { return BootSource::Unknown };
        let environment = read(&below(self.root, GRUB_ENVIRONMENT)).ok().flatten().unwrap_or_default();
        let default = menu.default(&grub::environment(&environment));
        self.default("GRUB", default.starts, menu.has_initrds(), default.follows_newest, default.why)
    }

    fn extlinux(&self) -> BootSource {
        let Some(menu) = &self.extlinux else { return BootSource::Unknown };
        let (starts, follows_newest, why) = menu.default();
        self.default("extlinux", starts, false, follows_newest, why)
    }

    fn systemd_boot(&self) -> BootSource {
        // Without a boot loader of its own the firmware starts one unified image, and goes on doing so.
        let started = self.variable("LoaderImageIdentifier").filter(|_| self.variable("LoaderInfo").is_none());
        let started = started.map(|path| path.replace('\\', "/"));
        let by_firmware =
            started.and_then(|path| self.entries.iter().find(|entry| path.ends_with(&file_name(&entry.image))));
        let configuration = PARTITIONS
            .iter()
            .find_map(|partition| read(&below(self.root, &format!("{partition}/loader/loader.conf"))).ok().flatten());
        let chosen = self.variable("LoaderEntryDefault");
        let configured = configuration.as_deref().and_then(systemd_boot::configured_default);
        let (loader, (found, follows_newest, why)) = match by_firmware {
            Some(entry) => ("the firmware", (Some(entry), false, format!("it starts {}", file_name(&entry.image)))),
            None => ("systemd-boot", systemd_boot::default(&self.entries, chosen.as_deref(), configured)),
        };
        let starts = found.map(|entry| {
            let read = self.entry(&Started { image: &entry.image, initrds: &entry.initrds }, false);
            let release = if entry.version.is_empty() { read.release } else { entry.version.clone() };
            LoaderEntry { release, ..read }
        });
        BootSource::Loader(LoaderDefault { loader: loader.to_owned(), starts, follows_newest, why })
    }

    fn default(
        &self,
        loader: &str,
        starts: Option<Started<'_>>,
        others_have_initrd: bool,
        follows_newest: bool,
        why: String,
    ) -> BootSource {
        let starts = starts.map(|started| self.entry(&started, others_have_initrd));
        BootSource::Loader(LoaderDefault { loader: loader.to_owned(), starts, follows_newest, why })
    }

    /// What an entry starts, as its files say.
    fn entry(&self, started: &Started<'_>, others_have_initrd: bool) -> LoaderEntry {
        let image = self.locate(started.image);
        let banner = image.as_deref().and_then(image::banner);
        let name = image.as_deref().and_then(|path| fs::canonicalize(path).ok());
        let name = name.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.unwrap_or_else(|| file_name(started.image));
        let release = name.split_once('-').map_or(name.as_str(), |(_, release)| release).to_owned();
        let (release, version) = match banner {
            Some((release, version)) => (release, Some(version)),
            None => (release, None),
        };
        let mut lacks = Vec::new();
        if image.is_none() {
            lacks.push(format!("its image {} is gone", started.image));
        }
        let gone = started.initrds.iter().filter(|initrd| self.locate(initrd).is_none());
        lacks.extend(gone.map(|initrd| format!("its initrd {initrd} is gone")));
        if started.initrds.is_empty() && others_have_initrd {
            lacks.push(format!("the entry of {name} loads no initrd, others do"));
        }
        LoaderEntry { release, version, lacks }
    }

    /// Where a path of a boot loader lies on this host: it sees partitions, not mounts.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        let path = path.rsplit(')').next().unwrap_or(path).replace('\\', "/");
        let places =
            ["", "/boot", "/boot/efi", "/efi"].map(|place| format!("{place}/{}", path.trim_start_matches('/')));
        let beside = format!("/boot/{}", file_name(&path));
        places.iter().chain([&beside]).map(|place| below(self.root, place)).find(|place| place.is_file())
    }

    /// A variable that a boot loader has left in the firmware: four bytes of attributes, then a text.
    fn variable(&self, name: &str) -> Option<String> {
        let bytes = fs::read(below(self.root, VARIABLES).join(format!("{name}-{LOADER_VENDOR}"))).ok()?;
        let units = bytes.get(4..)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let text: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        Some(String::from_utf16_lossy(&text))
    }
}

/// The entries of systemd-boot, in the order of its menu.
fn entries(root: &Path) -> HostResult<Vec<Entry>> {
    let mut entries = Vec::new();
    for partition in PARTITIONS {
        let directory = below(root, &format!("{partition}/loader/entries"));
        for name in names_in(&directory)?.into_iter().filter(|name| name.ends_with(".conf")) {
            let text = read(&directory.join(&name))?.unwrap_or_default();
            entries.push(Entry::parse(&name, &text));
        }
        let directory = format!("{partition}/EFI/Linux");
        for name in names_in(&below(root, &directory))?.into_iter().filter(|name| name.ends_with(".efi")) {
            let release = image::unified_release(&below(root, &directory).join(&name));
            let release =
                release.unwrap_or_else(|| release_of_unified(&systemd_boot::without_tries(&name).0).to_owned());
            entries.push(Entry::unified(&name, &format!("{directory}/{name}"), &release));
        }
    }
    entries.retain(|entry| !entry.image.is_empty());
    systemd_boot::sort(&mut entries);
    Ok(entries)
}

/// As kernel-install names it, `TOKEN-RELEASE.efi`, for an image that does not tell.
fn release_of_unified(name: &str) -> &str {
    let stem = name.strip_suffix(".efi").unwrap_or(name);
    let token = stem.split_once('-').filter(|(token, rest)| {
        let is_version = token.contains('.') && token.starts_with(|first: char| first.is_ascii_digit());
        !is_version && rest.starts_with(|first: char| first.is_ascii_digit())
    });
    token.map_or(stem, |(_, release)| release)
}

fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned()
}

fn read_error(path: &Path, error: &std::io::Error) -> HostError {
    HostError::failed(format!("read {}", path.display()), error)
}

/// A file; none if there is none.
fn read(path: &Path) -> HostResult<Option<String>> {
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(read_error(path, &error)),
    }
}

fn names_in(directory: &Path) -> HostResult<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(read_error(directory, &error)),
    };
    let names: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.file_name().into_string())).collect();
    Ok(names.map_err(|error| read_error(directory, &error))?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
