//! The disk from which QEMU machines are made: a nspawn image's tree, Debian's older cloud kernel, GRUB, a module of
//! DKMS, and the newer kernel in a repository inside.

use super::emulator::Qemu;
use crate::cgroup::Cgroup;
use crate::emulated::{self, EmulatedMachine};
use crate::furnish::{self, REPOSITORY, in_tree, listed, write};
use crate::image::{Image, Suite, built_once};
use crate::lab::Lab;
use crate::machine::claim::{Claim, claim};
use crate::machine::leftovers;
use crate::process::run;
use crate::testbed::Testbed;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Change it when the steps of [`QemuImage::ensure`] change; what they use is in the key anyway.
const RECIPE_VERSION: u32 = 3;

const MODULE: &str = include_str!("../../recipe/tour/lab_tour.c");
const DKMS: &str = include_str!("../../recipe/tour/dkms.conf");
const GRUB: &str = include_str!("../../recipe/tour/grub");
const REBUILD: &str = include_str!("../../recipe/tour/rebuild-kernel");

/// The older version of these is installed, the newer one is pending.
const KERNEL: [&str; 2] = ["linux-image-cloud-amd64", "linux-headers-cloud-amd64"];
const TOOLS: [&str; 9] =
    ["initramfs-tools", "grub-pc-bin", "grub2-common", "kexec-tools", "dkms", "gcc", "make", "lz4", "perl-base"];

/// The kernel of the machines once more, built anew under the same release.
const REBUILT: &str = "/srv/rebuilt";

const MIB: u64 = 1 << 20;
const SIZE: u64 = 5 << 30;

/// A boot takes a minute or two, much longer on a busy host.
const PREPARATION: Duration = Duration::from_secs(900);

/// A disk image of which machines get copies.
pub(crate) struct QemuImage {
    disk: PathBuf,
}

impl QemuImage {
    /// The image. Builds it (some minutes) when there is none for the present recipe; whoever comes meanwhile waits.
    pub(crate) fn ensure(lab: &Lab) -> Result<Self> {
        let base = Image::ensure(lab, Suite::Bookworm)?;
        let claim = claim(lab, "qemu-image")?;
        let built = Self::build_where_missing(lab, &base, &claim);
        leftovers::give_up(&claim.directory)?;
        built
    }

    fn build_where_missing(lab: &Lab, base: &Image, claim: &Claim) -> Result<Self> {
        let programs = furnish::programs(lab, claim)?;
        let name = format!("qemu-{:016x}.raw", key(base, &programs)?);
        let disk = built_once(lab, &name, |disk| build(base, claim, &programs, disk))?;
        Ok(Self { disk })
    }

    /// A machine, still off, with a copy of the disk.
    pub(crate) fn machine(&self, lab: &Lab, name: &str) -> Result<EmulatedMachine> {
        let claim = claim(lab, name)?;
        let disk = claim.directory.join("disk.raw");
        run(Command::new("cp").arg("--sparse=always").arg(&self.disk).arg(&disk))?;
        Ok(EmulatedMachine::create(name, claim, Box::new(Qemu { disk })))
    }
}

fn key(base: &Image, programs: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    (RECIPE_VERSION, base.tree(), MODULE, DKMS, GRUB, REBUILD).hash(&mut hasher);
    furnish::hash(programs, &mut hasher)?;
    Ok(hasher.finish())
}

fn build(base: &Image, claim: &Claim, programs: &Path, disk: &Path) -> Result<()> {
    furnish::with_tree(base, claim, |root| {
        // Building an initrd needs it.
        run(Command::new("mount").args(["-t", "proc", "proc"]).arg(root.join("proc")))?;
        furnish(root, programs)?;
        leftovers::unmount(&root.join("proc"))?;
        write_disk(root, disk)
    })?;
    // The first boot makes the database, and the menu: grub-mkconfig needs the real disk.
    let emulator = Box::new(Qemu { disk: disk.to_owned() });
    let prepared =
        emulated::first_boot(claim, emulator, PREPARATION, |machine| machine.exec_ok(&["update-grub"]).map(drop));
    Cgroup::of(&claim.id).destroy()?;
    prepared
}

