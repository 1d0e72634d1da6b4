//! A machine that builds its own kernel: the source is on its disk, and its `/boot` is where the boot loader looks.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The shell's orders for a tree that is built once, natively, on top of an image.
pub(super) const SOURCE: &str = include_str!("../../recipe/kernel-source");

/// On top of that: DKMS, and a module that takes its time.
pub(super) const MODULE: &str =
    concat!(include_str!("../../recipe/module-source"), include_str!("../../recipe/slow-module"));

pub(super) const PACKAGE_KERNEL: &str = include_str!("../../recipe/package-kernel");
const BOOT_LOADER: &str = include_str!("../../recipe/boot-loader");

pub(super) const SIZE: &str = "6G";

/// Adds what packs kernels. The machine's `/boot` lies below what it sees as `/lab`, where the boot loader finds it; while
/// the image is made there is none, and the mount may fail.
pub(super) fn furnish(root: &Path) -> Result<()> {
    write_program(&root.join("usr/local/sbin/package-kernel"), PACKAGE_KERNEL)?;
    let fstab = root.join("etc/fstab");
    let mounts = fs::read_to_string(&fstab).context("the image has no fstab")?;
    fs::write(&fstab, mounts + "none /boot hostfs rw,nofail,/boot 0 0\n").context("cannot write the fstab of the image")
}

/// Puts the boot loader and an empty `/boot` into a machine's directory.
pub(super) fn boot_loader(directory: &Path) -> Result<PathBuf> {
    let boot = directory.join("share/boot");
    fs::create_dir_all(&boot).with_context(|| format!("cannot make {}", boot.display()))?;
    let program = directory.join("boot-loader");
    write_program(&program, BOOT_LOADER)?;
    Ok(program)
}

fn write_program(program: &Path, text: &str) -> Result<()> {
    fs::write(program, text).with_context(|| format!("cannot write {}", program.display()))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(program, mode).with_context(|| format!("cannot mark {}", program.display()))
}
