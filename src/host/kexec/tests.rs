//! Hosts that can and that cannot, as their files tell, and what is asked of the two programs.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::host::tree;

const DEBIAN_12: &str = include_str!("../../../tests/fixtures/grub/debian-12.cfg");
const OLD: &str = "6.1.0-50-cloud-amd64";
const NEW: &str = "6.1.0-56-cloud-amd64";
const BOOT_NEXT: &str = "sys/firmware/efi/efivars/BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const OS_INDICATIONS: &str = "sys/firmware/efi/efivars/OsIndications-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Plays systemd-run: notes what it is asked for, and does it with the files below the root.
const SYSTEMD_RUN: &str = "#!/bin/sh\nroot=${0%/usr/bin/systemd-run}\necho \"$@\" >>\"$root/asked\"\n\
    [ ! -e \"$root/refuses\" ] || { echo 'kexec_file_load failed: Operation not permitted' >&2; exit 1; }\n\
    [ ! -e \"$root/lies\" ] || exit 0\n\
    case \"$*\" in *--unload*) loaded=0 ;; *) loaded=1 ;; esac\n\
    echo $loaded >\"$root/sys/kernel/kexec_loaded\"\n";

/// A host that GRUB has started, with kexec-tools.
fn able() -> (tempfile::TempDir, KexecTools) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let line = format!("BOOT_IMAGE=/boot/vmlinuz-{OLD} root=UUID=1 ro quiet\n");
    for (path, text) in [
        ("boot/grub/grub.cfg", DEBIAN_12),
        ("proc/cmdline", &line),
        ("proc/sys/kernel/osrelease", OLD),
        ("proc/sys/kernel/bootloader_type", "114\n"),
        ("proc/sys/kernel/kexec_load_disabled", "0\n"),
        ("sys/kernel/kexec_loaded", "0\n"),
        ("sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
        ("usr/sbin/kexec", "#!/bin/sh\n"),
        ("usr/bin/systemd-run", SYSTEMD_RUN),
    ] {
        tree::write(root, path, text);
    }
    for kernel in [OLD, NEW] {
        tree::write(root, &format!("boot/vmlinuz-{kernel}"), "image");
        tree::write(root, &format!("boot/initrd.img-{kernel}"), "initrd");
    }
    fs::set_permissions(root.join("usr/bin/systemd-run"), fs::Permissions::from_mode(0o755)).unwrap();
    let kexec = KexecTools::new(root.to_owned());
    (dir, kexec)
}

#[tokio::test]
async fn what_keeps_a_host_from_it_is_known_before() {
    /// Gone, or with this text.
    type Change = (&'static str, Option<&'static str>);
    let firmware = |variable: &str| Some(KexecHindrance::Firmware(variable.into()));
    let rows: Vec<(Change, Option<KexecHindrance>)> = vec![
        (("etc/hostname", Some("able")), None),
        (("run/systemd/container", Some("systemd-nspawn")), Some(KexecHindrance::Container)),
        (("sys/hypervisor/type", Some("xen\n")), Some(KexecHindrance::Xen)),
        (("usr/sbin/kexec", None), Some(KexecHindrance::NoTool)),
        (("sys/kernel/kexec_loaded", None), Some(KexecHindrance::NotBuilt)),
        (("proc/sys/kernel/kexec_load_disabled", Some("1\n")), Some(KexecHindrance::Disabled)),
        (("proc/sys/kernel/bootloader_type", None), Some(KexecHindrance::NotTold)),
        ((BOOT_NEXT, Some("\x07\0\0\0\x01\0")), firmware("BootNext")),
        ((OS_INDICATIONS, Some("\x07\0\0\0\0\0\0\0\0\0\0\0")), None),
        ((OS_INDICATIONS, Some("\x07\0\0\0\x04\0\0\0\0\0\0\0")), firmware("OsIndications")),
        // A signed kernel is loaded all the same.
        (("sys/kernel/security/lockdown", Some("none [integrity] confidentiality\n")), None),
        (
            ("boot/grub/grubenv", Some("next_entry=1>2\n")),
            Some(KexecHindrance::Entry("GRUB: it takes 1>2 once (next_entry)".into())),
        ),
    ];
    for ((path, text), expected) in rows {
        let (dir, kexec) = able();
        match text {
            Some(text) => tree::write(dir.path(), path, text),
            None => fs::remove_file(dir.path().join(path)).unwrap(),
        }
        assert_eq!(kexec.hindrance().await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_masked_unit_keeps_a_host_from_it() {
    for (unit, target, hinders) in [
        ("etc/systemd/system/kexec.target", "/dev/null", true),
        ("run/systemd/system/systemd-kexec.service", "/dev/null", true),
        ("etc/systemd/system/kexec.target", "/usr/lib/systemd/system/kexec.target", false),
    ] {
        let (dir, kexec) = able();
        let link = dir.path().join(unit);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, &link).unwrap();
        let name = link.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(kexec.hindrance().await, hinders.then_some(KexecHindrance::Masked(name)), "{unit}");
    }
}

#[tokio::test]
async fn the_boot_loaders_own_kernel_is_loaded_and_unloaded() {
    let (dir, kexec) = able();
    let root = dir.path();
    kexec.unload().await.unwrap();
    assert!(!root.join("asked").exists(), "nothing is loaded");
    kexec.load(NEW).await.unwrap();
    let asked = fs::read_to_string(root.join("asked")).unwrap();
    let boot = root.join("boot").display().to_string();
    let loads = format!(
        "/usr/sbin/kexec --kexec-syscall-auto --load {boot}/vmlinuz-{NEW} --command-line=BOOT_IMAGE=/boot/vmlinuz-{NEW} root=UUID="
    );
    assert!(asked.contains(&loads) && asked.contains("--setenv=LC_ALL=C.UTF-8"), "{asked}");
    assert!(asked.trim_end().ends_with(&format!(" --initrd={boot}/initrd.img-{NEW}")), "{asked}");
    kexec.unload().await.unwrap();
    assert_eq!(fs::read_to_string(root.join("sys/kernel/kexec_loaded")).unwrap().trim(), "0");

    let other = kexec.load(OLD).await.unwrap_err();
    assert_eq!((other.kind, other.why), (HostErrorKind::Refused, format!("the boot loader would start {NEW}")));
}

#[tokio::test]
async fn who_cannot_load_it_says_why() {
    let (dir, kexec) = able();
    let root = dir.path();
    tree::write(root, "lies", "");
    assert!(kexec.load(NEW).await.unwrap_err().why.ends_with("says that none is loaded"));
    tree::write(root, "refuses", "");
    let refused = kexec.load(NEW).await.unwrap_err().to_string();
    assert!(refused.starts_with(&format!("load kernel {NEW}: kexec_file_load failed: Operation not")), "{refused}");
    tree::write(root, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    let locked = kexec.load(NEW).await.unwrap_err().to_string();
    assert!(locked.ends_with("(the kernel is locked down: integrity)"), "{locked}");
}

#[tokio::test]
async fn a_boot_that_came_by_kexec_is_told_from_others() {
    let (dir, kexec) = able();
    for (number, by_kexec) in [("114\n", false), ("208\n", true), ("13\n", false), ("x\n", false)] {
        tree::write(dir.path(), "proc/sys/kernel/bootloader_type", number);
        assert_eq!(kexec.has_started_this_boot().await, by_kexec, "{number}");
    }
}