/// Makes an unpacked tree one that a QEMU machine can boot from.
fn furnish(root: &Path, programs: &Path) -> Result<()> {
    in_tree(root, &["apt-get", "update", "--quiet", "--error-on=any"])?;
    let mut install = vec!["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"];
    install.extend(TOOLS);
    let mut older = Vec::new();
    for package in KERNEL {
        let version = oldest(root, package)?;
        older.push(format!("{package}={version}"));
        // The package names no version, what it needs does; apt would take the newest.
        for line in in_tree(root, &["apt-cache", "show", &format!("{package}={version}")])?.lines() {
            if let Some(needed) = line.strip_prefix("Depends: ") {
                older.push(needed.replace(" (= ", "=").trim_end_matches(')').to_owned());
            }
        }
    }
    let version = oldest(root, KERNEL[0])?;
    install.extend(older.iter().map(String::as_str));
    in_tree(root, &install)?;
    // A kernel of another flavour lies beside them, as on a host that was moved to another cloud.
    let release = release(root)?;
    let other = format!("linux-image-{}={version}", release.replace("-cloud-", "-"));
    in_tree(root, &["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", &other])?;
    rebuild(root, &release, &version)?;
    fetch_newer(root)?;

    let source = root.join("usr/src/lab-tour-1.0");
    fs::create_dir(&source).with_context(|| format!("cannot make {}", source.display()))?;
    for (name, content) in [("lab_tour.c", MODULE), ("dkms.conf", DKMS), ("Makefile", "obj-m := lab_tour.o\n")] {
        write(&source, name, content)?;
    }
    in_tree(root, &["dkms", "install", "-m", "lab-tour", "-v", "1.0", "-k", &release])?;

    furnish::tree(root, programs, "tour", "/dev/ttyS1")?;
    in_tree(root, &["systemctl", "mask", "serial-getty@ttyS0.service"])?;
    write(root, "etc/fstab", "/dev/vda1 / ext4 defaults 0 1\n")?;
    write(root, "etc/default/grub", GRUB)?;
    in_tree(root, &["install", "-d", "/boot/grub"])?;
    in_tree(root, &["cp", "-r", "/usr/lib/grub/i386-pc", "/boot/grub"])?;
    // Until there is a menu.
    let options = "root=/dev/vda1 ro console=ttyS0 panic=10";
    let first =
        format!("insmod ext2\nlinux /boot/vmlinuz-{release} {options}\ninitrd /boot/initrd.img-{release}\nboot\n");
    write(root, "boot/grub/grub.cfg", &first)?;
    let prefix = "(hd0,msdos1)/boot/grub";
    let image = ["grub-mkimage", "-O", "i386-pc", "-o", "/boot/grub/core.img", "-p", prefix];
    in_tree(root, &[&image[..], &["biosdisk", "part_msdos", "ext2", "normal", "configfile"]].concat()).map(drop)
}

/// Makes the packages of the kernel as if Debian had built it anew.
fn rebuild(root: &Path, release: &str, version: &str) -> Result<()> {
    let rebuilt = format!("{}9", &version[..version.len() - 1]);
    fs::create_dir(root.join(REBUILT.trim_start_matches('/')))?;
    for package in [KERNEL[0], &format!("linux-image-{release}")] {
        in_tree(root, &["sh", "-euc", REBUILD, "sh", package, version, &rebuilt, REBUILT])?;
    }
    Ok(())
}

/// The oldest version that the mirrors have.
fn oldest(root: &Path, package: &str) -> Result<String> {
    let listed = in_tree(root, &["apt-cache", "madison", package])?;
    let versions: Vec<&str> = listed.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
    match versions[..] {
        [newest, .., oldest] if newest != oldest => Ok(oldest.to_owned()),
        _ => bail!("the mirrors have no two versions of {package}, so that none is pending: {listed}"),
    }
}

/// Puts the newer kernel into the repository, and makes it the only source.
fn fetch_newer(root: &Path) -> Result<()> {
    let repository = root.join(REPOSITORY.trim_start_matches('/'));
    fs::create_dir_all(repository.join("partial"))?;
    let archives = format!("Dir::Cache::Archives={REPOSITORY}");
    let only_fetch = ["apt-get", "install", "--yes", "--quiet", "--download-only", "--no-install-recommends", "-o"];
    in_tree(root, &[&only_fetch[..], &[archives.as_str()], &KERNEL[..]].concat())?;
    let mut list = String::new();
    for entry in fs::read_dir(&repository)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".deb") {
            list += &listed(&repository, &name)?;
        }
    }
    fs::write(repository.join("Packages"), list)?;
    in_tree(root, &["apt-get", "clean"])?;
    furnish::only_repository(root)
}

/// The release of the one kernel that is installed.
fn release(root: &Path) -> Result<String> {
    let first = fs::read_dir(root.join("usr/lib/modules"))
        .context("no kernel was installed")?
        .next()
        .context("no kernel was installed")??;
    Ok(first.file_name().to_string_lossy().into_owned())
}

/// One partition behind GRUB, which is put in without a block device: its first stage into the first sector, the rest
/// into the gap behind it.
fn write_disk(root: &Path, disk: &Path) -> Result<()> {
    let file = File::create(disk).with_context(|| format!("cannot make {}", disk.display()))?;
    file.set_len(SIZE)?;
    let options = format!("lazy_itable_init=0,lazy_journal_init=0,offset={MIB}");
    let mut format = Command::new("mkfs.ext4");
    format.args(["-q", "-F", "-E", &options, "-d"]).arg(root).arg(disk);
    run(format.arg(format!("{}k", (SIZE - MIB) / 1024)))?;
    let loader = root.join("boot/grub");
    let read = |name: &str| fs::read(loader.join(name)).with_context(|| format!("cannot read GRUB's {name}"));
    let (boot, core) = (read("i386-pc/boot.img")?, read("core.img")?);
    if core.len() as u64 > MIB - 512 {
        bail!("GRUB's image of {} bytes does not fit before the first partition", core.len());
    }
    file.write_all_at(&boot[..440], 0)?;
    file.write_all_at(&partition_table(), 446)?;
    file.write_all_at(&core, 512).context("cannot write GRUB")
}

/// The end of the first sector: one bootable Linux partition from 1 MiB to the end, and the signature.
fn partition_table() -> [u8; 66] {
    let mut table = [0; 66];
    table[0] = 0x80;
    table[4] = 0x83;
    let sectors = |bytes: u64| u32::try_from(bytes / 512).unwrap_or(u32::MAX).to_le_bytes();
    table[8..12].copy_from_slice(&sectors(MIB));
    table[12..16].copy_from_slice(&sectors(SIZE - MIB));
    table[64..].copy_from_slice(&[0x55, 0xaa]);
    table
}
